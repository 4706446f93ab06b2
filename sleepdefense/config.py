"""The settings of a whole run, checked before anything is computed.

A TOML file has one table for each phase; what it leaves out takes the default below. `sleep.rule`,
`evaluation.attacks` and the like are names that the phase itself resolves; the pipeline does so before the
first step begins.
"""

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from sleepdefense.errors import ConfigError

Settings = Mapping[str, Any]


def _at_least(section: str, name: str, value: float, low: float) -> None:
    if not value >= low:
        raise ConfigError(f"'{section}.{name}' must be >= {low:g}, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which images.

    Attributes:
        name: "digits", "mnist", "fashion-mnist".
        limit: Training images, the first so many; None all.
        held_out: The last so many training images are kept out of training, for the guard of the sleep.
    """

    name: str = "digits"
    limit: int | None = None
    held_out: int = 200

    def __post_init__(self) -> None:
        if self.limit is not None:
            _at_least("data", "limit", self.limit, 1)
        _at_least("data", "held_out", self.held_out, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A network and how long it trains.

    Attributes:
        model: Its name.
        settings: Keywords of its constructor (width, latent, ...); image size and channels are filled in.
        epochs: Passes over the training images.
        batch_size: Images a step.
        learning_rate: Of Adam, > 0.
    """

    model: str
    settings: Settings = field(default_factory=dict)
    epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        _at_least("model", "epochs", self.epochs, 1)
        _at_least("model", "batch_size", self.batch_size, 1)
        if not self.learning_rate > 0:
            raise ConfigError(f"'model.learning_rate' must be > 0, got {self.learning_rate!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsConfig:
    """What the purifier learns to remove.

    Attributes:
        attacks: Names of attacks, or of a profile; each gives one noisy variant of every training image.
        pairing: "sample": every epoch shows each image in one variant, drawn anew; "all": in all of them.
    """

    attacks: str = "quick-training"
    pairing: str = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionConfig:
    """How the network is converted.

    Attributes:
        percentile: Of the positive activations, in (0, 100].
        images: Training images to calibrate on.
        report_images: Images to compare both networks on.
        report_steps: Lengths of the runs to compare.
    """

    percentile: float = 99.9
    images: int = 1024
    report_images: int = 64
    report_steps: tuple[int, ...] = (4, 16, 64, 256)

    def __post_init__(self) -> None:
        if not 0 < self.percentile <= 100:
            raise ConfigError(f"'conversion.percentile' must be in (0, 100], got {self.percentile!r}")
        _at_least("conversion", "images", self.images, 1)
        _at_least("conversion", "report_images", self.report_images, 1)
        if not self.report_steps or min(self.report_steps) < 1:
            raise ConfigError(f"'conversion.report_steps' must be numbers >= 1, got {self.report_steps!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepSection:
    """How it sleeps.

    Attributes:
        rule: Name of the learning rule.
        rule_settings: Keywords of the rule.
        settings: Keywords of the sleep itself: rho, num_steps, k, radius, ...
        guard: Most that the sleep may cost on held-out images: points of clean accuracy behind the
            classifier, as a fraction (0.005 is half a point). None: no guard.
        cycles: Naps; after each but the last the network trains for `awake_steps` mini-batches.
        awake_steps: Mini-batches between naps.
        controls: Names of the controls that are evaluated beside the sleep.
    """

    rule: str = "mirrored-stdp"
    rule_settings: Settings = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    guard: float | None = 0.005
    cycles: int = 1
    awake_steps: int = 0
    controls: tuple[str, ...] = ("shuffled", "anti")

    def __post_init__(self) -> None:
        _at_least("sleep", "cycles", self.cycles, 1)
        _at_least("sleep", "awake_steps", self.awake_steps, 0)
        if self.guard is not None:
            _at_least("sleep", "guard", self.guard, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """What is attacked, and with what.

    Attributes:
        attacks: Names of attacks, or of a profile.
        images: Test images, the first so many; None all.
        batch_size: Images attacked at once.
        checks: Whether to look for signs of masked gradients.
    """

    attacks: str = "FGSM,RAND+FGSM,PGD,CW,GaussianNoise,GaussianBlur,SaltAndPepper"
    images: int | None = None
    batch_size: int = 250
    checks: bool = True

    def __post_init__(self) -> None:
        if self.images is not None:
            _at_least("evaluation", "images", self.images, 1)
        _at_least("evaluation", "batch_size", self.batch_size, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentConfig:
    """A whole run: train, convert, sleep, reconvert, evaluate.

    Attributes:
        name: What the report calls it.
        seed: Of everything random.
        data: Which images.
        classifier: The network behind a purifier; also the one that is attacked.
        pairs: What a purifier learns to remove.
        awake: The network that sleeps: a purifier, or itself a classifier.
        conversion: How it is converted.
        sleep: How it sleeps.
        evaluation: What is attacked, and with what.
    """

    name: str = "digits"
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    classifier: ModelConfig = field(default_factory=lambda: ModelConfig(model="vanilla-cnn"))
    pairs: PairsConfig = field(default_factory=PairsConfig)
    awake: ModelConfig = field(default_factory=lambda: ModelConfig(model="defense-vae"))
    conversion: ConversionConfig = field(default_factory=ConversionConfig)
    sleep: SleepSection = field(default_factory=SleepSection)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"'seed' must be in [0, 2**31), got {self.seed!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    @property
    def digest(self) -> str:
        """SHA-256 of the settings."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


_SECTIONS: dict[str, type] = {
    "data": DataConfig,
    "classifier": ModelConfig,
    "pairs": PairsConfig,
    "awake": ModelConfig,
    "conversion": ConversionConfig,
    "sleep": SleepSection,
    "evaluation": EvaluationConfig,
}


def config_from_mapping(values: Mapping[str, Any]) -> ExperimentConfig:
    """Build the settings of a run from plain values, such as those of a TOML file.

    Args:
        values: One entry for each phase, itself a mapping, and `name` and `seed`.

    Raises:
        ConfigError: A key is unknown, a value has the wrong type or is out of range; the message names it.

    >>> config_from_mapping({"data": {"name": "mnist", "limit": 500}}).data.limit
    500
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key in _SECTIONS:
            if not isinstance(value, Mapping):
                raise ConfigError(f"'{key}' must be a table of settings, got {value!r}")
            found[key] = build_settings(key, _SECTIONS[key], value)
        else:
            found[key] = value
    config: ExperimentConfig = build_settings("", ExperimentConfig, found)
    return config


def load_config(path: Path | str) -> ExperimentConfig:
    """Read the settings of a run from a TOML file.

    Raises:
        ConfigError: The file is missing, is not TOML, or holds wrong settings.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read settings from '{path}': {error}") from error
    try:
        return config_from_mapping(values)
    except ConfigError as error:
        raise ConfigError(f"'{path}': {error}") from error


def build_settings(section: str, kind: Any, values: Mapping[str, Any]) -> Any:
    """Return the dataclass `kind` made of these settings; lists become tuples.

    Args:
        section: What the settings belong to, for errors ("sleep"); "" for none.
        kind: The dataclass.
        values: Settings by name, as a file or the command line gives them.

    Raises:
        ConfigError: A setting is unknown, missing, of another type than its field, or refused by the class.

    >>> build_settings("data", DataConfig, {"name": "mnist", "held_out": 500}).held_out
    500
    """
    fields = {entry.name: entry for entry in dataclasses.fields(kind)}
    hints = get_type_hints(kind)
    prefix = f"{section}." if section else ""
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(f"unknown setting '{prefix}{key}': expected one of {', '.join(fields)}")
        hint = hints[key]
        if not _fits(value, hint):
            kind_name = hint.__name__ if isinstance(hint, type) else str(hint)
            raise ConfigError(f"'{prefix}{key}' must be of type {kind_name}, got {value!r}")
    required = [
        name
        for name, entry in fields.items()
        if entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
        and name not in values
    ]
    if required:
        raise ConfigError(f"'{section}' lacks {', '.join(map(repr, required))}")
    try:
        return kind(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        )
    except ConfigError as error:
        raise ConfigError(str(error).replace("'model.", f"'{prefix}")) from error


def _fits(value: Any, hint: Any) -> bool:
    """Tell if a value may stand in a field; a list stands for a tuple, a whole number for a float."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(_fits(each, get_args(hint)[0]) for each in value)
    if hint in (int, float):
        return isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    kind = get_origin(hint) or hint
    return not isinstance(kind, type) or isinstance(value, kind)
