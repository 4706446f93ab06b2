"""Runs that come with the package."""

from sleepdefense.config import (
    ConversionConfig,
    DataConfig,
    EvaluationConfig,
    ExperimentConfig,
    ModelConfig,
    PairsConfig,
    SleepSection,
)
from sleepdefense.errors import ConfigError

PRESETS: dict[str, ExperimentConfig] = {
    "digits": ExperimentConfig(
        name="digits",
        data=DataConfig(name="digits", held_out=200),
        classifier=ModelConfig(model="vanilla-cnn", epochs=8, batch_size=32),
        pairs=PairsConfig(attacks="quick-training"),
        awake=ModelConfig(model="defense-vae", settings={"width": 8}, epochs=40, batch_size=32),
        conversion=ConversionConfig(images=512, report_images=32),
        evaluation=EvaluationConfig(batch_size=180),
    ),
    "mnist-quick": ExperimentConfig(
        name="mnist-quick",
        data=DataConfig(name="mnist", limit=20000, held_out=1000),
        classifier=ModelConfig(model="vanilla-cnn", epochs=2),
        pairs=PairsConfig(attacks="FGSM,RAND+FGSM,PGD(steps=10,relative_step=0.2),GaussianNoise"),
        awake=ModelConfig(model="defense-vae", settings={"width": 16}, epochs=8, batch_size=64),
        evaluation=EvaluationConfig(images=1000),
        sleep=SleepSection(),
    ),
}
"""Name -> settings. "digits" needs no file and is what `sleepdefense run` does when told nothing."""


def find_preset(name: str) -> ExperimentConfig:
    """Return the preset of that name.

    Raises:
        ConfigError: There is none; the message lists those there are.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset '{name}': expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
