"""What a training sees of the data: pairs in an order of its own, batch by batch."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sleepdefense.data import ImageSet, PairSet


@dataclass(frozen=True, slots=True)
class Material:
    """What the loop sees of the data."""

    num_variants: int
    clean: Tensor
    labels: Tensor
    noisy: Callable[[Tensor, Tensor], Tensor] | None  # of variants and images; None: the clean ones
    digest: Callable[[], str]

    def length(self, pairing: str) -> int:
        """Return the number of pairs in an epoch."""
        return len(self.clean) * (self.num_variants if pairing == "all" else 1)

    def order(self, pairing: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return variant and image of each pair of an epoch, in the order of training."""
        images = len(self.clean)
        if pairing == "all":
            pair = torch.randperm(self.num_variants * images, generator=generator)
            return pair // images, pair % images
        image = torch.randperm(images, generator=generator)
        return torch.randint(self.num_variants, (images,), generator=generator), image

    def batch(self, variant: Tensor, image: Tensor, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return noisy images, clean images and labels, on the device and with the channels last."""
        clean = self.clean[image]
        noisy = clean if self.noisy is None else self.noisy(variant, image)
        layout = torch.channels_last
        return (
            noisy.to(device).contiguous(memory_format=layout),
            clean.to(device).contiguous(memory_format=layout),
            self.labels[image].to(device),
        )


def paired(pairs: PairSet) -> Material:
    """Return noisy images with their clean ones."""
    return Material(
        num_variants=len(pairs.variants),
        clean=pairs.clean,
        labels=pairs.labels,
        noisy=pairs.noisy_batch,
        digest=lambda: pairs.digest,
    )


def labelled(images: ImageSet) -> Material:
    """Return labelled images, every one its own noisy twin."""
    return Material(
        num_variants=1,
        clean=images.images,
        labels=images.labels,
        noisy=None,
        digest=lambda: images.digest,
    )
