"""From counts to weights: the twin on whole arrays, the path of foreign rules, and what may not be seen."""

import dataclasses
import itertools
from functools import partial

import naive_update
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sleepdefense.consolidation import STDP, AbstractRule, MirroredSTDP, SleepConfig, sleep
from sleepdefense.consolidation.choose_engine import choose_engine
from sleepdefense.consolidation.consolidator import Consolidator
from sleepdefense.consolidation.dreaming import dreaming
from sleepdefense.consolidation.engine import BatchEvents
from sleepdefense.consolidation.plan import settle
from sleepdefense.consolidation.weight_dependence import DEPENDENCES


class Foreign(AbstractRule):
    """A rule that the kernels do not know, and that does the same as one they know."""

    name = "foreign"

    def __init__(self, rule):
        self.rule = rule

    def direction(self, weight, origin, potentiation, depression):
        return self.rule.direction(weight, origin, potentiation, depression)

    def confine(self, weight, origin):
        return self.rule.confine(weight, origin)

    def twin_gain(self):
        return self.rule.twin_gain()

    def to_json(self):
        return {"rule": self.name}


def origin_of(plan):
    names = [*(stage.name for stage in plan.stages), *plan.twins.values()]
    return {name: plan.network.weights[name].numpy().copy() for name in names}


def random_events(plan, course, rng, share=0.4):
    """Counts of some features of every stage that still learns."""
    plus, minus, winners = {}, {}, {}
    for stage in plan.stages:
        if stage.name in course.finished:
            continue
        shape = tuple(plan.network.weights[stage.name].shape)
        learns = rng.random(shape[0]) < share
        mask = learns.reshape(-1, *[1] * (len(shape) - 1))
        plus[stage.name] = (rng.integers(0, 30, shape) * mask).astype(np.int32)
        minus[stage.name] = (rng.integers(0, 30, shape) * mask).astype(np.int32)
        winners[stage.name] = learns.astype(np.int64)
    spikes = {stage.name: 1 for stage in plan.stages}
    return BatchEvents(potentiation=plus, depression=minus, winners=winners, spikes=spikes)


def twin_of_advance(plan, rule, origin, course, strengths, events, num_images):
    masters, finished, brakes = dict(course.masters), set(course.finished), {}
    for stage in plan.stages:
        if stage.name in finished:
            brakes[stage.name] = 1.0
            continue
        layers = []
        for name in (stage.name, plan.twins.get(stage.name)):
            if name is None:
                continue
            w, start = masters[name].astype(float), origin[name].astype(float)
            plus, minus = events.potentiation[stage.name], events.depression[stage.name]
            gain = 1.0
            if name != stage.name:
                gain = rule.twin_gain()
                plus, minus = (plus.T, minus.T) if plus.ndim == 2 else (plus, minus)
            change = gain * rule.direction(w, start, plus, minus)
            confine = partial(rule.confine, origin=start)
            layers.append({"name": name, "weight": w, "origin": start, "change": change, "confine": confine})
        moved, finished, brakes[stage.name] = naive_update.advance(
            *(layers, finished, strengths[stage.name], num_images),
            **{"rho": plan.config.rho, "most": plan.config.max_batch_change},
        )
        masters |= moved
    return masters, finished, brakes


@pytest.mark.parametrize("which", ["fc", "conv"])
@settings(max_examples=12)
@given(
    dependence=st.sampled_from(list(DEPENDENCES)),
    kappa=st.sampled_from([0.5, 1.0, 3.0]),
    seed=st.integers(0, 2**16),
    strength=st.sampled_from([1.0, 30.0, 1e4]),
    foreign=st.booleans(),
)
def test_courses_are_the_twins(request, which, dependence, kappa, seed, strength, foreign):
    network = request.getfixturevalue(which)
    rule = MirroredSTDP(weight_dependence=dependence, kappa=kappa)
    plan = settle(network, rule, SleepConfig(rho=0.03, max_batch_change=0.012))
    origin, rng = origin_of(plan), np.random.default_rng(seed)
    consolidator = Consolidator(plan, Foreign(rule) if foreign else rule, origin)
    course = consolidator.begin(origin, frozenset())
    strengths = {stage.name: strength for stage in plan.stages}
    for _ in range(6):
        events = random_events(plan, course, rng)
        expected = twin_of_advance(plan, rule, origin, course, strengths, events, 4)
        course = consolidator.advance(course, strengths, events, 4)
        for name, weight in expected[0].items():
            # float32 weights, of a size of at most 1
            assert_allclose(course.masters[name], weight, atol=2e-7, rtol=2e-7)
        assert course.finished == expected[1]
        assert course.brakes == pytest.approx(expected[2])
        for name, weight in course.masters.items():
            way = np.linalg.norm(weight.astype(float) - origin[name]) / np.linalg.norm(
                origin[name].astype(float)
            )
            assert course.changes[name] == pytest.approx(way)


@pytest.mark.parametrize("dependence", DEPENDENCES)
@pytest.mark.parametrize("rule", [STDP, MirroredSTDP])
@pytest.mark.parametrize("which", ["fc", "conv"])
def test_kernels_and_numpy_lead_to_the_same_bytes(request, images, which, rule, dependence):
    network = request.getfixturevalue(which)
    known = rule(weight_dependence=dependence)
    config = SleepConfig(num_steps=6, batch_size=4, max_images=40, target_batches=4, rho=0.05, k=2)
    one = sleep(network, images, known, config=config)
    other = sleep(network, images, Foreign(known), config=config)
    for name, weight in one.network.weights.items():
        assert torch.equal(weight, other.network.weights[name])
    for name, values in one.diary.arrays().items():
        assert_array_equal(values, other.diary.arrays()[name])
    assert one.diary.facts() == other.diary.facts()


def test_a_foreign_rule_may_move_features_without_counts(fc):
    class Decay(Foreign):
        def direction(self, weight, origin, potentiation, depression):
            return -0.001 * weight

    plan = settle(fc, MirroredSTDP(), SleepConfig())
    origin = origin_of(plan)
    consolidator = Consolidator(plan, Decay(MirroredSTDP()), origin)
    course = consolidator.begin(origin, frozenset())
    events = random_events(plan, course, np.random.default_rng(0), share=0.0)
    after = consolidator.advance(course, {"encoder.1": 1.0}, events, 1)
    expected = origin["encoder.1"].astype(float)
    assert_array_equal(after.masters["encoder.1"], (expected - 0.001 * expected).astype(np.float32))
    assert_array_equal(after.moved["encoder.1"], np.arange(12))


@pytest.mark.parametrize("foreign", [False, True])
def test_a_consolidator_remembers_nothing_that_matters(conv, foreign):
    """Whoever makes the next course, from this one or from a copy of its weights: it is the same."""
    rule = MirroredSTDP()
    plan = settle(conv, rule, SleepConfig(rho=0.06, max_batch_change=None))
    origin, rng = origin_of(plan), np.random.default_rng(3)
    used = Foreign(rule) if foreign else rule
    consolidator = Consolidator(plan, used, origin)
    course = consolidator.begin(origin, frozenset())
    strengths = {stage.name: 20.0 for stage in plan.stages}
    for _ in range(8):
        events = random_events(plan, course, rng, share=0.2)
        before = {name: weight.copy() for name, weight in course.masters.items()}
        after = consolidator.advance(course, strengths, events, 2)
        for name, weight in before.items():
            assert_array_equal(course.masters[name], weight, "an advance changed the weights before it")
        fresh = Consolidator(plan, used, origin)
        anew = fresh.advance(fresh.begin(before, course.finished), strengths, events, 2)
        again = consolidator.advance(course, strengths, events, 2)
        for other in (anew, again):
            assert other.finished == after.finished
            assert other.changes == after.changes
            for name, weight in after.masters.items():
                assert_array_equal(weight, other.masters[name])
            for name, counter in after.counters.items():
                assert_array_equal(counter, other.counters[name])
        course = again
    assert len(course.finished) > 0


def test_features_without_counts_stay(conv):
    plan = settle(conv, MirroredSTDP(), SleepConfig())
    origin = origin_of(plan)
    consolidator = Consolidator(plan, MirroredSTDP(), origin)
    course = consolidator.begin(origin, frozenset())
    events = random_events(plan, course, np.random.default_rng(1))
    after = consolidator.advance(course, {stage.name: 1.0 for stage in plan.stages}, events, 1)
    for stage in plan.stages:
        learned = np.flatnonzero(events.winners[stage.name])
        assert_array_equal(after.moved[stage.name], learned)
        for name in (stage.name, plan.twins[stage.name]):
            differs = (after.masters[name] != origin[name]).reshape(stage.kernel[0], -1).any(axis=1)
            assert set(np.flatnonzero(differs)) <= set(learned)


@pytest.mark.parametrize("competition", ["image", "step", "none"])
@pytest.mark.parametrize("parts", [[8], [1] * 8, [3, 5], [1, 6, 1]])
def test_a_batch_is_the_sum_of_its_parts(conv, images, competition, parts):
    plan = settle(conv, MirroredSTDP(), SleepConfig(num_steps=6, k=2, competition=competition))
    origin = origin_of(plan)
    engine = choose_engine(plan, torch.device("cpu"), threads=2, backend=None)
    learns = {stage.name for stage in plan.stages}
    network, index = dreaming(plan, {}, {}), np.arange(8, dtype=np.int64)

    def course_of(sizes):
        ends = np.cumsum([0, *sizes])
        found = [
            engine.present(network, images[a:b], index[a:b], learns) for a, b in itertools.pairwise(ends)
        ]
        summed = {
            field: {name: sum(getattr(each, field)[name] for each in found) for name in learns}
            for field in ("potentiation", "depression", "winners", "spikes")
        }
        consolidator = Consolidator(plan, MirroredSTDP(), origin)
        begun = consolidator.begin(origin, frozenset())
        return consolidator.advance(begun, dict.fromkeys(learns, 3.0), BatchEvents(**summed), 8)

    whole, split = course_of([8]), course_of(parts)
    for name, weight in whole.masters.items():
        assert weight.tobytes() == split.masters[name].tobytes()
        assert not np.array_equal(weight, origin[name])


@pytest.mark.parametrize("rule", [MirroredSTDP(), MirroredSTDP(weight_dependence="affine")])
def test_online_sleep_twice_gives_the_same_bytes(conv, images, rule):
    config = SleepConfig(num_steps=6, batch_size=1, max_images=30, rho=None, k=2, strength=5.0)
    slept = [sleep(conv, images, rule, config=config, threads=threads) for threads in (1, 2)]
    for name, weight in slept[0].network.weights.items():
        assert weight.numpy().tobytes() == slept[1].network.weights[name].numpy().tobytes()
    assert not torch.equal(conv.weights["encoder.3"], slept[0].network.weights["encoder.3"])
    batch = sleep(conv, images, rule, config=dataclasses.replace(config, batch_size=30))
    assert not torch.equal(batch.network.weights["encoder.3"], slept[0].network.weights["encoder.3"])
