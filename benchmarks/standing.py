"""Which images a network still gets right, and how a share of them is written."""

import numpy as np
import torch

from sleepdefense.evaluation.metrics import wilson_interval


@torch.no_grad()
def predict(model, images) -> np.ndarray:
    """Return the predicted classes."""
    return torch.cat([model(part).argmax(1) for part in images.split(100)]).numpy()


def share(stands) -> str:
    """Write how many stand, with the 95 % Wilson interval."""
    lower, upper = wilson_interval(int(stands.sum()), len(stands))
    return f"{100 * stands.mean():.1f} % ({100 * lower:.1f} - {100 * upper:.1f})"
