from pathlib import Path

import pytest

from sleepdefense.config import config_from_mapping, load_config
from sleepdefense.errors import ConfigError
from sleepdefense.pipeline import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_its_own_plain_values(name: str) -> None:
    preset = PRESETS[name]
    assert config_from_mapping(preset.to_json()) == preset
    assert config_from_mapping(preset.to_json()).digest == preset.digest


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sed": 1}, "unknown setting 'sed': expected one of name, seed"),
        ({"data": {"nam": "mnist"}}, "unknown setting 'data.nam'"),
        ({"data": "mnist"}, "'data' must be a table of settings, got 'mnist'"),
        ({"data": {"limit": "all"}}, r"'data.limit' must be of type int \| None, got 'all'"),
        ({"data": {"limit": 0}}, "'data.limit' must be >= 1, got 0"),
        ({"seed": -1}, r"'seed' must be in \[0, 2\*\*31\), got -1"),
        ({"awake": {"epochs": 3}}, "'awake' lacks 'model'"),
        ({"awake": {"model": "c4", "epochs": 0}}, "'awake.epochs' must be >= 1, got 0"),
        ({"awake": {"model": "c4", "learning_rate": 0.0}}, "'awake.learning_rate' must be > 0"),
        ({"conversion": {"percentile": 101}}, r"'conversion.percentile' must be in \(0, 100\], got 101"),
        ({"sleep": {"cycles": True}}, "'sleep.cycles' must be of type int, got True"),
        ({"sleep": {"settings": 3}}, "'sleep.settings' must be of type .*Mapping.*, got 3"),
        ({"sleep": {"rule": 3}}, "'sleep.rule' must be of type str, got 3"),
    ],
    ids=lambda value: None,
)
def test_wrong_settings_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_mapping(values)


def test_a_file_is_read_and_its_name_stands_in_the_error(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('name = "mine"\nseed = 3\n[sleep.settings]\nrho = 0.05\n')
    config = load_config(path)
    assert (config.name, config.seed, config.sleep.settings["rho"]) == ("mine", 3, 0.05)
    path.write_text("seed = 'x")
    with pytest.raises(ConfigError, match=r"cannot read settings from '.*run.toml'"):
        load_config(path)
    path.write_text("[evaluation]\nimages = 0\n")
    with pytest.raises(ConfigError, match=r"run.toml': 'evaluation.images' must be >= 1"):
        load_config(path)
    with pytest.raises(ConfigError, match="cannot read settings"):
        load_config(tmp_path / "absent.toml")
