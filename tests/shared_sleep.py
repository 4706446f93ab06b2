"""Sleeps that several processes may share: python shared_sleep.py FOLDER NAME... keeps what this one got."""

import os
import sys
from pathlib import Path

import numpy as np
from sleepers import make_images, seeded, spiking

from sleepdefense.consolidation import Guard, SleepConfig, sleep
from sleepdefense.models import FCVAE

COMMON = {"num_steps": 5, "target_batches": 6, "save_every": 2, "measure_every": 2}
SLEEPS = {
    "image": {"batch_size": 10, "max_images": 96},
    "step": {"batch_size": 7, "max_images": 40, "competition": "step", "threshold_mode": "calibrated"},
    "single": {"batch_size": 1, "max_images": 6, "competition": "none"},
    "torch": {"batch_size": 3, "max_images": 24, "engine": "torch"},
    "reference": {"batch_size": 5, "max_images": 20, "engine": "reference"},
}


def share(folder: Path, names: list[str], *, resume: bool = False) -> None:
    """Sleep, cut back by a guard; keep state, weights and diary, and say what was asked and told."""
    network, images = spiking(seeded(FCVAE, hidden=12, latent=3, size=8)), make_images(24)

    def norm(other) -> float:
        print("measured")
        return float(other.weights["encoder.1"].norm())

    def size(model) -> float:
        print("guarded")
        return sum(float(weight.detach().abs().sum()) for weight in model.parameters())

    for name in names:
        slept = sleep(
            network,
            images,
            config=SleepConfig(**COMMON, **SLEEPS[name]),
            guard=Guard(score=size, tolerance=1e-4, relative=True),
            measures={"norm": norm},
            checkpoint=folder / f"{name}.h5",
            resume=resume,
            progress=lambda done, total, text: print("told", done),
        )
        found = {f"weight {key}": value.numpy() for key, value in slept.network.weights.items()}
        found |= {f"diary {key}": value for key, value in slept.diary.arrays().items()}
        facts = np.array(repr(slept.diary.facts()))
        np.savez(folder / f"{name}.{os.environ.get('RANK', '0')}.npz", **found, facts=facts)


if __name__ == "__main__":
    share(Path(sys.argv[1]), sys.argv[2:])
