"""The fused engine: a whole chain sleeps, from pixels to counted pairings, on any number of cores alike."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import LARGEST_STEP, check_array, check_integer
from sleepdefense.kernels.chain import ChainLayer, chain_shapes
from sleepdefense.kernels.collect import SleepRecord, collect, forget_
from sleepdefense.kernels.encode import check_images
from sleepdefense.kernels.extent import WeightType, choose_numbers, extent_of, measure_
from sleepdefense.kernels.fill import pack_chain, pack_features_
from sleepdefense.kernels.fused import Rule, Trace, sleep_images_
from sleepdefense.kernels.learn import EVERY_STEP, EVERYBODY, ONCE
from sleepdefense.kernels.pack import PackedChain
from sleepdefense.kernels.tally import Tally, empty_tally
from sleepdefense.kernels.workspace import Workspace, make_workspace, size_of

Competition = Literal["image", "step", "none"]

_MODES: Final = {"image": ONCE, "step": EVERY_STEP, "none": EVERYBODY}
_PORTION: Final = 4  # images a worker takes at a time: the last one ends soon, and Ctrl-C is heard


def _check_rule(
    competition: str,
    num_layers: int,
    k: Sequence[int],
    radius: Sequence[int],
    learns: Sequence[bool],
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
        as_printed=bool(as_printed),
    )


def _check_counts_fit(num_images: int, num_steps: int, num_positions: int, competition: Competition) -> None:
    """Refuse a batch in which the count of a synapse could exceed 32 bits."""
    most = num_images * {"image": 1, "step": num_steps, "none": num_steps * num_positions}[competition]
    if most > LARGEST_STEP:
        raise ValueError(
            f"a synapse may be counted {most} times in this batch, beyond 32 bits: pass fewer images"
        )


class Sleeper:
    """A chain of layers that is kept packed, and sleeps batch after batch.

    Args:
        layers: First to last, in grid units; see `ChainLayer`.
        image_shape: (channel, height, width).
        weight_type: As in `sleep_images`.
        threads: Workers, >= 1. Without influence on the result.

    Raises:
        ValueError: An argument has another type, shape or range, or layers do not fit each other.
    """

    def __init__(
        self,
        layers: Sequence[ChainLayer],
        image_shape: tuple[int, int, int],
        *,
        weight_type: WeightType = "i16",
        threads: int = 1,
    ) -> None:
        if weight_type not in get_args(WeightType):
            raise ValueError(
                f"'weight_type' must be one of {', '.join(get_args(WeightType))}, got {weight_type!r}"
            )
        self.shapes = chain_shapes(layers, image_shape)
        self.layers = list(layers)
        self.weight_type: WeightType = weight_type
        self.threads = check_integer("threads", threads, least=1)
        self._extents = [extent_of(layer) for layer in self.layers]
        self._chain: PackedChain | None = None
        self._changed: dict[int, set[int]] = {}
        self._tallies: list[Tally] = []
        self._spaces: dict[tuple[int, bool], list[Workspace]] = {}

    def set_weight(
        self, layer: int, weight: NDArray[np.int32], features: Sequence[int] | None = None
    ) -> None:
        """Replace the weights of a layer; what is packed is changed where it must be.

        Args:
            layer: Number of the layer.
            weight: (feature, channel, kernel_h, kernel_w), in grid units. Kept, not copied.
            features: Those that differ from before; None: any may.

        Raises:
            ValueError: The weight has another type or shape.
        """
        before = self.layers[layer]
        check_array("weight", weight, np.int32, "feature channel kernel_h kernel_w")
        if weight.shape != before.weight.shape:
            raise ValueError(f"'weight' must have shape {before.weight.shape}, got {weight.shape}")
        self.layers[layer] = before._replace(weight=weight)
        changed = range(len(weight)) if features is None else features
        self._changed.setdefault(layer, set()).update(changed)

    def present(
        self,
        images: NDArray[np.float32],
        index: NDArray[np.int64],
        *,
        seed: int,
        num_steps: int,
        competition: Competition,
        k: Sequence[int],
        radius: Sequence[int],
        learns: Sequence[bool],
        depress_outside: bool = False,
        as_printed: bool = False,
        record: bool = False,
    ) -> SleepRecord:
        """Present a batch, and count what the synapses go through; see `sleep_images`."""
        check_array("images", images, np.float32, "image channel height width")
        check_images(images, index)
        if images.shape[1:] != self.shapes[0]:
            raise ValueError(f"'images' must be of shape {self.shapes[0]} each, got {images.shape[1:]}")
        seed = check_integer("seed", seed, least=0, most=2**63 - 1)
        num_steps = check_integer("num_steps", num_steps, least=0)
        rule = _check_rule(competition, len(self.layers), k, radius, learns, as_printed)
        for (_, height, width), awake in zip(self.shapes[1:], learns, strict=True):
            _check_counts_fit(len(images) if awake else 0, num_steps, height * width, competition)
        chain = self._packed(num_steps)
        num_images, num_pixels = len(images), int(np.prod(images.shape[1:]))
        num_neurons = sum(int(np.prod(shape)) for shape in self.shapes[1:])
        most_winners = max(min(int(most), shape[0]) for most, shape in zip(k, self.shapes[1:], strict=True))
        trace = Trace(
            winner=np.full(
                (num_images, len(self.layers), most_winners if competition == "image" else 0, 4),
                -1,
                dtype=np.int32,
            ),
            spikes=np.zeros(num_steps * num_images * num_neurons if record else 0, dtype=np.uint8),
            membrane=np.zeros(num_images * num_neurons if record else 0, dtype=np.int64),
            record=bool(record),
        )
        flat = images.reshape(num_images, num_pixels)
        waiting = deque(range(0, num_images, _PORTION))
        low = _below_all(chain)

        def work() -> Tally:
            """Take portions until none is left."""
            tally = self._take_tally(chain, rule)
            space = self._borrow(chain, most_winners, learns=bool(np.any(rule.k)))
            while waiting:
                try:
                    first = waiting.popleft()
                except IndexError:  # another worker was faster
                    break
                last = min(first + _PORTION, num_images)
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
                        low,
                    )
            self._spaces.setdefault((most_winners, bool(np.any(rule.k))), []).append(space)
            return tally

        tallies = _run(work, min(self.threads, max(1, len(waiting))), waiting)
        found = collect(tallies, trace, chain, rule, num_steps, depress_outside=bool(depress_outside))
        if np.any(rule.k):
            for tally in tallies:
                forget_(tally, chain, rule, found.winner_count)
            self._tallies += tallies
        return found

    def _packed(self, num_steps: int) -> PackedChain:
        """Return the packed chain, up to date."""
        for number, features in self._changed.items():
            measure_(self._extents[number], self.layers[number], sorted(features))
        chain = self._chain
        numbers = choose_numbers(self.layers, self._extents, num_steps, self.weight_type)
        if chain is None or chain.weight.dtype != numbers.weight or chain.bias.dtype != numbers.membrane:
            self._spaces.clear()
            chain = pack_chain(self.layers, self.shapes, self._extents, numbers)
        elif self.weight_type == "i8" and self._changed:  # the unit may be another one
            chain = pack_chain(self.layers, self.shapes, self._extents, numbers)
        else:
            for number, features in self._changed.items():
                extent = self._extents[number]
                pack_features_(chain, number, self.layers[number], extent, sorted(features))
        self._chain = chain
        self._changed.clear()
        return chain

    def _take_tally(self, chain: PackedChain, rule: Rule) -> Tally:
        """Take an empty tally, or make one."""
        try:
            return self._tallies.pop() if np.any(rule.k) else empty_tally(chain, learns=False)
        except IndexError:
            return empty_tally(chain, learns=True)

    def _borrow(self, chain: PackedChain, most_winners: int, *, learns: bool) -> Workspace:
        """Take a workspace that is free, or make one."""
        try:
            return self._spaces.get((most_winners, learns), []).pop()
        except IndexError:
            return make_workspace(chain, most_winners, learns=learns)


def _below_all(chain: PackedChain) -> NDArray[np.generic]:
    """Return one number below all membranes, in their type."""
    kind = chain.bias.dtype
    return np.array([-np.inf if kind.kind == "f" else np.iinfo(kind).min], dtype=kind)


def _run(work: Callable[[], Tally], threads: int, waiting: deque[int]) -> list[Tally]:
    """Let so many workers share what is waiting."""
    if threads == 1:
        return [work()]
    with ThreadPoolExecutor(threads) as pool:
        try:
            return [worker.result() for worker in [pool.submit(work) for _ in range(threads)]]
        finally:
            waiting.clear()  # after an error or Ctrl-C the others stop at their next portion


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
    weight_type: WeightType = "i16",
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
        weight_type: "i16": 16-bit weights and 32-bit membranes; wider ones where these do not hold all.
            "f32": floats, exact up to 2**24. "i8": weights, biases and thresholds of each layer rounded to
            multiples of a power of two, so that its weights span 255 of them: the fastest where the weights
            are many, and not the same sleep.
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
    shape = cast(tuple[int, int, int], tuple(int(size) for size in images.shape[1:]))
    chain_shapes(layers, shape)
    _check_rule(competition, len(layers), k, radius, learns, as_printed)
    return Sleeper(layers, shape, weight_type=weight_type, threads=threads).present(
        images,
        index,
        seed=seed,
        num_steps=num_steps,
        competition=competition,
        k=k,
        radius=radius,
        learns=learns,
        depress_outside=depress_outside,
        as_printed=as_printed,
        record=record,
    )


def workspace_bytes(
    layers: Sequence[ChainLayer],
    image_shape: tuple[int, int, int],
    competition: Competition = "image",
    weight_type: WeightType = "i16",
    num_steps: int = 32,
) -> int:
    """Return what one worker needs for the image at hand, in bytes, without weights and counts.

    Args:
        layers: As in `sleep_images`.
        image_shape: (channel, height, width).
        competition: As in `sleep_images`.
        weight_type: The same.
        num_steps: The same; of no influence unless membranes need 64 bits.
    """
    shapes = chain_shapes(layers, image_shape)
    extents = [extent_of(layer) for layer in layers]
    chain = pack_chain(layers, shapes, extents, choose_numbers(layers, extents, num_steps, weight_type))
    return size_of(make_workspace(chain, 8, learns=competition != "none"))
