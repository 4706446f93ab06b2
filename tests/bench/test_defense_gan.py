"""The benchmark of Defense-GAN's search: what it counts, and that its parts are parts."""

import json

import numba
import pytest

from sleepdefense.bench.defense_gan import measure_defense_gan
from sleepdefense.cli.main import main

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the compiler is switched off")


def test_multiplications_of_the_papers_shape() -> None:
    """Along one axis 10 products for 16 and 20 for 32; here from 8 to 4 maps and from 4 to 2."""
    times = measure_defense_gan(width=2, rounds=1)
    assert times.direct == 2 * (16**2 * 8 * 4 + 32**2 * 4 * 2)
    assert times.taken == 2 * (10**2 * 8 * 4 + 20**2 * 4 * 2)
    assert times.difference < 1e-4
    assert times.switched < 0.1
    assert 0 < times.products < times.quick
    assert times.minutes(30, steps=2, restarts=1) == pytest.approx(times.quick)


def test_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["bench", "defense-gan", "--width", "2", "--rounds", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["times faster than autograd"] == pytest.approx(found["autograd"] / found["quick"])
