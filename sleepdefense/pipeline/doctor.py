"""Is this machine fit? Small checks, each with what to do about it."""

import os
import platform
import shutil
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch

from sleepdefense.data import describe_datasets
from sleepdefense.errors import SleepDefenseError
from sleepdefense.kernels import bernoulli_train, select_winners
from sleepdefense.pipeline.provenance import versions
from sleepdefense.spiking.backend import AbstractBackend, TorchBackend

ENOUGH_DISK = 2 << 30


class Finding(NamedTuple):
    """One check.

    Attributes:
        what: What was looked at.
        state: "ok", "note" (works, but you may want to know) or "fail".
        text: What was found, and what to do.
    """

    what: str
    state: Literal["ok", "note", "fail"]
    text: str


def examine() -> list[Finding]:
    """Look at everything a run needs."""
    checks: tuple[Callable[[], list[Finding]], ...] = (
        _versions,
        _machine,
        _gpu,
        _kernels,
        _simulators,
        _data,
    )
    return [finding for check in checks for finding in check()]


def _versions() -> list[Finding]:
    known = versions()
    text = ", ".join(f"{name} {version}" for name, version in known.items())
    missing = [name for name, version in known.items() if version == "not installed"]
    if missing:
        return [
            Finding("versions", "fail", f"not installed: {', '.join(missing)}; install the package again")
        ]
    return [Finding("versions", "ok", f"Python {platform.python_version()}, {text}")]


def _machine() -> list[Finding]:
    free = shutil.disk_usage(".").free
    cores = os.cpu_count() or 1
    found = [
        Finding(
            "processor", "ok", f"{platform.machine()}, {cores} cores, torch uses {torch.get_num_threads()}"
        )
    ]
    state: Literal["ok", "note"] = "ok" if free > ENOUGH_DISK else "note"
    found.append(Finding("disk", state, f"{free / 2**30:.1f} GiB free here; a run on MNIST takes about 0.5"))
    return found


def _gpu() -> list[Finding]:
    if not torch.cuda.is_available():
        return [Finding("GPU", "note", "none: training runs on the CPU")]
    return [Finding("GPU", "ok", torch.cuda.get_device_name(0))]


def _kernels() -> list[Finding]:
    start = time.perf_counter()
    image = np.array([[[[0.0, 1.0]]]], dtype=np.float32)
    train = bernoulli_train(image, np.zeros(1, np.int64), seed=0, first_step=0, num_steps=3)
    winner = select_winners(
        np.array([[[3, 1]]], np.int32), np.array([[[0, 5]]], np.int64), num_steps=3, k=1, radius=0
    )
    if train[:, 0, 0, 0].tolist() != [[0, 1]] * 3 or winner.tolist() != [[0, 0, 1, 1]]:
        return [Finding("kernels", "fail", "wrong result; delete the Numba cache and try again")]
    return [Finding("kernels", "ok", f"right results after {time.perf_counter() - start:.1f} s of loading")]


def _simulators() -> list[Finding]:
    import warnings

    from sleepdefense.spiking.snntorch_backend import SnntorchBackend

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from sleepdefense.spiking.norse_backend import NorseBackend
    current = torch.tensor([[0.3, 0.5, 0.75, 2.5]])
    backends: tuple[AbstractBackend, ...] = (TorchBackend(), SnntorchBackend(), NorseBackend())
    counts = []
    for backend in backends:
        state, total = None, torch.zeros(1, 4)
        for _ in range(40):
            result = backend.step(current, state, 1.0)
            state, total = result.state, total + result.spikes.detach()
        counts.append(total.tolist())
    if counts[0] != counts[1] or counts[0] != counts[2]:
        return [Finding("simulators", "fail", f"torch, snntorch and norse disagree: {counts}")]
    return [Finding("simulators", "ok", "torch, snntorch and norse give the same spikes")]


def _data() -> list[Finding]:
    try:
        rows = describe_datasets(None)
    except SleepDefenseError as error:
        return [Finding("data", "fail", str(error))]
    return [Finding(f"data: {row.name}", "ok", row.where) for row in rows]
