"""What every front door checks before compiled code, which checks nothing, sees the arrays."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LARGEST_STEP = 2**31 - 1
"""Steps are stored in 32 bits, and one more step than the last stands for `never`."""


def check_array(name: str, array: object, dtype: DTypeLike, axes: str) -> None:
    """Refuse an array of another type, rank or memory layout; `axes` reads "feature height width"."""
    expected = np.dtype(dtype)
    if not isinstance(array, np.ndarray) or array.dtype != expected:
        came = getattr(array, "dtype", type(array).__name__)
        raise ValueError(f"'{name}' must be an array of {expected}, got {came}: convert it first")
    names = axes.split()
    if array.ndim != len(names):
        raise ValueError(f"'{name}' must have the axes ({', '.join(names)}), got shape {array.shape}")
    if not array.flags.c_contiguous:
        raise ValueError(f"'{name}' must be C-contiguous: pass np.ascontiguousarray({name})")


def check_in_place(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse an array to be changed that cannot be, or that has another shape."""
    if array.shape != shape:
        raise ValueError(f"'{name}' must have shape {shape}, got {array.shape}")
    if not array.flags.writeable:
        raise ValueError(f"'{name}' is changed in place and must be writeable: pass a copy")


def check_integer(name: str, value: object, *, least: int, most: int = LARGEST_STEP) -> int:
    """Refuse what is no whole number between `least` and `most`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"'{name}' must be an integer, got {value!r}")
    if not least <= value <= most:
        raise ValueError(f"'{name}' must be between {least} and {most}, got {value}")
    return int(value)


def check_pair(name: str, value: object, *, least: int) -> tuple[int, int]:
    """Read one number for both axes, or a pair (row, column)."""
    if not isinstance(value, tuple):
        value = (value, value)
    if len(value) != 2:
        raise ValueError(f"'{name}' must be one integer or a pair (row, column), got {value!r}")
    return check_integer(name, value[0], least=least), check_integer(name, value[1], least=least)


def output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Count the positions of a kernel along one axis; below 1 where it does not fit."""
    return (size + 2 * padding - kernel) // stride + 1
