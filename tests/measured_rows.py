"""Measured rows of which the first images have fallen, for comparisons with printed ones."""

import numpy as np

from sleepdefense.attacks import parse_attack
from sleepdefense.evaluation.results import Judged

NUM = 100
LABELS = np.zeros(NUM, np.int32)


def row(system, text, fallen, *, threat_model="white-box", moved=0.1, status="ok"):
    """The first images of a row fall."""
    spec = parse_attack(text) if text else None
    predicted = np.where(np.arange(NUM) < fallen, 1, 0).astype(np.int32)
    return Judged(
        description={
            "system": system,
            "attack": spec.label if spec else "clean",
            "key": spec.key if spec else "clean",
            "spec": str(spec) if spec else "",
            "norm": spec.norm if spec else "none",
            "epsilon": spec.epsilon if spec else None,
            "threat_model": threat_model if spec else "none",
            "status": status,
        },
        predicted=np.full(NUM, -1, np.int32) if status.startswith("error") else predicted,
        moved=np.full(NUM, moved),
        sample_images=np.zeros((1, 1, 2, 2), np.float32),
    )
