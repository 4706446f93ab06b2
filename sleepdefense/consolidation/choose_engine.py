"""Which engine runs a sleep."""

import torch

from sleepdefense.consolidation.engine import AbstractEngine
from sleepdefense.consolidation.fused import FusedEngine
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.reference import ReferenceEngine
from sleepdefense.errors import ConfigError, SleepError
from sleepdefense.spiking.backend import AbstractBackend


def choose_engine(
    plan: SleepPlan, device: torch.device, *, threads: int | None, backend: AbstractBackend | None
) -> AbstractEngine:
    """Return the engine that the settings ask for; with "auto" the fused one wherever it can be.

    Args:
        plan: What is settled.
        device: Where the images are.
        threads: For the fused engine.
        backend: Simulator of the neurons for the reference engine; None: snntorch.

    Raises:
        SleepError: The fused engine is asked for and cannot run this network; the message says why.
        ConfigError: The fused engine is asked for, and a backend, which it has no use for.
    """
    wanted = plan.config.engine
    if wanted == "fused":
        if backend is not None:
            raise ConfigError("sleep.engine is 'fused', which takes no 'backend': take 'reference', or none")
        try:
            return FusedEngine(plan, threads)
        except SleepError as error:
            raise SleepError(f"the fused engine cannot run this network: {error}. Take 'auto'.") from error
    if wanted == "reference":
        return _reference(plan, backend, "asked for")
    if backend is not None:
        return _reference(plan, backend, "a backend was given")
    if device.type != "cpu":
        return _reference(plan, backend, f"the images are on {device.type!r}")
    try:
        return FusedEngine(plan, threads)
    except SleepError as error:
        return _reference(plan, backend, str(error))


def _reference(plan: SleepPlan, backend: AbstractBackend | None, reason: str) -> ReferenceEngine:
    if backend is None:
        from sleepdefense.spiking.snntorch_backend import SnntorchBackend  # slow to import, often not needed

        backend = SnntorchBackend()
    return ReferenceEngine(plan, backend, f"engine: reference with {type(backend).__name__} ({reason})")
