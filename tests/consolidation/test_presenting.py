"""What an engine is told between two batches amounts to the whole network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sleepdefense.consolidation import MirroredSTDP, SleepConfig
from sleepdefense.consolidation.choose_engine import choose_engine
from sleepdefense.consolidation.engine import AbstractEngine, AbstractKeepingEngine
from sleepdefense.consolidation.plan import settle
from sleepdefense.consolidation.ranks import Ranks
from sleepdefense.consolidation.run import SleepRun


class Counting(AbstractKeepingEngine):
    """Notes how often everything was handed over, and how often only what changed."""

    def __init__(self, engine):
        self.engine, self.note = engine, engine.note
        self.whole = self.again = 0
        self.bits = []

    def present(self, network, images, index, learns):
        self.whole += 1
        self.bits.append([node.synapses.grid_bits for node in network.nodes if node.synapses is not None])
        return self.engine.present(network, images, index, learns)

    def update_(self, stage, unit, features):
        self.engine.update_(stage, unit, features)

    def present_again(self, images, index, learns):
        self.again += 1
        return self.engine.present_again(images, index, learns)


class Forgetting(AbstractEngine):
    """Is handed the whole network every time."""

    def __init__(self, engine):
        self.engine, self.note = engine, engine.note

    def present(self, network, images, index, learns):
        return self.engine.present(network, images, index, learns)


def run(network, images, wrap, rule=None, **options):
    rule = rule or MirroredSTDP()
    plan = settle(network, rule, SleepConfig(**options))
    engine = wrap(choose_engine(plan, torch.device("cpu"), threads=1, backend=None))
    found = SleepRun(plan, rule, engine, images, measures={}, checkpoint=None, identity={}, ranks=Ranks())
    found.begin()
    found.sleep(None)
    return engine, found


def assert_same(one, other):
    for name, weight in one.state.course.masters.items():
        assert_array_equal(weight, other.state.course.masters[name])
    for name, values in one.diary(None).arrays().items():
        assert_array_equal(values, other.diary(None).arrays()[name])


OPTIONS = {"num_steps": 6, "batch_size": 1, "max_images": 24, "k": 2, "rho": None, "strength": 8.0}


@pytest.mark.parametrize("which", ["fc", "conv"])
@pytest.mark.parametrize("mode", ["unit", "calibrated", "absolute"])
def test_only_changes_are_handed_over_and_lead_to_the_same(request, images, which, mode):
    network = request.getfixturevalue(which)
    count = {"fc": 1, "conv": 4}[which]
    options = OPTIONS | {"threshold_mode": mode, "thresholds": (3.6, 2.3, 2.3, 3.6)[:count]}
    engine, kept = run(network, images, Counting, **options)
    assert (engine.whole, engine.again) == (4 + 1, 23)
    assert_same(kept, run(network, images, Forgetting, **options)[1])


def test_layers_that_finish_are_handed_over_whole(conv, images):
    options = OPTIONS | {"rho": 0.02, "strength": 30.0, "max_images": 40}
    engine, kept = run(conv, images, Counting, **options)
    assert len(kept.state.course.finished) > 0
    assert engine.again > 0
    assert_same(kept, run(conv, images, Forgetting, **options)[1])


@pytest.mark.parametrize(("strength", "above"), [(3.0, -1e-3), (-3.0, 1e-3)], ids=["coarser", "finer"])
def test_a_grid_that_becomes_another_is_seen(fc, images, strength, above):
    """The sum of |weights| and |bias| stands at 2**10, the border of a grid of 2**-13, and wanders across."""
    synapses = fc.node("encoder.1").synapses
    bias = synapses.bias.clone()
    bias[0] = -(1024 + above - float(synapses.weight.abs().double().sum(1).max()))
    nodes = tuple(
        replace(node, synapses=replace(synapses, bias=bias)) if node.name == "encoder.1" else node
        for node in fc.nodes
    )
    network = replace(fc, nodes=nodes)
    rule = (
        MirroredSTDP(a_plus=0.004, a_minus=0.0) if strength > 0 else MirroredSTDP(a_plus=0.0, a_minus=-0.004)
    )
    options = OPTIONS | {"strength": abs(strength), "competition": "none"}
    engine, kept = run(network, images, Counting, rule, **options)
    assert {each[0] for each in engine.bits} == {12, 13}
    assert engine.again > 0
    assert_same(kept, run(network, images, Forgetting, rule, **options)[1])


def test_the_literal_sleep_is_the_same(conv, images):
    rule = MirroredSTDP(weight_dependence="affine")
    options = OPTIONS | {
        "threshold_mode": "absolute",
        "max_batch_change": None,
        "thresholds": (3.6, 2.3, 2.3, 3.6),
        "strength": 1.0,
    }
    engine, kept = run(conv, images, Counting, rule, **options)
    assert engine.again > 0
    assert_same(kept, run(conv, images, Forgetting, rule, **options)[1])
    assert np.isfinite(kept.state.rows[-1].kurtosis).all()
