"""The network as it runs while it sleeps: its weights of the moment and its thresholds, on the grid."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sleepdefense.consolidation.config import SleepConfig
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.plasticity import PlasticStage
from sleepdefense.errors import ConfigError, SleepError
from sleepdefense.spiking.network import SpikingNetwork, SpikingNode
from sleepdefense.spiking.simulate import simulate
from sleepdefense.spiking.synapses import Synapses, grid_bits_for

Masters = Mapping[str, NDArray[np.float32]]

_OUTER, _INNER = 36.0, 23.0
_OCTAVE = 8  # calibrated thresholds are searched on a scale of eight values an octave
_CALIBRATION_IMAGES = 16
_SEARCH = (-6 * _OCTAVE, 10 * _OCTAVE)


def with_masters(network: SpikingNetwork, masters: Masters) -> SpikingNetwork:
    """Return the network with other master weights; where these grew, on a grid that keeps its sums exact."""
    nodes = tuple(
        replace(node, synapses=_rewired(node.synapses, masters[node.name]))
        if node.synapses is not None and node.name in masters
        else node
        for node in network.nodes
    )
    return replace(network, nodes=nodes)


def thresholds_of(stages: tuple[PlasticStage, ...], config: SleepConfig) -> dict[str, float]:
    """Return the printed threshold of each firing node, or the one set in its place.

    Source:
        Talafha et al. 2023, Table 3: 36, 23, 23, 36.
    """
    stages = tuple(stage for stage in stages if not stage.is_stochastic)
    values = config.thresholds
    if values is None:
        inner = (_INNER,) * max(0, len(stages) - 2)
        values = (_OUTER, *inner, _OUTER)[: len(stages)]
    if len(values) != len(stages):
        raise ConfigError(
            f"sleep.thresholds has {len(values)} values, expected one for each of the {len(stages)} stages "
            f"that can sleep and have a threshold: {', '.join(stage.name for stage in stages)}"
        )
    return {stage.unit: value for stage, value in zip(stages, values, strict=True)}


def find_thresholds(plan: SleepPlan, images: Tensor) -> dict[str, float]:
    """Return theta of every firing node whose threshold differs from the converted one.

    "calibrated" takes theta = c * printed / largest printed, with the largest c, in steps of an eighth of an
    octave, at which in every stage the share `firing_share` of the neurons, or more, fires at least once an
    image; measured on the first images.

    Args:
        plan: What is settled.
        images: For "calibrated": some images, (batch, *unit).

    Raises:
        ConfigError: There are not as many thresholds as stages.
        SleepError: No c lets enough neurons fire, or "absolute" meets units that have no threshold.
    """
    mode = plan.config.threshold_mode
    if mode == "unit":
        return {}
    if mode == "absolute" and (drawing := [stage.name for stage in plan.plastic if stage.is_stochastic]):
        raise SleepError(
            f"stage {drawing[0]!r} drives units that draw whether to spike and have no threshold, and "
            "'absolute' thresholds leave out biases, which decide how often: take 'unit' or 'calibrated'"
        )
    printed = thresholds_of(plan.plastic, plan.config)
    if mode == "absolute":
        return printed
    if not printed:
        return {}
    low, high = _SEARCH
    while low < high:
        middle = (low + high + 1) // 2
        if min(_firing_shares(plan, _scaled(printed, middle), images).values()) >= plan.config.firing_share:
            low = middle
        else:
            high = middle - 1
    found = _scaled(printed, low)
    shares = _firing_shares(plan, found, images)
    stage = min((one for one in plan.plastic if one.unit in shares), key=lambda one: shares[one.unit])
    if shares[stage.unit] < plan.config.firing_share:
        raise SleepError(
            f"no threshold lets enough neurons of stage {stage.name!r} fire: {shares[stage.unit]:.3f} of "
            f"them do at the lowest, expected {plan.config.firing_share}. Lower 'firing_share', or take more "
            "steps."
        )
    return found


def dreaming(plan: SleepPlan, masters: Masters, thresholds: Mapping[str, float]) -> SpikingNetwork:
    """Return the network that a batch is presented to.

    With absolute thresholds, the weights of every stage that can sleep are mapped to [0, 1] by the range they
    had before the sleep, u = (w - lo) / (hi - lo), and biases left out. Thresholds are rounded to the grid of
    the weights they meet.

    Args:
        plan: What is settled.
        masters: Weights of the moment, of the stages that sleep.
        thresholds: From `find_thresholds`.
    """
    network = with_masters(plan.network, masters)
    if plan.config.threshold_mode == "absolute":
        ranges = {stage.name: plan.network.weights[stage.name] for stage in plan.plastic}
        network = replace(
            network,
            nodes=tuple(
                replace(node, synapses=_in_unit_range(node.synapses, ranges[node.name]))
                if node.synapses is not None and node.name in ranges
                else node
                for node in network.nodes
            ),
        )
    bits = {
        stage.unit: synapses.grid_bits
        for stage in plan.plastic
        if (synapses := network.node(stage.name).synapses) is not None
    }
    nodes = tuple(
        _with_threshold(node, thresholds[node.name], bits[node.name]) if node.name in thresholds else node
        for node in network.nodes
    )
    return replace(network, nodes=nodes)


def _rewired(synapses: Synapses, master: NDArray[np.float32]) -> Synapses:
    weight = torch.from_numpy(master.copy()).to(synapses.weight.device)
    return _regridded(replace(synapses, weight=weight))


def _in_unit_range(synapses: Synapses, before: Tensor) -> Synapses:
    lo, hi = before.double().min(), before.double().max()
    weight = ((synapses.weight.double() - lo) / (hi - lo)).clamp(0, 1).float()
    return _regridded(replace(synapses, weight=weight, bias=None))


def _regridded(synapses: Synapses) -> Synapses:
    axes = (0, 2, 3) if synapses.kind == "conv_transpose2d" else tuple(range(1, synapses.weight.ndim))
    bits = grid_bits_for(synapses.weight, synapses.bias, axes)
    return replace(synapses, grid_bits=min(synapses.grid_bits, bits))


def _with_threshold(node: SpikingNode, threshold: float, grid_bits: int) -> SpikingNode:
    units = max(1, round(threshold * 2**grid_bits))
    return replace(node, threshold=math.ldexp(units, -grid_bits))


def _scaled(printed: Mapping[str, float], octave_part: int) -> dict[str, float]:
    largest = max(printed.values())
    return {unit: 2.0 ** (octave_part / _OCTAVE) * value / largest for unit, value in printed.items()}


def _firing_shares(plan: SleepPlan, thresholds: Mapping[str, float], images: Tensor) -> dict[str, float]:
    """Return the fraction of the neurons of each unit that fire at least once an image."""
    units = [stage.unit for stage in plan.plastic if not stage.is_stochastic]
    record = simulate(
        dreaming(plan, {}, thresholds),
        images[:_CALIBRATION_IMAGES],
        num_steps=plan.config.num_steps,
        encoder="bernoulli",
        seed=plan.config.seed,
        until=set(units),
    )
    return {unit: float((record.rates[unit] > 0).double().mean()) for unit in units}
