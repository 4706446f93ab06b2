"""The devices and processes of one training, by accelerate."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState

from sleepdefense.errors import ConfigError
from sleepdefense.training.config import TrainConfig


@contextmanager
def accelerator_for(config: TrainConfig) -> Iterator[Accelerator]:
    """Yield an accelerator for this call alone, and leave accelerate's global state as it was.

    accelerate keeps the first device and precision of a process for good. It has no public way to begin
    again, so what it shares is put aside by hand.
    """
    has_gpu = torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise ConfigError("train.device is 'cuda', but torch finds no GPU here: use 'cpu' or 'auto'")
    shared = [state._shared_state for state in (PartialState, AcceleratorState, GradientState)]
    before = [dict(state) for state in shared]
    try:
        for state in shared:
            state.clear()
        try:
            accelerator = Accelerator(
                cpu=config.device == "cpu" or not has_gpu, mixed_precision=config.precision
            )
        except ValueError as error:
            raise ConfigError(f"train.precision '{config.precision}' cannot be had here: {error}") from error
        if config.precision == "fp16" and accelerator.device.type == "cpu":
            raise ConfigError("train.precision 'fp16' needs a GPU: use 'bf16' or 'no'")
        yield accelerator
    finally:
        for state, content in zip(shared, before, strict=True):
            state.clear()
            state.update(content)
