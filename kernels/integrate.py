"""The fused engine: a whole chain sleeps, from pixels to counted pairings, on any number of cores alike."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import LARGEST_STEP, check_array, check_integer
from sleepdefense.kernels.chain import ChainLayer, PackedChain, chain_shapes, pack_chain
from sleepdefense.kernels.encode import check_images
from sleepdefense.kernels.fused import (
    EVERY_STEP,
    EVERYBODY,
    ONCE,
    Rule,
    Tally,
    Trace,
    Workspace,
    sleep_images_,
)

Competition = Literal["image", "step", "none"]

_MODES: Final = {"image": ONCE, "step": EVERY_STEP, "none": EVERYBODY}
_CHUNK: Final = 8  # images a worker takes at a time: little to lose at Ctrl-C, and the last worker ends soon


class SleepRecord(NamedTuple):
    """What happened while a batch of images was presented; layers first to last."""

    potentiation: tuple[NDArray[np.int32], ...]
    """Per layer, like its weight; (0, channel, kernel_h, kernel_w) where the layer does not learn."""
    depression: tuple[NDArray[np.int32], ...]
    """The same."""
    winner_count: tuple[NDArray[np.int64], ...]
    """Per layer (feature,): how often a neuron of this map learned; 0 where the layer does not."""
    spike_count: NDArray[np.int64]
    """(layer,): spikes of all neurons, images and steps."""
    winners: NDArray[np.int32]
    """(image, layer, winner, 4): rows (feature, row, column, step) in the order of selection, filled up with
    -1; no rows unless the competition is "image"."""
    spikes: tuple[NDArray[np.uint8], ...] = ()
    """Per layer (time, image, feature, height, width); only if asked for."""
    membrane: tuple[NDArray[np.int64], ...] = ()
    """Per layer (image, feature, height, width), after the last step; only if asked for."""


def _check_rule(
    competition: str,
    num_layers: int,
    k: Sequence[int],
    radius: Sequence[int],
    learns: Sequence[bool],
    depress_outside: bool,
    as_printed: bool,
) -> Rule:
    """Check and collect who learns, and how."""
    if competition not in _MODES:
        raise ValueError(f"'competition' must be one of {', '.join(_MODES)}, got {competition!r}")
    if competition == "none" and as_printed:
        raise ValueError("'as_printed' orders first spikes; without competition only coincidences count")
    for name, values in (("k", k), ("radius", radius), ("learns", learns)):
        if len(values) != num_layers:
            raise ValueError(
                f"'{name}' must hold one value for each of the {num_layers} layers, got {len(values)}"
            )
    for layer in range(num_layers):
        check_integer(f"k[{layer}]", k[layer], least=1)
        check_integer(f"radius[{layer}]", radius[layer], least=0)
    return Rule(
        mode=_MODES[competition],
        k=np.array([most if awake else 0 for most, awake in zip(k, learns, strict=True)], dtype=np.int64),
        radius=np.array(radius, dtype=np.int64),
        depress_outside=bool(depress_outside),
        as_printed=bool(as_printed),
    )


def _check_counts_fit(num_images: int, num_steps: int, num_positions: int, competition: Competition) -> None:
    """Refuse a batch in which the count of a synapse could exceed 32 bits."""
    most = num_images * {"image": 1, "step": num_steps, "none": num_steps * num_positions}[competition]
    if most > LARGEST_STEP:
        raise ValueError(
            f"a synapse may be counted {most} times in this batch, beyond 32 bits: pass fewer images"
        )


def _empty_tally(chain: PackedChain) -> Tally:
    """Begin to count."""
    num_weights, num_features, _, _, _, num_taps = chain.place[-1]
    return Tally(
        potentiation=np.zeros(num_weights, dtype=np.int32),
        paired=np.zeros(num_taps, dtype=np.int32),
        winner_count=np.zeros(num_features, dtype=np.int64),
        spike_count=np.zeros(len(chain.shape), dtype=np.int64),
    )


def _workspace(chain: PackedChain, num_pixels: int, most_winners: int) -> Workspace:
    """Reserve what one worker needs; 48 bytes for each neuron of the largest layer, 8 for each of all."""
    num_neurons = int(chain.place[-1, 2])
    most_units = max(num_pixels, int(np.max(np.diff(chain.place[:, 2]))))
    return Workspace(
        bound=np.empty(num_pixels, dtype=np.uint64),
        pixel=np.empty(num_pixels, dtype=np.uint8),
        membrane=np.empty(num_neurons, dtype=chain.bias.dtype),
        seen=np.empty(num_pixels + num_neurons, dtype=np.int32),
        event=np.empty((2, most_units, 3), dtype=np.int32),
        potential=np.empty(most_units, dtype=np.int64),
        candidate=np.empty((most_units, 4), dtype=np.int32),
        winner=np.empty((len(chain.shape), most_winners, 4), dtype=np.int32),
        num_winners=np.empty(len(chain.shape), dtype=np.int64),
    )


def _run(work: Callable[[], Tally], threads: int, waiting: deque[int]) -> list[Tally]:
    """Let so many workers share what is waiting."""
    if threads == 1:
        return [work()]
    with ThreadPoolExecutor(threads) as pool:
        try:
            return [worker.result() for worker in [pool.submit(work) for _ in range(threads)]]
        finally:
            waiting.clear()  # after an error or Ctrl-C the others stop at their next chunk


def _collect(
    tallies: Sequence[Tally],
    trace: Trace,
    chain: PackedChain,
    num_steps: int,
    learns: Sequence[bool],
) -> SleepRecord:
    """Sum what the workers counted, and give each layer its own arrays again."""
    total = Tally(*(np.sum(counts, axis=0, dtype=counts[0].dtype) for counts in zip(*tallies, strict=True)))
    num_images = len(trace.winner)
    potentiation: list[NDArray[np.int32]] = []
    depression: list[NDArray[np.int32]] = []
    winner_count, spikes, membrane = [], [], []
    for shape, begin, end, awake in zip(chain.shape, chain.place, chain.place[1:], learns, strict=False):
        num_channels, _, _, num_features, height, width, kernel_h, kernel_w = (int(size) for size in shape)
        plus = total.potentiation[begin[0] : end[0]].reshape(num_features, kernel_h, kernel_w, num_channels)
        paired = total.paired[begin[5] : end[5]].reshape(num_features, 1, kernel_h, kernel_w)
        potentiation.append(plus.transpose(0, 3, 1, 2)[: num_features if awake else 0].copy())
        depression.append(paired[: len(potentiation[-1])] - potentiation[-1])
        winner_count.append(total.winner_count[begin[1] : end[1]])
        if trace.record:
            neurons = slice(begin[2] * num_images, end[2] * num_images)
            train = slice(neurons.start * num_steps, neurons.stop * num_steps)
            spikes.append(trace.spikes[train].reshape(num_steps, num_images, num_features, height, width))
            membrane.append(trace.membrane[neurons].reshape(num_images, num_features, height, width))
    return SleepRecord(
        tuple(potentiation),
        tuple(depression),
        tuple(winner_count),
        total.spike_count,
        trace.winner,
        tuple(spikes),
        tuple(membrane),
    )


def sleep_images(
    images: NDArray[np.float32],
    index: NDArray[np.int64],
    layers: Sequence[ChainLayer],
    *,
    seed: int,
    num_steps: int,
    competition: Competition,
    k: Sequence[int],
    radius: Sequence[int],
    learns: Sequence[bool],
    depress_outside: bool = False,
    as_printed: bool = False,
    threads: int = 1,
    record: bool = False,
) -> SleepRecord:
    """Present images to a sleeping chain, and count what its synapses go through; the weights stay.

    Every image begins at membrane 0. In each step its pixels spike as `bernoulli_train` says, and then, layer
    by layer, each neuron does

        V = V + sum of the weights of its inputs that spike in this step + bias
        it fires if V > threshold, and then V = V - threshold         (no leak, at most one spike a step)

    Who learns is decided by the competition. The potential of a neuron is V at its spike, before the reset.

        "image"  up to k neurons an image and layer: `select_winners` on first spikes
        "step"   up to k neurons a step and layer: `select_winners` among the neurons that fire in this step
        "none"   every neuron that fires, at every spike

    A synapse of a neuron that learns at step t is potentiated or depressed as `count_pairings_` says, by the
    first spike of its visible unit in this image; without competition as `count_coincidences_` says.

    The record is the same for any number of threads, and for a batch and the sum of its parts.

    Args:
        images: Intensities, (image, channel, height, width), float32, in [0, 1], C-contiguous.
        index: The number of each image in its data set, (image,), int64, >= 0; it decides on the spikes.
        layers: First to last, in grid units; see `ChainLayer`.
        seed: In [0, 2**63).
        num_steps: Steps that each image is presented, >= 0.
        competition: "image", "step" or "none".
        k: Most winners, one number for each layer, >= 1.
        radius: Reach of the inhibition in pixels of the layer, one number for each layer, >= 0; 0: only the
            winner's own feature map is inhibited.
        learns: For each layer, whether it learns; layers that do not learn only fire.
        depress_outside: Depress synapses that reach into the rim; otherwise they are left alone.
        as_printed: Order of Eq. 6 as printed; see `count_pairings_`.
        threads: Workers, >= 1.
        record: Keep all spikes and the last membranes.

    Returns:
        Counts, winners and, if asked for, spikes and membranes.

    Raises:
        ValueError: An argument has another type, shape or range, layers do not fit each other, or a count or
            a membrane might overflow.

    Source:
        Talafha et al. 2023, sections 3.3-3.4, Table 3; docs/decisions.md for what they leave open.

    >>> weight = np.array([[[[2]]], [[[3]]]], dtype=np.int32)      # two features that look at one pixel
    >>> layer = ChainLayer(weight, bias=np.zeros(2, dtype=np.int32), threshold=3)
    >>> image = np.ones((1, 1, 1, 1), dtype=np.float32)            # spikes at every step
    >>> record = sleep_images(image, np.array([0]), [layer], seed=0, num_steps=4, competition="image",
    ...     k=[1], radius=[0], learns=[True], record=True)
    >>> record.spikes[0].reshape(4, 2)                             # V: 2 3, 4 6, 3 6, 5 6
    array([[0, 0],
           [1, 1],
           [0, 1],
           [1, 1]], dtype=uint8)
    >>> record.winners[0, 0]                                       # both fire at step 1; 6 > 4
    array([[1, 0, 0, 1]], dtype=int32)
    """
    check_array("images", images, np.float32, "image channel height width")
    check_images(images, index)
    shapes = chain_shapes(layers, (images.shape[1], images.shape[2], images.shape[3]))
    seed = check_integer("seed", seed, least=0, most=2**63 - 1)
    num_steps = check_integer("num_steps", num_steps, least=0)
    threads = check_integer("threads", threads, least=1)
    rule = _check_rule(competition, len(layers), k, radius, learns, depress_outside, as_printed)
    for (_, height, width), awake in zip(shapes[1:], learns, strict=True):
        _check_counts_fit(len(images) if awake else 0, num_steps, height * width, competition)
    chain = pack_chain(layers, shapes, num_steps)
    num_images, num_pixels, num_neurons = len(images), int(np.prod(images.shape[1:])), int(chain.place[-1, 2])
    most_winners = max(min(int(most), shape[0]) for most, shape in zip(k, shapes[1:], strict=True))
    trace = Trace(
        winner=np.full(
            (num_images, len(layers), most_winners if competition == "image" else 0, 4), -1, dtype=np.int32
        ),
        spikes=np.zeros(num_steps * num_images * num_neurons if record else 0, dtype=np.uint8),
        membrane=np.zeros(num_images * num_neurons if record else 0, dtype=np.int64),
        record=bool(record),
    )
    flat = images.reshape(num_images, num_pixels)
    waiting = deque(range(0, num_images, _CHUNK))

    def work() -> Tally:
        """Take chunks until none is left."""
        tally = _empty_tally(chain)
        space = _workspace(chain, num_pixels, most_winners)
        while waiting:
            try:
                first = waiting.popleft()
            except IndexError:  # another worker was faster
                break
            last = min(first + _CHUNK, num_images)
            with np.errstate(over="ignore"):  # as in `bernoulli_train`
                sleep_images_(
                    tally,
                    trace,
                    space,
                    chain,
                    rule,
                    flat,
                    index,
                    first,
                    last,
                    np.uint64(seed),
                    num_steps,
                )
        return tally

    tallies = _run(work, min(threads, max(1, len(waiting))), waiting)
    return _collect(tallies, trace, chain, num_steps, learns)
