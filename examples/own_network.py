"""Your own networks through the pipeline: a `nn.Sequential` and a small residual CNN.

Nothing here is known to the package: both are found by tracing. Run with --quick for a smoke test.
"""

import sys

import torch
from torch import Tensor, nn

import sleepdefense as sd


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 5, stride=2, padding=2)
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.head = nn.Linear(8 * 7 * 7, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.stem(image))
        x = torch.relu(self.norm(self.conv(x)) + x)
        return self.head(nn.functional.max_pool2d(x, 2).flatten(1))


def fit(model: nn.Module, data: sd.ImageSet, epochs: int) -> nn.Module:
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(epochs):
        for image, label in zip(data.images.split(64), data.labels.split(64), strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(image), label).backward()
            optimizer.step()
    return model.eval()


def main(quick: bool) -> None:
    torch.manual_seed(0)
    train, test = sd.load_data("digits", limit=300 if quick else None, test_limit=100 if quick else None)
    sequential = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 60), nn.ReLU(), nn.Linear(60, 40), nn.ReLU(), nn.Linear(40, 10)
    )
    for model in (sequential, Residual()):
        awake = fit(model, train, epochs=3 if quick else 15)
        spiking = sd.to_spiking(awake, train.images)
        print(sd.conversion_report(spiking, test.images[:32], num_steps=(16, 64)))
        slept = sd.sleep(spiking, train.images, sd.STDP(), config=sd.SleepConfig(rho=0.05))
        woken = sd.to_awake(slept)
        systems = {"awake": awake, "after sleep": woken}
        # the checks for masked gradients take a minute here: leave out checks=False to see them
        print(sd.evaluate_systems(systems, test, "FGSM:0.1,GaussianNoise", checks=False))

    try:
        sd.to_spiking(nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.GELU()), train.images)
    except ValueError as error:
        print(f"as it should be: {error}")


if __name__ == "__main__":
    main(quick="--quick" in sys.argv[1:])
