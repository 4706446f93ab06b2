"""Opponent: snntorch's layers and torch's convolutions, step by step, with competition and rule in NumPy."""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sleepdefense.bench.memory_layout import lay_out
from sleepdefense.bench.opponent import NO_WINNERS, Opponent, Outcome, Prepare, Run
from sleepdefense.bench.winners import choose_winners_, learn_
from sleepdefense.bench.workload import Workload

_LATER = 1e7
"""More than any potential: a neuron that fires a step later is behind all that fired before."""


def _prepare(learning: Literal["image", "step"], *, channels_last: bool) -> Prepare:
    def prepare(workload: Workload, record: bool) -> Run:
        from sleepdefense.spiking.snntorch_backend import leaky_layer

        unit = np.float32(workload.unit)
        train = [lay_out(step, last=channels_last) for step in torch.from_numpy(workload.train()).float()]
        masters = [layer.weight.astype(np.float32) / unit for layer in workload.layers]
        weights = [lay_out(torch.from_numpy(master.copy()), last=channels_last) for master in masters]
        neurons = [leaky_layer(float(layer.threshold / unit)) for layer in workload.layers]

        def run() -> Outcome:
            learned = [master.copy() for master in masters]
            return _simulate(workload, train, weights, neurons, learned, learning, record=record)

        return run

    return prepare


def _simulate(
    workload: Workload,
    train: list[torch.Tensor],
    weights: list[torch.Tensor],
    neurons: list[torch.nn.Module],
    learned: list[NDArray[np.float32]],
    learning: Literal["image", "step"],
    *,
    record: bool,
) -> Outcome:
    """Simulate all images at once; the weights that act stay, a copy learns, as in a batch of ours."""
    num_images, num_steps = len(workload.images), workload.num_steps
    shapes = [(num_images, *shape) for shape in workload.shapes]
    first = [np.full(shape, num_steps, dtype=np.int32) for shape in shapes]
    potential = [np.zeros(shape, dtype=np.float32) for shape in shapes]
    layout_is_last = weights[0].stride(1) == 1
    membranes = [lay_out(torch.zeros(shape), last=layout_is_last) for shape in shapes[1:]]
    kept: list[list[NDArray[np.uint8]]] = [[] for _ in workload.layers]
    for step in range(num_steps):
        signal = train[step]
        new = (signal.numpy() > 0) & (first[0] == num_steps)
        first[0][new] = step
        for number, layer in enumerate(workload.layers):
            current = F.conv2d(signal, weights[number], stride=layer.stride, padding=layer.padding)
            signal, membranes[number] = neurons[number](current, membranes[number])
            fired, membrane = signal.numpy() > 0, membranes[number].numpy()
            new = fired & (first[number + 1] == num_steps)
            first[number + 1][new] = step
            if learning == "image":
                potential[number + 1][new] = membrane[new]
            else:
                for image in range(num_images):
                    score = np.where(fired[image], membrane[image], -np.inf)
                    winners = choose_winners_(score, k=workload.k[number], radius=workload.radius[number])
                    learn_(learned[number], winners, [step] * len(winners), first[number][image], layer)
            if record:
                kept[number].append(fired.astype(np.uint8))
    spikes = tuple(np.stack(steps) for steps in kept) if record else ()
    if learning == "step":
        return Outcome(NO_WINNERS, spikes)
    return Outcome(_learn_once_(workload, first, potential, learned), spikes)


def _learn_once_(
    workload: Workload,
    first: list[NDArray[np.int32]],
    potential: list[NDArray[np.float32]],
    learned: list[NDArray[np.float32]],
) -> NDArray[np.int32]:
    """Let the winners of each image learn, in `learned`, and return them."""
    most = max(workload.k)
    found = np.full((len(workload.images), len(workload.layers), most, 4), -1, dtype=np.int32)
    for image in range(len(workload.images)):
        for number, layer in enumerate(workload.layers):
            when = first[number + 1][image]
            earliest = np.where(
                when < workload.num_steps, potential[number + 1][image] - when * _LATER, -np.inf
            )
            winners = choose_winners_(earliest, k=workload.k[number], radius=workload.radius[number])
            steps = [int(when[winner]) for winner in winners]
            learn_(learned[number], winners, steps, first[number][image], layer)
            for rank, (winner, step) in enumerate(zip(winners, steps, strict=True)):
                found[image, number, rank] = (*winner, step)
    return found


SNNTORCH = tuple(
    Opponent(
        name=f"snntorch + NumPy k-WTA{', channels last' if channels_last else ''}",
        learning=learning,
        prepare=_prepare(learning, channels_last=channels_last),
        goal=f"snntorch-{learning}",
    )
    for learning in ("image", "step")
    for channels_last in (False, True)
)
"""Leaky with beta = 1, reset by subtraction; in torch's plain memory layout, and channels last."""
