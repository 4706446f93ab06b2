"""Opponent without learning: many steps in one convolution, then a compiled scan over them.

The best dense way on a processor that we know: nothing depends on spikes, and weights are read once for many
steps. The scan is given the benefit of the doubt: compiled, vectorised, in place, one pass.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import numba
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sleepdefense.bench.memory_layout import lay_out
from sleepdefense.bench.opponent import NO_WINNERS, Opponent, Outcome, Prepare, Run
from sleepdefense.bench.workload import Workload

_F = TypeVar("_F", bound=Callable[..., Any])
_NJIT: Final[Any] = numba.njit

_ONE_IN_BFLOAT16 = np.uint16(0x3F80)


def _compiled(func: _F) -> _F:
    compiled: _F = _NJIT(nogil=True)(inspect.unwrap(func))  # a shape checker may have wrapped it
    return compiled


@_compiled
def _scan_(
    spikes: NDArray[Any],
    membrane: NDArray[np.float32],
    current: NDArray[np.float32],
    threshold: np.float32,
    one: Any,
    first: int,
    num_steps: int,
) -> None:
    """Integrate and fire through (step, neuron); a new image begins at every multiple of num_steps."""
    none = one - one
    for step in range(current.shape[0]):
        if (first + step) % num_steps == 0:
            membrane[:] = np.float32(0)
        for neuron in range(membrane.size):
            value = membrane[neuron] + current[step, neuron]
            fires = value > threshold
            spikes[step, neuron] = one if fires else none
            membrane[neuron] = value - threshold if fires else value


class _Stage(NamedTuple):
    """One layer's weights and room for one call."""

    weight: torch.Tensor
    threshold: np.float32
    spikes: torch.Tensor
    """(step, feature, height, width), in the dtype of the convolution."""
    flat: NDArray[Any]
    """The same memory, (step, neuron); of bfloat16 the bits."""
    membrane: NDArray[np.float32]


def _flat(tensor: torch.Tensor, *, channels_last: bool) -> NDArray[Any]:
    """Return a view (step, neuron) in the order of the memory."""
    ordered = tensor.permute(0, 2, 3, 1) if channels_last else tensor
    if tensor.dtype == torch.bfloat16:
        ordered = ordered.view(torch.uint16)
    flat: NDArray[Any] = ordered.view(len(tensor), -1).numpy()
    return flat


def _prepare(dtype: torch.dtype, batch: int, *, channels_last: bool) -> Prepare:
    one: Any = _ONE_IN_BFLOAT16 if dtype == torch.bfloat16 else np.float32(1)

    def prepare(workload: Workload, record: bool) -> Run:
        unit = np.float32(workload.unit)
        stages = []
        for layer, shape in zip(workload.layers, workload.shapes[1:], strict=True):
            weight = torch.from_numpy(layer.weight.astype(np.float32) / unit)
            spikes = lay_out(torch.zeros((batch, *shape), dtype=dtype), last=channels_last)
            stages.append(
                _Stage(
                    weight=lay_out(weight.to(dtype), last=channels_last),
                    threshold=np.float32(layer.threshold / unit),
                    spikes=spikes,
                    flat=_flat(spikes, channels_last=channels_last),
                    membrane=np.zeros(int(np.prod(shape)), dtype=np.float32),
                )
            )
        # image after image, each with all its steps
        train = torch.from_numpy(np.ascontiguousarray(workload.train().swapaxes(0, 1)))
        train = lay_out(train.flatten(0, 1).to(dtype), last=channels_last)

        def run() -> Outcome:
            kept: list[list[NDArray[np.uint8]]] = [[] for _ in stages]
            for first in range(0, len(train), batch):
                signal = train[first : first + batch]
                for number, (layer, stage) in enumerate(zip(workload.layers, stages, strict=True)):
                    current = F.conv2d(signal, stage.weight, stride=layer.stride, padding=layer.padding)
                    _scan_(
                        stage.flat,
                        stage.membrane,
                        _flat(lay_out(current.float(), last=channels_last), channels_last=channels_last),
                        stage.threshold,
                        one,
                        first,
                        workload.num_steps,
                    )
                    signal = stage.spikes[: len(signal)]
                    if record:
                        kept[number].append(signal.to(torch.uint8).contiguous().numpy())
            return Outcome(NO_WINNERS, _by_image(kept, len(workload.images)) if record else ())

        return run

    return prepare


def _by_image(kept: list[list[NDArray[np.uint8]]], num_images: int) -> tuple[NDArray[np.uint8], ...]:
    """Turn what came image after image into (time, image, feature, height, width)."""
    whole = (np.concatenate(parts) for parts in kept)
    return tuple(each.reshape(num_images, -1, *each.shape[1:]).swapaxes(0, 1) for each in whole)


def _opponent(dtype: torch.dtype, batch: int, *, channels_last: bool) -> Opponent:
    short = {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]
    return Opponent(
        name=f"convolution {short}, {batch} steps a call, {'channels last' if channels_last else 'NCHW'}",
        learning="none",
        prepare=_prepare(dtype, batch, channels_last=channels_last),
        note="rounds currents to 8 bits: other spikes" if dtype == torch.bfloat16 else "",
    )


EXACT = tuple(
    _opponent(torch.float32, batch, channels_last=channels_last)
    for channels_last in (False, True)
    for batch in (8, 32)
)
"""With float32: the same spikes as ours."""

ROUNDED = tuple(
    _opponent(torch.bfloat16, batch, channels_last=channels_last)
    for channels_last in (False, True)
    for batch in (8, 32)
)
"""With bfloat16, which not every processor computes with."""
