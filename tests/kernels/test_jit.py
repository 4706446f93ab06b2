"""Compiled code: it lets other threads run, and none of it outlives the source it came from."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from sleepdefense.kernels import (
    bernoulli_train,
    collect,
    compete,
    counters,
    encode,
    extent,
    fill,
    fire,
    fused,
    kwta,
    learn,
    lists,
    pairings,
    patterns,
    peak,
    profile,
    recall,
    rounding,
    stdp,
    sums,
    tally,
    update,
)

ROOT = Path(__file__).parents[2]
COMPILED = {
    f"{module.__name__}.{name}": value
    for module in (
        collect,
        compete,
        counters,
        encode,
        extent,
        fill,
        fire,
        fused,
        kwta,
        learn,
        lists,
        pairings,
        patterns,
        peak,
        profile,
        recall,
        rounding,
        stdp,
        sums,
        tally,
        update,
    )
    for name, value in vars(module).items()
    if hasattr(value, "targetoptions") and value.py_func.__module__ == module.__name__
}
needs_compiler = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the compiler is switched off")


@needs_compiler
def test_there_are_kernels_to_look_at():
    assert {"_bernoulli_train_", "_select_winners_", "_count_pairings_", "sleep_images_"} <= {
        name.rsplit(".")[-1] for name in COMPILED
    }


@needs_compiler
@pytest.mark.parametrize("name", COMPILED)
def test_kernel_is_exact_and_releases_the_lock(name):
    options = COMPILED[name].targetoptions
    assert options["nogil"] is True
    assert not options.get("fastmath")
    assert not options.get("parallel")


@needs_compiler
def test_code_on_disk_releases_the_lock():
    # Numba's own cache does not look at flags, and once gave back code that held the lock.
    bernoulli_train(np.zeros((1, 1), dtype=np.float32), np.array([0]), seed=0, first_step=0, num_steps=1)
    folder = Path(COMPILED["sleepdefense.kernels.encode._bernoulli_train_"].stats.cache_path)
    kept = list(folder.glob("encode._bernoulli_train_-*.nbc"))
    assert kept
    assert all(b"PyEval_SaveThread" in path.read_bytes() for path in kept)


CALLER = """
import numpy as np
from sleepdefense.kernels._jit import kernel
from sleepdefense.kernels.callee import number

@kernel
def caller(x):
    return number(x)

print(caller(np.int64(1)), sum(caller.stats.cache_hits.values()))
"""
CALLEE = """
from sleepdefense.kernels._jit import kernel

@kernel
def number(x):
    return x + 1
"""


@pytest.fixture
def package(tmp_path):
    """A package of two kernels in two files, and a way to run it in a new process."""
    folder = tmp_path / "sleepdefense" / "kernels"
    folder.mkdir(parents=True)
    (tmp_path / "sleepdefense" / "__init__.py").touch()
    (folder / "__init__.py").touch()
    for name in ("_jit.py", "_source.py"):
        shutil.copy(ROOT / "kernels" / name, folder)
    (folder / "caller.py").write_text(CALLER)
    (folder / "callee.py").write_text(CALLEE)

    def run(**environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
        done = subprocess.run(
            [sys.executable, "-c", "import sleepdefense.kernels.caller"],
            cwd=tmp_path,
            env={**kept, "HOME": str(tmp_path / "home"), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        value, hits = done.stdout.split()
        return int(value), int(hits)

    return folder, run


@needs_compiler
@pytest.mark.slow
def test_edited_callee_in_another_file_is_noticed(package):
    folder, run = package
    assert run() == (2, 0)
    assert run() == (2, 1)  # from the disk
    (folder / "callee.py").write_text(CALLEE.replace("x + 1", "x + 5"))
    assert run() == (6, 0)


@needs_compiler
@pytest.mark.long
def test_other_settings_and_flags_are_compiled_anew(package):
    folder, run = package
    run()
    assert run(NUMBA_BOUNDSCHECK="1") == (2, 0)
    source = (folder / "_jit.py").read_text()
    assert '"nogil": True' in source
    (folder / "_jit.py").write_text(source.replace('"nogil": True', '"nogil": False'))
    assert run() == (2, 0)


@needs_compiler
@pytest.mark.slow
def test_given_cache_folder_is_used(package, tmp_path):
    folder, run = package
    run(NUMBA_CACHE_DIR=str(tmp_path / "given"))
    assert list((tmp_path / "given").glob("sleepdefense-*/*/caller.caller-*.nbc"))
    assert not list(folder.glob("__pycache__/sleepdefense-*"))


@needs_compiler
@pytest.mark.slow
def test_without_a_folder_to_write_to_nothing_is_kept(package, tmp_path):
    folder, run = package
    (folder / "__pycache__").touch()  # a file where the folder should be
    (tmp_path / "home").touch()
    assert run() == (2, 0)
    assert run() == (2, 0)
