"""A small classifier of digits, and the ways in which its gradients can be hidden."""

import torch
from torch import nn

from sleepdefense.data import ImageSet, load_data

EPOCHS = 4


def train_digits_cnn() -> nn.Module:
    """Return a small CNN that reads the embedded digits; trained in about a second."""
    train, _ = load_data("digits")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 5, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(train)).split(64):
                optimizer.zero_grad()
                logits = model(train.images[batch])
                nn.functional.cross_entropy(logits, train.labels[batch]).backward()
                optimizer.step()
    return model.eval()


def digits() -> ImageSet:
    """Return the test digits."""
    return load_data("digits")[1]


class Saturated(nn.Module):
    """Logits so large that the softmax is 0 or 1 in float32."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return 1e4 * self.model(image)


class Quantised(nn.Module):
    """Sees eight grey levels only: the gradient is zero wherever it exists."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model((image * 7).round() / 7)


class StraightThrough(nn.Module):
    """Sees eight grey levels, and hands the gradient through as if it saw them all."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model(image + ((image * 7).round() / 7 - image).detach())


class Noisy(nn.Module):
    """Adds noise from torch's global generator."""

    def __init__(self, model, size=0.2):
        super().__init__()
        self.model, self.size = model, size

    def forward(self, image):
        return self.model(image + self.size * torch.randn_like(image))


class Shattered(nn.Module):
    """Adds a ripple to the image that no eye can see and whose slope is ten times that of the image."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.register_buffer("phase", 10 * torch.rand(28, 28, generator=torch.Generator().manual_seed(0)))

    def forward(self, image):
        return self.model(image + 1e-3 * torch.sin(1e4 * image + self.phase))


class InnerOptimisation(nn.Module):
    """Moves the image downhill on a loss of its own before it is classified."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        with torch.enable_grad():
            moved = image.detach().clone().requires_grad_(True)
            for _ in range(3):
                (slope,) = torch.autograd.grad((moved - image.detach()).square().sum(), moved)
                moved = (moved - 0.1 * slope).detach().requires_grad_(True)
        return self.model(moved.detach() + image - image.detach())


class Probabilities(nn.Module):
    """Gives probabilities."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model(image).softmax(1)


class WrongGradient(nn.Module):
    """Computes one thing, and hands back the gradient of another."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.decoy = nn.Linear(784, 10)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            nn.init.normal_(self.decoy.weight)

    def forward(self, image):
        decoy = self.decoy(image.flatten(1))
        return self.model(image.detach()) + decoy - decoy.detach()


class NaNGradient(nn.Module):
    """Takes a root of zero on the way."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model(image + 0 * (image - image.detach()).sqrt())


class Pooled(nn.Module):
    """A purifier that replaces each block of 2x2 pixels by its mean."""

    def forward(self, image):
        return nn.functional.interpolate(nn.functional.avg_pool2d(image, 2), scale_factor=2)


class Fragile(nn.Module):
    """A classifier that is easily misled by what `Pooled` removes, and only by that."""

    def __init__(self, model):
        super().__init__()
        self.model, self.pooled = model, Pooled()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("details", 2 * torch.randn(784, 10, generator=generator))

    def forward(self, image):
        smooth = self.pooled(image)
        return self.model(smooth) + (image - smooth).flatten(1) @ self.details


MASKS = {
    "saturated": Saturated,
    "quantised": Quantised,
    "noisy": Noisy,
    "shattered": Shattered,
    "inner": InnerOptimisation,
    "probabilities": Probabilities,
    "wrong": WrongGradient,
    "nan": NaNGradient,
    "straight-through": StraightThrough,
}
"""All masks by name."""
