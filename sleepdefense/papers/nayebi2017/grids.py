"""Figures 5 and 8: targeted descents from the least and the most confident image of each class."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from sleepdefense.analysis import confident_images
from sleepdefense.attacks.targeted_descent import Descent, all_targets, descend_adam, descend_lbfgs
from sleepdefense.checkpoint import Checkpoint, file_digest, save_checkpoint
from sleepdefense.data import ImageSet
from sleepdefense.papers.nayebi2017.networks import images_of, network, network_file, plan_of
from sleepdefense.papers.nayebi2017.pictures import save_figure
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.pipeline.provenance import fingerprint, finished, provenance, versions
from sleepdefense.report.target_grids import TargetGrid, target_figure

_NETWORK = "sigmoid MLP"
_BOTH = ("vanilla", "saturated")
_PRINTED = "L-BFGS, cross-entropy, float32"
ATTACKS: dict[str, tuple[str, str, torch.dtype]] = {
    _PRINTED: ("lbfgs", "ce", torch.float32),
    "L-BFGS, margin, float64": ("lbfgs", "margin", torch.float64),
    "Adam, cross-entropy, float32": ("adam", "ce", torch.float32),
    "Adam, margin, float64": ("adam", "margin", torch.float64),
}
"""The paper's attacks, and the same with a loss that does not go flat, in double precision."""


def figure_5(job: Job) -> Outcome:
    """From the image of each class that the network has right with the least confidence."""
    return _figure(job, "5", most=False)


def figure_8(job: Job) -> Outcome:
    """From the image of each class that the network has right with the most confidence."""
    return _figure(job, "8", most=True)


def _figure(job: Job, number: str, *, most: bool) -> Outcome:
    test = images_of(job).test
    drawn: dict[str, TargetGrid] = {}
    cells: dict[tuple[str, str], Measured] = {}
    for how in _BOTH:
        net = network(job, _NETWORK, how, job.seeds[0])
        places = confident_images(net, test.images, test.labels, most=most)
        sources = torch.stack([_source(test, label, int(place)) for label, place in enumerate(places)])
        for attack in ATTACKS:
            grid, stuck = _attack(job, how, attack, net, sources, "most" if most else "least")
            pairs = len(sources) * (len(sources) - 1)
            share = 100 * grid.num_found / pairs
            status = f"no gradient at the start: {stuck}" if stuck else ""
            cells[f"{_NETWORK}, {how}", attack] = Measured(values=(share,), n=pairs, status=status)
            if attack == _PRINTED:
                drawn[f"{_NETWORK}, {how}"] = grid
    table = SideBySide(
        name="found",
        title=f"Pairs for which an image was found within {plan_of(job).descent_steps} iterations",
        rows=tuple(f"{_NETWORK}, {how}" for how in _BOTH),
        columns=tuple(ATTACKS),
        measured=cells,
        corner="network",
    )
    said = [
        f"From the {'most' if most else 'least'} confident images L-BFGS on the cross-entropy found "
        + " and ".join(f"{grid.num_found} of 90 ({name})" for name, grid in drawn.items())
        + "; on the margin, in double precision, "
        + " and ".join(
            f"{cells[f'{_NETWORK}, {how}', 'L-BFGS, margin, float64'].mean:.0f} % ({how})" for how in _BOTH
        )
        + "."
    ]
    return Outcome(
        tables=(table,), figures=(save_figure(job, number, target_figure(drawn)),), findings=tuple(said)
    )


def _source(test: ImageSet, label: int, place: int) -> torch.Tensor:
    """Return the chosen image, or the first of its class where none is classified correctly."""
    return test.images[place if place >= 0 else int((test.labels == label).nonzero()[0])]


def _attack(
    job: Job, how: str, attack: str, net: nn.Module, sources: torch.Tensor, confidence: str
) -> tuple[TargetGrid, int]:
    """Attack all pairs, or take what an earlier run found; with it, how many had no gradient."""
    seed, steps = job.seeds[0], plan_of(job).descent_steps
    descender, loss, precision = ATTACKS[attack]
    path = job.folder / f"grid-{confidence}-{how}-{descender}-{loss}-{seed}.h5"
    step = fingerprint(
        network=file_digest(network_file(job, _NETWORK, how, seed)),
        attack=attack,
        steps=steps,
        confidence=confidence,
        sources=sources.double().sum((1, 2, 3)).tolist(),
        versions=versions(),
    )
    done = finished(path, step, resume=True, force=False)
    if done is None:
        images, target, source = all_targets(sources.to(precision), len(sources))
        model = network(job, _NETWORK, how, seed).to(precision)
        descend: Callable[..., Descent] = (
            (lambda: descend_lbfgs(model, images, target, iterations=steps, loss=loss))
            if descender == "lbfgs"
            else (lambda: descend_adam(model, images, target, steps=steps, loss=loss))
        )
        end = descend()
        grid = sources[None].repeat(len(sources), 1, 1, 1, 1).transpose(0, 1).contiguous()
        found = torch.eye(len(sources), dtype=torch.bool)
        grid[source, target] = end.images.float()
        found[source, target] = end.found
        done = Checkpoint(
            kind="results",
            arrays={
                "images": grid.numpy(),
                "found": found.numpy().astype(np.uint8),
                "iterations": end.iterations.numpy(),
                "moved": end.moved.double().numpy(),
                "stuck": end.stuck.numpy().astype(np.uint8),
            },
            settings={"attack": attack, "steps": steps},
            provenance=provenance(job.context.command, seed=seed, step=step),
        )
        save_checkpoint(path, done)
    arrays = done.arrays
    return TargetGrid(images=np.array(arrays["images"]), found=np.array(arrays["found"]).astype(bool)), int(
        np.sum(arrays["stuck"])
    )
