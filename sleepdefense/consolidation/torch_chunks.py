"""How many images and steps fit the memory that the torch engine may work in."""

import math
from collections.abc import Sequence

from sleepdefense.consolidation.plasticity import Shape3
from sleepdefense.consolidation.torch_dynamics import TorchLayer, hidden_shape, visible_shape


def plan_chunks(
    layers: Sequence[TorchLayer],
    image_shape: Shape3,
    *,
    num_images: int,
    num_steps: int,
    chunk_bytes: int,
) -> tuple[int, int]:
    """Return how many images, and how many of their steps, to present at once: all images if possible.

    An estimate: what is alive at the same time, times the bytes of each number, without what the allocator
    rounds up. At least one image and one step, even if these take more.

    Args:
        layers: The chain.
        image_shape: (channel, height, width).
        num_images: In the batch, >= 1.
        num_steps: Of each image, >= 1.
        chunk_bytes: About how much memory to take, in bytes.
    """
    kept, at_once = 0, 32 * math.prod(image_shape)  # words of 8 bytes, several at a time, for each pixel
    before = image_shape
    for layer in layers:
        visible, hidden = visible_shape(layer, before), hidden_shape(layer, before)
        inputs, neurons = math.prod(before), math.prod(hidden)
        seen_by_one = visible[0] * math.prod(layer.weight.shape[2:])
        columns = math.prod(hidden[1:]) * seen_by_one * layer.weight.element_size()
        potentials = neurons * (layer.weight.element_size() + layer.bias.element_size())
        claims = neurons * 40  # a claim, its key, the key in its rim, and what makes them
        kept += 4 * inputs + neurons * (8 + layer.bias.element_size())
        at_once = max(at_once, columns + 2 * potentials + claims + 9 * inputs)
        before = hidden
    images = max(1, min(num_images, chunk_bytes // (kept + at_once)))
    steps = max(1, min(num_steps, (chunk_bytes - images * kept) // (images * at_once)))
    return images, steps
