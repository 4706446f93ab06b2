"""Checks of a model's settings, so that a wrong one is named before anything is built."""

import inspect
from collections.abc import Mapping
from typing import Any

from sleepdefense.errors import ConfigError


def check_keywords(name: str, model: type, settings: Mapping[str, Any]) -> None:
    """Compare settings, such as a file or a command line gives them, with a constructor.

    Args:
        name: What the user calls the model, for the message.
        model: The class; the defaults of its keywords say which are whole numbers and which are not.
        settings: The keywords to check.

    Raises:
        ConfigError: A keyword is unknown, or its value is not of the right kind.
    """
    known = {
        key: parameter.default
        for key, parameter in inspect.signature(model).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for key, value in settings.items():
        if key not in known:
            raise ConfigError(f"model '{name}' has no setting '{key}': expected {', '.join(known)}")
        is_switch, whole = isinstance(known[key], bool), isinstance(known[key], int)
        kinds = int if whole else (int, float)
        if isinstance(value, bool) != is_switch or not isinstance(value, kinds):
            expected = "true or false" if is_switch else "a whole number" if whole else "a number"
            raise ConfigError(f"setting '{key}' of model '{name}' must be {expected}, got {value!r}")


def check_counts(name: str, **counts: int) -> None:
    """Refuse counts (channels, units, pixels) below 1, with a ConfigError that names the first."""
    for key, count in counts.items():
        if count < 1:
            raise ConfigError(f"setting '{key}' of model '{name}' must be >= 1, got {count}")


def check_fractions(name: str, **fractions: float) -> None:
    """Refuse dropout fractions outside [0, 1), with a ConfigError that names the first."""
    for key, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise ConfigError(
                f"setting '{key}' of model '{name}' must be in [0, 1), the fraction dropped, got {fraction}"
            )


def check_size(name: str, size: int, *, smallest: int) -> None:
    """Refuse images too small for the network's layers, with a ConfigError that says what fits."""
    if size < smallest:
        raise ConfigError(
            f"setting 'size' of model '{name}' must be >= {smallest}, got {size}: its layers leave no pixel "
            f"of a smaller image. Enlarge the images (28 is MNIST's size), or choose a network without "
            "convolutions"
        )
