"""The benchmark of internal models: that its contestants do the same, and what it reckons."""

import json

import pytest

from sleepdefense.bench.internal_models import INFERENCE, TRAINING, measure_internal_models
from sleepdefense.cli.main import main
from sleepdefense.errors import ConfigError

SMALL = {"size": 6, "width": 8, "denoiser_width": 16, "num_classes": 3}


def test_contestants_do_the_same_and_ratios_are_those_of_their_times() -> None:
    found = measure_internal_models(batch_sizes=(1, 5), settings=SMALL, rounds=1)
    assert [(each.batch_size, each.work) for each in found] == [
        (1, INFERENCE),
        (1, TRAINING),
        (5, INFERENCE),
        (5, TRAINING),
    ]
    for each in found:
        assert each.difference < 1e-5
        assert each.ratio == each.loop / each.together
        # 3 networks of 36-8-2-12-10 and back: 2 operations a weight, all weights but the first layer's thrice
        first, rest = 36 * 8, 8 * 2 + 2 * 12 + 12 * 10 + 10 * 12 + 12 * 2 + 2 * 8 + 8 * 36
        weights = first + rest if each.work == INFERENCE else 2 * first + 3 * rest
        operations = 2 * 3 * each.batch_size * weights
        assert each.gflops == pytest.approx(operations / each.together / 1e9)
        assert each.floor >= operations / (each.product_gflops * 1e9) * (1 - 1e-9)


def test_a_batch_of_nothing_and_a_shared_encoder_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"numbers >= 1, got \(0,\)"):
        measure_internal_models(batch_sizes=(0,))
    with pytest.raises(ConfigError, match="share an encoder"):
        measure_internal_models(settings={**SMALL, "shared_encoder": True})


@pytest.mark.parametrize("style", ["--json", "text"])
def test_the_command_prints_rows(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--set", "size=6", "--set", "width=8", "--set", "denoiser_width=16"]
    how = ["--batch-sizes", "2", "--rounds", "1", *(["--json"] if style == "--json" else [])]
    with pytest.raises(SystemExit) as stop:
        main(["bench", "internal-models", *how, *sizes])
    assert not stop.value.code
    out = capsys.readouterr().out
    if style == "--json":
        rows = json.loads(out)["rows"]
        assert [row["work"] for row in rows] == [INFERENCE, TRAINING]
        assert rows[1]["ratio_alone"] > 0
    else:
        assert "times faster" in out
        assert TRAINING in out
