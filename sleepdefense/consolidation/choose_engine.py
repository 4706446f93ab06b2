"""Which engine runs a sleep."""

import torch

from sleepdefense.consolidation.engine import AbstractEngine
from sleepdefense.consolidation.fused import FusedEngine
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.reference import ReferenceEngine
from sleepdefense.consolidation.torch_engine import TorchEngine
from sleepdefense.errors import ConfigError, SleepError
from sleepdefense.spiking.backend import AbstractBackend


def choose_engine(
    plan: SleepPlan, device: torch.device, *, threads: int | None, backend: AbstractBackend | None
) -> AbstractEngine:
    """Return the engine that the settings ask for; with "auto" a fast one wherever it can be.

    Args:
        plan: What is settled.
        device: Where the images are. "auto" takes the fused engine on the processor, elsewhere the torch
            engine.
        threads: For the fused engine.
        backend: Simulator of the neurons for the reference engine; None: snntorch.

    Raises:
        SleepError: A fast engine is asked for and cannot run this network; the message says why.
        ConfigError: A fast engine is asked for, and a backend, which it has no use for.
    """
    wanted = plan.config.engine
    if wanted in ("fused", "torch"):
        if backend is not None:
            raise ConfigError(
                f"sleep.engine is {wanted!r}, which takes no 'backend': take 'reference', or none"
            )
        try:
            return FusedEngine(plan, threads) if wanted == "fused" else TorchEngine(plan, device)
        except SleepError as error:
            raise SleepError(f"the {wanted} engine cannot run this network: {error}. Take 'auto'.") from error
    if wanted == "reference":
        return _reference(plan, backend, "asked for")
    if backend is not None:
        return _reference(plan, backend, "a backend was given")
    try:
        return FusedEngine(plan, threads) if device.type == "cpu" else TorchEngine(plan, device)
    except SleepError as error:
        return _reference(plan, backend, str(error))


def _reference(plan: SleepPlan, backend: AbstractBackend | None, reason: str) -> ReferenceEngine:
    if backend is None:
        from sleepdefense.spiking.snntorch_backend import SnntorchBackend  # slow to import, often not needed

        backend = SnntorchBackend()
    return ReferenceEngine(plan, backend, f"engine: reference with {type(backend).__name__} ({reason})")
