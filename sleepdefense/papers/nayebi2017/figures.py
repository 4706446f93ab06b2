"""Figures 1 to 4, 6 and 7: weights, drives, representations and geometry, vanilla beside saturated."""

from collections.abc import Mapping

import numpy as np
from torch import nn

from sleepdefense.analysis import (
    balanced_sample,
    confident_images,
    dissimilarities,
    drive_distributions,
    empirical_ratio,
    path_geometry,
    pearson_ratios,
    weight_distributions,
)
from sleepdefense.papers.nayebi2017.networks import images_of, network, plan_of
from sleepdefense.papers.nayebi2017.pictures import save_figure
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.report.saturation_figures import (
    dissimilarity_figure,
    drive_figure,
    geometry_figure,
    ratio_figure,
    weight_figure,
)

PAIRS = ((1, 7), (3, 7), (6, 9), (0, 6))
"""Source and target of Figure 4's columns."""
KURTOSES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_MLPS = ("sigmoid MLP", "ReLU MLP")
_BOTH = ("vanilla", "saturated")


def figure_1(job: Job) -> Outcome:
    """Distributions of the weights of both perceptrons, with their excess kurtosis."""
    found = {f"{name}, {how}": weight_distributions(_net(job, name, how)) for name in _MLPS for how in _BOTH}
    drawing = weight_figure(found)
    columns = tuple(f"layer {number + 1}" for number in range(3))
    table = SideBySide(
        name="kurtosis",
        title="Excess kurtosis of the weights",
        rows=tuple(found),
        columns=columns,
        measured={
            (name, column): Measured(values=(layer.excess_kurtosis,), unit="")
            for name, layers in found.items()
            for column, layer in zip(columns, layers, strict=True)
        },
        corner="network",
    )
    said = []
    for name in _MLPS:
        pairs = [
            (layer.excess_kurtosis, saturated.excess_kurtosis)
            for layer, saturated in zip(found[f"{name}, vanilla"], found[f"{name}, saturated"], strict=True)
        ]
        higher = sum(after > before for before, after in pairs)
        words = ", ".join(f"{before:.2f} and {after:.2f}" for before, after in pairs)
        said.append(
            f"Excess kurtosis of the {name}, vanilla and saturated, layer by layer: {words}; "
            f"higher in {higher} of {len(pairs)} layers of the saturated network."
        )
    return Outcome(tables=(table,), figures=(save_figure(job, "1", drawing),), findings=tuple(said))


def figure_2(job: Job) -> Outcome:
    """What flows into the units over all test images."""
    test = images_of(job).test.images
    found = {
        f"{name}, {how}": drive_distributions(_net(job, name, how), test) for name in _MLPS for how in _BOTH
    }
    said = tuple(
        f"{name}: "
        + ", ".join(
            f"layer {number} from {layer.lowest:.3g} to {layer.highest:.3g}"
            + ("" if np.isnan(layer.saturated) else f" ({100 * layer.saturated:.1f} % saturated)")
            for number, layer in enumerate(layers, start=1)
        )
        + "."
        for name, layers in found.items()
    )
    return Outcome(figures=(save_figure(job, "2", drive_figure(found)),), findings=said)


def figure_3(job: Job) -> Outcome:
    """Dissimilarity matrices of the sigmoid perceptron."""
    return _dissimilarity(job, "sigmoid MLP", "3")


def figure_7(job: Job) -> Outcome:
    """Dissimilarity matrices of the ReLU perceptron."""
    return _dissimilarity(job, "ReLU MLP", "7")


def _dissimilarity(job: Job, name: str, number: str) -> Outcome:
    test = images_of(job).test
    chosen = balanced_sample(test.labels, each=plan_of(job).each, seed=job.seeds[0])
    images, labels = test.images[chosen], test.labels[chosen]
    found = {how: dissimilarities(_net(job, name, how), images, labels) for how in _BOTH}
    drawing = dissimilarity_figure({f"{name}, {how}": layers for how, layers in found.items()})
    said = tuple(
        f"{name}, {how}, between over within classes: "
        + ", ".join(f"{layer.layer} {layer.between:.3g} / {layer.within:.3g}" for layer in layers)
        + "."
        for how, layers in found.items()
    )
    return Outcome(figures=(save_figure(job, number, drawing),), findings=said)


def figure_4(job: Job) -> Outcome:
    """Length element, output and singular values between the most confident images of two classes."""
    test, name = images_of(job).test, "sigmoid MLP"
    found, said = {}, []
    for how in _BOTH:
        net = _net(job, name, how)
        places = confident_images(net, test.images, test.labels)
        ways = []
        for source, target in PAIRS:
            first, last = int(places[source]), int(places[target])
            if min(first, last) < 0:
                said.append(f"{how}: no {source} or no {target} is classified correctly; first ones taken.")
                first, last = (int((test.labels == label).nonzero()[0]) for label in (source, target))
            ways.append(
                path_geometry(
                    net,
                    test.images[first : first + 1],
                    test.images[last : last + 1],
                    points=plan_of(job).path_points,
                )
            )
        found[how] = ways
        flat = 100 * np.mean([way.flat_share for way in ways])
        top = np.mean([float(way.length.max()) for way in ways])
        whole = np.mean([way.total_length for way in ways])
        count = np.mean([way.sensitive_directions for way in ways])
        said.append(
            f"{name}, {how}, mean of {len(ways)} ways: the output moves at less than a hundredth of its top "
            f"speed on {flat:.0f} % of the way; the top speed is {top:.3g}, the whole length {whole:.3g}; "
            f"at the fastest point {count:.2f} directions count (participation ratio of the singular values)."
        )
    return Outcome(figures=(save_figure(job, "4", geometry_figure(found, PAIRS)),), findings=tuple(said))


def figure_6(job: Job) -> Outcome:
    """The scaled ratio of section 8 for Pearson type VII distributions, and for the weights of networks."""
    dimension, seed = plan_of(job).dimension, job.seeds[0]
    samples = pearson_ratios(KURTOSES, dimension=dimension, seed=seed)
    layers = []
    for name in _MLPS:
        nets: Mapping[str, nn.Module] = {how: _net(job, name, how) for how in _BOTH}
        for number in range(3):
            for how, net in nets.items():
                weights = [part.weight for part in net.modules() if isinstance(part, nn.Linear)]
                flat = weights[number].detach().double().numpy()
                label = f"{name}, {how}, layer {number + 1}"
                layers.append(empirical_ratio(label, flat, dimension=dimension, seed=seed))
    base = samples[0]
    top = samples[-1]
    said = [
        f"From a normal distribution to excess kurtosis {top.kurtosis:g} the scaled ratio rises from "
        f"{base.mean:.3f} to {top.mean:.3f}, by {100 * (top.mean / base.mean - 1):.0f} % (printed: almost "
        f"40 %); the closed form says {base.limit:.3f} and {top.limit:.3f}."
    ]
    for vanilla, saturated in zip(layers[::2], layers[1::2], strict=True):
        change = 100 * (saturated.mean / vanilla.mean - 1)
        said.append(f"{saturated.label}: {saturated.mean:.2f}, {change:+.0f} % against the vanilla layer.")
    return Outcome(figures=(save_figure(job, "6", ratio_figure(samples, layers)),), findings=tuple(said))


def _net(job: Job, name: str, how: str) -> nn.Module:
    return network(job, name, how, job.seeds[0])
