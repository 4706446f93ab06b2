"""Small images and a small classifier that gets most of them right."""

import torch
from torch import nn

from sleepdefense.data.image_set import ImageSet

NUM_CLASSES = 4


class Quadrants(nn.Module):
    """Says which quarter of an 8x8 image is brightest, through a hidden layer, batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.sums = nn.Linear(64, 4, bias=False)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        quarter = torch.zeros(4, 2, 4, 2, 4)
        for number in range(4):
            quarter[number, number // 2, :, number % 2, :] = 1 / 16
        self.sums.weight.data = 10 * quarter.reshape(4, 64)

    def forward(self, image):
        return self.drop(self.norm(torch.relu(self.sums(image.flatten(1)))))


def make_images(num_images: int, *, seed: int = 0) -> ImageSet:
    """Return 8x8 images with one bright quarter, the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num_images) % NUM_CLASSES
    images = 0.6 * torch.rand(num_images, 1, 8, 8, generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[0, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 0.3
    return ImageSet(name="quadrants/test", images=images, labels=labels, num_classes=NUM_CLASSES)
