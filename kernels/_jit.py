"""The one decorator that compiles, and the folder where the compiled code is kept.

Numba looks for changes in a kernel's own file only: an edited callee in another file, another flag or another
`NUMBA_BOUNDSCHECK` would go unnoticed, and the old machine code would run. So the code is kept in a folder
that is named after all of these. A kernel may therefore call kernels of other files.
"""

import hashlib
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

import numba
import numpy as np

from sleepdefense.kernels._source import SourceCompiler

_F = TypeVar("_F", bound=Callable[..., Any])

Integer: TypeAlias = int | np.int64
"""A number in a kernel; compiled, each is 64 bits wide."""

_CONFIG: Final[Any] = numba.config
_NJIT: Final[Any] = numba.njit

HAS_VECTORS: Final = os.environ.get("SLEEPDEFENSE_SIMD", "on") != "off" and not _CONFIG.DISABLE_JIT
"""Whether `_simd.py` is used; otherwise `_plain.py`, which needs nothing but Numba, or not even that."""

_FLAGS: Final = {
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,  # C does not call them
}  # the kernels run in a pool of threads; sums must stay exact, so no fastmath
_SETTINGS: Final = (
    "BOUNDSCHECK",
    "DEBUGINFO_DEFAULT",
    "ENABLE_AVX",
    "LOOP_VECTORIZE",
    "OPT",
    "SLP_VECTORIZE",
)
"""What can be set from outside (`NUMBA_...`) and changes the code; Numba itself looks at the processor."""


def _build_name() -> str:
    """Name this build after everything that decides what the machine code is."""
    build = hashlib.sha256(repr((numba.__version__, _FLAGS, HAS_VECTORS)).encode())
    for setting in _SETTINGS:
        build.update(f"{setting}={getattr(_CONFIG, setting, None)!s};".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        build.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return f"sleepdefense-{build.hexdigest()[:16]}"


def _homes() -> Iterator[Path]:
    """Yield where Numba itself would keep its code, first choice first."""
    if _CONFIG.CACHE_DIR:
        yield Path(_CONFIG.CACHE_DIR)
        return
    yield Path(__file__).parent / "__pycache__"
    try:
        yield Path.home() / ".cache" / "numba"
    except RuntimeError:  # no home: nothing is kept
        return


def _cache_folder() -> Path | None:
    """Return the first folder that can be written to, or None."""
    for home in _homes():
        folder = home / _build_name()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


_FOLDER: Final = _cache_folder()


def kernel(func: _F) -> _F:
    """Compile `func` to machine code that releases the interpreter lock, and keep it on disk.

    Where no folder can be written to, each process compiles anew.
    """
    raw = inspect.unwrap(func)  # the tests' shape checker may have wrapped it
    if _FOLDER is None:
        return cast(_F, _NJIT(**_FLAGS)(raw))
    before = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = str(_FOLDER)  # read by Numba while it decorates, and not again
    try:
        return cast(_F, _NJIT(cache=True, **_FLAGS)(raw))
    finally:
        _CONFIG.CACHE_DIR = before


def part(func: _F) -> _F:
    """Compile `func` as a part of the kernels that call it: Python cannot, and nothing of its own is kept."""
    raw = inspect.unwrap(func)
    return cast(_F, _NJIT(no_cpython_wrapper=True, pipeline_class=SourceCompiler, **_FLAGS)(raw))
