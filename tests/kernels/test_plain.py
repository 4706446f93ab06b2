"""Without vector code: the same bits, from plain Numba with every index checked."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from sleepdefense.kernels import ChainLayer, sleep_images

FOLDER = str(Path(__file__).parent)


def digest():
    """Hash what some sleeps of all kinds give, over layers of all shapes."""
    rng = np.random.default_rng(11)

    def layer(shape, *place, **options):
        weight = rng.integers(-9, 12, shape, dtype=np.int32)
        bias = rng.integers(-2, 3, shape[0], dtype=np.int32) * options.pop("biased", 0)
        return ChainLayer(weight, bias, 14, *place, **options)

    chains = {
        (1, 9, 8): [
            layer((70, 1, 5, 5), 1, 2),
            layer((66, 70, 4, 4), 2, (3, 1), biased=1),
            layer((5, 66, 2, 3)),
        ],
        (3, 4, 4): [layer((9, 3, 3, 7), (1, 2), (0, 3), biased=1), layer((65, 9, 1, 1), pool=(2, 1))],
        (66, 2, 3): [layer((4, 66, 1, 2), pool=(1, 1)), layer((3, 4, 2, 2))],
    }
    result = hashlib.sha256()
    for shape, chain in chains.items():
        images = rng.random((3, *shape), dtype=np.float32) ** 2
        for competition in ("image", "step", "none"):
            record = sleep_images(
                images, np.arange(3), chain, seed=2, num_steps=11, competition=competition,
                k=[3] * len(chain), radius=[1] * len(chain), learns=[True] * len(chain), record=True,
                as_printed=competition == "step", depress_outside=competition == "step",
            )  # fmt: skip
            assert record.spike_count.min() > 0
            for field in record:
                for array in field if isinstance(field, tuple) else (field,):
                    result.update(np.ascontiguousarray(array).tobytes())
    return result.hexdigest()


@pytest.mark.long
@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the compiler is switched off")
def test_plain_code_gives_the_same_bits_and_stays_inside_its_arrays():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {FOLDER!r}); import test_plain as t; print(t.digest())",
        ],
        env={**os.environ, "SLEEPDEFENSE_SIMD": "off", "NUMBA_BOUNDSCHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [digest()]
