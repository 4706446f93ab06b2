"""Sigmoid and tanh whose value does not depend on where in a batch it stands."""

import numpy as np
import torch
from torch import Tensor


def squash(drive: Tensor, kind: str) -> Tensor:
    """Return the sigmoid or the tanh of every entry, in float64.

    torch computes the last entries of an array, those that fill no vector register, by another formula,
    so that a value can change by a bit with the size of its batch. NumPy treats all entries alike; torch is
    used where a gradient is wanted, and off the CPU.

    Args:
        drive: Any shape.
        kind: "sigmoid" or "tanh".

    >>> squash(torch.tensor([0.0, 100.0]), "sigmoid")
    tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    drive = drive.double()
    if drive.requires_grad or drive.device.type != "cpu":
        return torch.sigmoid(drive) if kind == "sigmoid" else torch.tanh(drive)
    values = drive.detach().numpy()
    if kind == "tanh":
        return torch.from_numpy(np.tanh(values))
    return torch.from_numpy(1.0 / (1.0 + np.exp(-np.clip(values, -700.0, 700.0))))
