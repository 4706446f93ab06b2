import pytest

from sleepdefense.config import SleepSection
from sleepdefense.errors import ConfigError
from sleepdefense.pipeline.sleeping import make_rule, make_sleep_config


def test_lists_stand_for_tuples_and_whole_numbers_for_floats() -> None:
    config = make_sleep_config(SleepSection(settings={"k": [5, 1], "rho": 1, "stages": ["a"]}), seed=3)
    assert (config.k, config.rho, config.stages, config.seed) == ((5, 1), 1, ("a",), 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": 3}, "unknown setting 'sleep.images': expected one of num_steps, batch_size"),
        ({"seed": 3}, r"'sleep.seed' is no setting of its own: .*--seed"),
        ({"k": "five"}, r"'sleep.k' must be of type int \| tuple.*, got 'five'"),
        ({"k": [5, "one"]}, r"'sleep.k' must be of type .*, got \[5, 'one'\]"),
        ({"rho": "much"}, r"'sleep.rho' must be of type float \| None, got 'much'"),
        ({"batch_size": 2.5}, "'sleep.batch_size' must be of type int, got 2.5"),
        ({"engine": "warp"}, "sleep.engine must be one of auto, fused, torch, reference, got 'warp'"),
    ],
    ids=lambda value: None,
)
def test_a_wrong_setting_of_the_sleep_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_sleep_config(SleepSection(settings=settings), seed=0)


@pytest.mark.parametrize(
    ("rule", "settings", "message"),
    [
        ("hebb", {}, "unknown rule 'hebb': expected one of stdp, mirrored-stdp"),
        ("stdp", {"speed": 1}, "unknown setting 'stdp.speed': expected one of a_plus, a_minus"),
        ("mirrored-stdp", {"kappa": "all"}, "'mirrored-stdp.kappa' must be of type float, got 'all'"),
    ],
    ids=lambda value: None,
)
def test_a_wrong_setting_of_a_rule_is_named(rule: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_rule(SleepSection(rule=rule, rule_settings=settings))
