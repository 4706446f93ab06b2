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
        classifier=ModelConfig(model="c1", settings={"width": 16}, epochs=25, batch_size=32),
        pairs=PairsConfig(attacks="FGSM,RAND+FGSM,CW(steps=10),GaussianNoise,GaussianNoise:0.01"),
        awake=ModelConfig(
            model="defense-vae",
            settings={"width": 8, "latent": 32, "kl_weight": 0.1},
            epochs=40,
            batch_size=32,
        ),
        conversion=ConversionConfig(images=512, report_images=16),
        sleep=SleepSection(controls=("shuffled",)),
        evaluation=EvaluationConfig(images=120, batch_size=60),
    ),
    "mnist-quick": ExperimentConfig(
        name="mnist-quick",
        data=DataConfig(name="mnist", limit=21000, held_out=1000),
        classifier=ModelConfig(model="c1", settings={"width": 32}, epochs=5, batch_size=64),
        pairs=PairsConfig(attacks="FGSM,RAND+FGSM,CW(steps=10),GaussianNoise"),
        awake=ModelConfig(
            model="defense-vae", settings={"width": 16, "kl_weight": 0.1}, epochs=12, batch_size=64
        ),
        conversion=ConversionConfig(report_images=16),
        sleep=SleepSection(controls=("shuffled",)),
        evaluation=EvaluationConfig(images=500),
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
