import pytest

from sleepdefense.consolidation import SleepConfig
from sleepdefense.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_steps": 0}, r"sleep.num_steps must be >= 1, got 0"),
        ({"rho": -0.1}, "sleep.rho must be >= 0"),
        ({"rho": float("nan")}, "sleep.rho must be >= 0"),
        ({"max_batch_change": 0.0}, "sleep.max_batch_change must be > 0"),
        ({"strength": -1.0}, "sleep.strength must be > 0"),
        ({"seed": -1}, "sleep.seed must be in"),
        ({"k": (5, 0)}, "sleep.k must be >= 1"),
        ({"radius": -1}, "sleep.radius must be >= 0"),
        ({"thresholds": (36.0, 0.0)}, "sleep.thresholds must be > 0"),
        ({"stages": ()}, "sleep.stages must name a stage"),
        ({"competition": "all"}, "sleep.competition must be one of image, step, none, got 'all'"),
        ({"firing_share": 1.0}, r"sleep.firing_share must be in \(0, 1\)"),
        ({"competition": "none", "order": "as-printed"}, "compares first spikes"),
        ({"rho": None, "max_batch_change": None}, "give 'strength'"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        SleepConfig(**settings)


def test_settings_for_json_leave_out_what_does_not_matter():
    assert "save_every" not in SleepConfig().to_json()
    assert SleepConfig(k=(5, 3)).to_json()["k"] == [5, 3]


def test_the_literal_settings_are_the_printed_ones():
    config = SleepConfig.paper_literal()
    assert (config.threshold_mode, config.strength, config.rho, config.batch_size) == (
        "absolute",
        1.0,
        None,
        1,
    )


def test_other_weights_are_for_the_fused_engine():
    assert SleepConfig(engine="fused", weight_type="i8").weight_type == "i8"
    with pytest.raises(ConfigError, match=r"sleep.weight_type 'i8' is known to the fused engine only"):
        SleepConfig(weight_type="i8")
    with pytest.raises(ConfigError, match=r"sleep.weight_type must be one of i16, f32, i8, got 'i4'"):
        SleepConfig(engine="fused", weight_type="i4")
