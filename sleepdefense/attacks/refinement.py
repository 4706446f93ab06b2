"""Bring attacked images nearer to where they came from, as far as a network sees black and white only."""

import torch

from sleepdefense.shapes import Images


def refine_binarised(images: Images, attacked: Images, threshold: float) -> Images:
    """Put every changed pixel back, or only just over the threshold.

    A pixel that is on the same side of the threshold as before gets its original value. A pixel that changed
    sides gets the value nearest to its original one on the new side: the threshold itself, which is white,
    or the largest number below it. What the network sees stays the same, pixel by pixel, and no pixel is
    farther from its original value than before, so no Lp distance grows.

    Args:
        images: Original images, (batch, channel, height, width), in [0, 1].
        attacked: The same images after an attack.
        threshold: Intensity from which on a pixel is white.

    Returns:
        Refined images, in [0, 1], shaped as `images`.

    Source:
        The "finetune procedure" of the DIM paper, appendix A.2.

    >>> images, attacked = torch.tensor([[[[0.1, 0.3, 0.9]]]]), torch.tensor([[[[0.4, 0.8, 0.0]]]])
    >>> refine_binarised(images, attacked, 0.5)
    tensor([[[[0.1000, 0.5000, 0.5000]]]])
    """
    white = torch.full_like(images, threshold)
    black = torch.nextafter(white, torch.zeros_like(white))
    is_white, was_white = attacked >= threshold, images >= threshold
    changed = torch.where(is_white, white, black)
    return torch.where(is_white == was_white, images, changed)
