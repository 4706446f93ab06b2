"""The engine for a GPU: a plain chain, many images and steps at once, in torch."""

from collections.abc import Sequence, Set
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from sleepdefense.consolidation.chain_links import chain_layer, find_chain
from sleepdefense.consolidation.engine import AbstractEngine, BatchEvents
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.torch_bernoulli import bernoulli_spikes
from sleepdefense.consolidation.torch_chunks import plan_chunks
from sleepdefense.consolidation.torch_dynamics import TorchLayer, drive, hidden_shape, integrate_, to_device
from sleepdefense.consolidation.torch_learning import Learner, Terms
from sleepdefense.consolidation.torch_pairings import Counts
from sleepdefense.errors import SleepError
from sleepdefense.kernels import ChainLayer
from sleepdefense.spiking.network import SpikingNetwork
from sleepdefense.spiking.synapses import full_precision

_LARGEST_COUNT = 2**31 - 1


class ChainEvents(NamedTuple):
    """What happened in a chain, by layer."""

    counts: list[Counts | None]
    """None for a layer that does not learn."""
    spikes: list[int]
    """Spikes of all neurons, images and steps."""


@torch.no_grad()
def present_chain(
    images: Float[Tensor, "image channel height width"],
    index: Int64[Tensor, " image"],
    layers: Sequence[ChainLayer],
    *,
    seed: int,
    num_steps: int,
    competition: str,
    k: Sequence[int],
    radius: Sequence[int],
    learns: Sequence[bool],
    depress_outside: bool = False,
    as_printed: bool = False,
    chunk_bytes: int = 2**30,
) -> ChainEvents:
    """Present images to a sleeping chain, and count what its synapses go through.

    The same spikes, winners and counts as `kernels.sleep_images`, where the arguments are described; on the
    device of the images, and in chunks, which have no influence on the result.

    Args:
        images: (image, channel, height, width), in [0, 1].
        index: The number of each image, (image,), on the same device.
        layers: First to last, in grid units.
        seed: In [0, 2**63).
        num_steps: Steps that each image is presented, >= 1.
        competition: "image", "step" or "none".
        k: Most winners, one number for each layer.
        radius: Reach of the inhibition, one number for each layer.
        learns: Whether it learns, for each layer.
        depress_outside: Depress synapses that reach into the rim.
        as_printed: Order of Eq. 6 as printed; only with a competition.
        chunk_bytes: About how much memory to work in.

    Raises:
        SleepError: A number may become too large to be exact.
    """
    chain = [to_device(layer, num_steps=num_steps, device=images.device) for layer in layers]
    before: tuple[int, int, int] = (images.shape[1], images.shape[2], images.shape[3])
    chunk_images, chunk_steps = plan_chunks(
        chain, before, num_images=len(images), num_steps=num_steps, chunk_bytes=chunk_bytes
    )
    counts: list[Counts | None] = []
    shapes = []
    for layer, is_awake in zip(chain, learns, strict=True):
        before = hidden_shape(layer, before)
        shapes.append(before)
        if is_awake:
            _check_counts_fit(len(images), num_steps, before[1] * before[2], competition)
        counts.append(Counts.none(layer) if is_awake else None)
    spikes = torch.zeros(len(chain), dtype=torch.int64, device=images.device)
    terms = [
        Terms(competition, most, reach, depress_outside, as_printed, num_steps, chunk_bytes)
        for most, reach in zip(k, radius, strict=True)
    ]
    with full_precision():
        for some, numbers in zip(images.split(chunk_images), index.split(chunk_images), strict=True):
            learners = [
                None if count is None else Learner(layer, each, count, int(np.prod(shape)))
                for layer, each, count, shape in zip(chain, terms, counts, shapes, strict=True)
            ]
            membranes = [
                layer.bias.new_zeros((len(some), *shape)) for layer, shape in zip(chain, shapes, strict=True)
            ]
            for first in range(0, num_steps, chunk_steps):
                steps = min(chunk_steps, num_steps - first)
                train = bernoulli_spikes(some, numbers, seed=seed, first_step=first, num_steps=steps)
                spikes += _present_steps_(chain, learners, membranes, train, first)
            for learner in learners:
                if learner is not None:
                    learner.finish_()
    return ChainEvents(counts=counts, spikes=spikes.tolist())


def _present_steps_(
    chain: Sequence[TorchLayer],
    learners: Sequence[Learner | None],
    membranes: list[Tensor],
    train: Tensor,
    first: int,
) -> Tensor:
    """Run some steps through all layers; replace the membranes, and return the spikes of each layer."""
    numbers = []
    for place, (layer, learner) in enumerate(zip(chain, learners, strict=True)):
        potential = drive(train, layer)
        membranes[place] = integrate_(potential, membranes[place], layer.threshold)
        fired = potential > layer.threshold
        if learner is not None:
            learner.observe_(first, train, fired, potential)
        numbers.append(fired.sum())
        train = fired
    return torch.stack(numbers)


def _check_counts_fit(num_images: int, num_steps: int, num_positions: int, competition: str) -> None:
    """Refuse a batch in which the count of a synapse could exceed 32 bits."""
    most = num_images * {"image": 1, "step": num_steps, "none": num_steps * num_positions}[competition]
    if most > _LARGEST_COUNT:
        raise SleepError(
            f"a synapse may be counted {most} times in a batch, beyond 32 bits: lower 'batch_size'"
        )


@final
class TorchEngine(AbstractEngine):
    """Runs a plain chain where the images are, many of them and many steps at once.

    Args:
        plan: What is settled.
        device: Where the images are, for the note.

    Raises:
        SleepError: The network is no plain chain up to the last stage that sleeps; the message says where.
    """

    def __init__(self, plan: SleepPlan, device: torch.device) -> None:
        self.plan = plan
        self.image_shape, self.links = find_chain(plan)
        self.note = f"engine: torch on {device.type!r}"

    @override
    def present(
        self, network: SpikingNetwork, images: Tensor, index: NDArray[np.int64], learns: Set[str]
    ) -> BatchEvents:
        config = self.plan.config
        names = [link.stage.name for link in self.links]
        events = present_chain(
            images.detach().float().reshape(len(images), *self.image_shape),
            torch.from_numpy(index).to(images.device),
            [chain_layer(network, link) for link in self.links],
            seed=config.seed,
            num_steps=config.num_steps,
            competition=config.competition,
            k=[self.plan.contests[name].k for name in names],
            radius=[self.plan.contests[name].radius for name in names],
            learns=[name in learns for name in names],
            depress_outside=config.outside == "depress",
            as_printed=config.order == "as-printed",
            chunk_bytes=config.chunk_bytes,
        )
        found = {name: count for name, count in zip(names, events.counts, strict=True) if count is not None}
        shapes = {name: network.weights[name].shape for name in found}
        potentiation = {name: _array(count.potentiation) for name, count in found.items()}
        paired = {name: _array(count.paired)[:, None] for name, count in found.items()}
        return BatchEvents(
            potentiation={
                name: plus.astype(np.int32).reshape(shapes[name]) for name, plus in potentiation.items()
            },
            depression={
                name: (paired[name] - plus).astype(np.int32).reshape(shapes[name])
                for name, plus in potentiation.items()
            },
            winners={name: _array(count.winners) for name, count in found.items()},
            spikes={stage.name: events.spikes[names.index(stage.name)] for stage in self.plan.stages},
        )


def _array(counts: Tensor) -> NDArray[np.int64]:
    found: NDArray[np.int64] = counts.cpu().numpy()
    return found
