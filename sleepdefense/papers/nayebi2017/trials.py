"""An experiment on the annealing: how far do lambda, learning rate and length lead the sigmoid perceptron?"""

from dataclasses import replace

import torch

from sleepdefense.analysis import weight_distributions
from sleepdefense.data import ImageSet
from sleepdefense.models import AbstractClassifier
from sleepdefense.models.layer_activity import layer_activity
from sleepdefense.papers.nayebi2017.fgsm import under_fgsm
from sleepdefense.papers.nayebi2017.networks import images_of, network_file
from sleepdefense.papers.nayebi2017.schedules import network_plan
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.pipeline import saturate_step
from sleepdefense.training import Annealing, SaturationConfig

_NETWORK = "sigmoid MLP"
_TRIALS = (
    (1e-3, 1.74, 1),
    (1e-2, 1.74, 1),
    (3e-2, 0.0, 1),
    (3e-2, 0.1, 1),
    (3e-2, 1.74, 1),
    (3e-2, 20.0, 1),
    (3e-2, 174.0, 1),
    (3e-2, 1.74, 4),
    (3e-2, 1.74, 16),
)
"""Learning rate, largest lambda, how often the shortest length.

174 is the printed 1.74 if the penalty is summed over a batch of 100.
"""
_AMOUNT = {"smoke": (300, 1, 100), "cpu": (10_000, 8, 2000), "paper": (60_000, 100, 10_000)}
"""Training images, epochs of the shortest, test images."""
_COLUMNS = ("clean", "FGSM 0.25", "zero gradient", "kurtosis, layer 1", "median drive, layer 1")


def annealing_trials(job: Job, seed: int) -> SideBySide:
    """Anneal the vanilla sigmoid perceptron in several ways, and see where each ends.

    Lambda rises geometrically, from a thousandth, through three quarters of the epochs. Nothing is rolled
    back.
    """
    count, shortest, tested = _AMOUNT[job.scale]
    images = images_of(job)
    train, test = images.train.take(count), images.test.take(tested)
    start = network_file(job, _NETWORK, "vanilla", seed)
    plain = network_plan(job.scale, _NETWORK).vanilla
    cells: dict[tuple[str, str], Measured] = {}
    rows = []
    for number, (rate, largest, length) in enumerate(_TRIALS):
        epochs = shortest * length
        rise = Annealing(
            maximum=largest,
            minimum=largest / 1000,
            increments=1000,
            epochs=0.75 * epochs,
            shape="geometric" if largest else "linear",
        )
        net = saturate_step(
            replace(plain, epochs=epochs, learning_rate=rate),
            train,
            job.folder / f"trial-{number}-{seed}.h5",
            replace(job.context, resume=True, force=False),
            seed=seed,
            saturation=SaturationConfig(annealing=rise, tolerance=1.0),
            held_out=images.held_out,
            start=start,
        )
        rows.append(f"learning rate {rate:g}, lambda to {largest:g}, {epochs} epochs")
        for column, value in zip(_COLUMNS, _judge(net, test), strict=True):
            cells[rows[-1], column] = value
    return SideBySide(
        name="table1-annealing",
        title=f"{_NETWORK}, more epochs of {len(train)} images, {job.scale} scale",
        rows=tuple(rows),
        columns=_COLUMNS,
        measured=cells,
        corner="annealing",
    )


def _judge(net: AbstractClassifier, test: ImageSet) -> tuple[Measured, ...]:
    with torch.no_grad():
        drive = layer_activity(net, test.images[:500])[0].drive.abs().median()
    return (
        *under_fgsm(net, test),
        Measured(values=(weight_distributions(net)[0].excess_kurtosis,), unit=""),
        Measured(values=(float(drive),), unit=""),
    )
