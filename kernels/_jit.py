"""The one decorator that compiles."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def kernel(func: _F) -> _F:
    """Compile `func` to machine code that releases the interpreter lock, and cache it on disk.

    Numba raises at import when no cache folder is writable; then the function is compiled without one.
    """
    raw = inspect.unwrap(func)  # the tests' shape checker may have wrapped it
    try:
        return cast(_F, numba.njit(cache=True, nogil=True)(raw))
    except RuntimeError:
        return cast(_F, numba.njit(nogil=True)(raw))
