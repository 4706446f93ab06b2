"""What can be compared with the kernels: another way to do the same work."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.bench.workload import Workload
from sleepdefense.errors import ConfigError

Learning = Literal["image", "step", "none"]


class Outcome(NamedTuple):
    """What a contestant found out; empty where it does not say.

    Attributes:
        winners: (image, layer, winner, 4): rows (feature, row, column, step) as in `SleepRecord`.
        spikes: Per layer (time, image, feature, height, width), only if asked for.
    """

    winners: NDArray[np.int32]
    spikes: tuple[NDArray[np.uint8], ...] = ()


Run = Callable[[], Outcome]
Prepare = Callable[[Workload, bool], Run]
"""From a workload, and whether all spikes shall be kept, to what is timed. What is done here is not timed."""

NO_WINNERS: NDArray[np.int32] = np.empty((0, 0, 0, 4), dtype=np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opponent:
    """Another way to simulate a workload, and to learn from it.

    Attributes:
        name: Shown in the table.
        learning: Winners per image, winners per step, or no learning: what it is compared with.
        prepare: See `Prepare`.
        goal: Key of `GOALS` that speaks of it, or None.
        num_images: Most images of the workload that it is given, where it is slow; None: all.
        num_steps: Most steps.
        note: What it does differently.
    """

    name: str
    learning: Learning
    prepare: Prepare
    goal: str | None = None
    num_images: int | None = None
    num_steps: int | None = None
    note: str = ""


class Missing(NamedTuple):
    """An opponent that cannot take part.

    Attributes:
        name: Of its file.
        why: The library that is not there.
    """

    name: str
    why: str


def load_opponents(path: Path) -> tuple[Opponent, ...] | Missing:
    """Run a Python file that defines `OPPONENTS`, a tuple of `Opponent`.

    Returns:
        The opponents; or what is missing, if the file cannot import its library.

    Raises:
        ConfigError: There is no such file, or it defines no opponents.
    """
    spec = importlib.util.spec_from_file_location(f"opponents_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"opponent '{path}' is no Python file: take one of the folder benchmarks")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        return Missing(path.stem, str(error))
    found = getattr(module, "OPPONENTS", None)
    if not isinstance(found, tuple) or not all(isinstance(each, Opponent) for each in found):
        raise ConfigError(f"'{path}' defines no tuple OPPONENTS: see benchmarks/README.md")
    return found
