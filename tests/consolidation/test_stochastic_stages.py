"""Maps before hidden sigmoids sleep: their units draw whether to spike, and compete by their mean drive."""

import naive
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sleepers import make_images, seeded, spiking
from torch import nn

from sleepdefense.consolidation import MirroredSTDP, SleepConfig, sleep
from sleepdefense.consolidation.choose_engine import choose_engine
from sleepdefense.consolidation.dreaming import dreaming, find_thresholds
from sleepdefense.consolidation.plan import settle
from sleepdefense.consolidation.plasticity import find_plasticity
from sleepdefense.conversion import to_awake
from sleepdefense.errors import SleepError
from sleepdefense.kernels import ChainLayer
from sleepdefense.spiking import simulate

CPU = torch.device("cpu")


def perceptron(hidden: int = 6, *, seed: int = 0) -> nn.Module:
    def layers() -> list[nn.Module]:
        first = [nn.Flatten(), nn.Linear(64, hidden), nn.Sigmoid()]
        return [*first, nn.Linear(hidden, 4), nn.Sigmoid(), nn.Linear(4, 3)]

    return seeded(lambda: nn.Sequential(*layers()), seed=seed)


def convolutional(*, seed: int = 0) -> nn.Module:
    def layers() -> list[nn.Module]:
        first = [nn.Conv2d(1, 5, 3, stride=2, padding=1), nn.Sigmoid(), nn.Conv2d(5, 6, 2), nn.Sigmoid()]
        return [*first, nn.Flatten(), nn.Linear(54, 3)]

    return seeded(lambda: nn.Sequential(*layers()), seed=seed)


def mixed(*, seed: int = 0) -> nn.Module:
    def layers() -> list[nn.Module]:
        first = [nn.Flatten(), nn.Linear(64, 7), nn.ReLU()]
        return [*first, nn.Linear(7, 5), nn.Sigmoid(), nn.Linear(5, 3)]

    return seeded(lambda: nn.Sequential(*layers()), seed=seed)


def twin_image(network, stages, image, number, *, seed, num_steps, **how):
    """One image: every layer over the whole train of the one below, in plain NumPy."""
    visible = naive.bernoulli_train(
        image[None], np.array([number]), seed=seed, first_step=0, num_steps=num_steps
    )[:, 0]
    asleep = []
    for stage in stages:
        synapses, unit = network.node(stage.name).synapses, network.node(stage.unit)
        scale = 2.0**synapses.grid_bits
        weight, bias = (each.double().numpy() for each in synapses.on_grid(torch.float64, CPU))
        layer = ChainLayer(
            weight=(weight * scale).astype(np.int32).reshape(stage.kernel),
            bias=(bias * scale).astype(np.int32),
            threshold=1,
            stride=stage.stride,
            padding=stage.padding,
        )
        place = [node.name for node in network.nodes].index(stage.unit)
        total, spikes, potential = np.float64(0), [], []
        for step, now in enumerate(visible.reshape(num_steps, *stage.visible)):
            drive = (naive.convolve(now, layer) + layer.bias[:, None, None]) / scale
            total = total + drive * unit.gains[0]
            mean = total / (step + 1)
            chance = (1 / (1 + np.exp(-mean))).astype(np.float32)
            fired = naive.bernoulli_train(
                chance[None], np.array([number]), seed=seed + 7919 * place, first_step=step, num_steps=1
            )
            spikes.append(fired[0, 0])
            potential.append(np.rint(mean * 2**30).astype(np.int64))
        train = naive.LayerTrain(np.array(spikes), np.array(potential), None)
        asleep.append(naive.learn(visible.reshape(num_steps, *stage.visible), layer, train, **how))
        visible = train.spikes
    return asleep


@settings(max_examples=25)
@given(
    build=st.sampled_from([perceptron, convolutional]),
    seed=st.integers(0, 50),
    competition=st.sampled_from(["image", "step", "none"]),
    k=st.sampled_from([2, 1, 3, 5]),
    radius=st.integers(0, 1),
    num_steps=st.sampled_from([6, 3, 1]),
    batches=st.sampled_from([(3,), (1, 2), (2, 1)]),
)
def test_every_spike_and_pairing_is_that_of_the_twin(build, seed, competition, k, radius, num_steps, batches):
    network, images = spiking(build(seed=seed)), make_images(3, seed=seed)
    config = SleepConfig(competition=competition, k=k, radius=radius, num_steps=num_steps, seed=seed)
    plan = settle(network, MirroredSTDP(), config)
    engine = choose_engine(plan, CPU, threads=1, backend=None)
    asleep = dreaming(plan, {}, find_thresholds(plan, images))
    learns = {stage.name for stage in plan.stages}
    index = np.arange(7, 10, dtype=np.int64)
    first, found = 0, []
    for size in batches:
        rows = slice(first, first + size)
        found.append(engine.present(asleep, images[rows], index[rows], learns))
        first += size
    expected = [
        twin_image(
            asleep,
            plan.stages,
            image.numpy(),
            number,
            seed=seed,
            num_steps=num_steps,
            competition=competition,
            k=plan.contests[plan.stages[0].name].k,
            radius=plan.contests[plan.stages[0].name].radius,
            depress_outside=False,
            as_printed=False,
        )
        for image, number in zip(images, index, strict=True)
    ]
    for place, stage in enumerate(plan.stages):
        theirs = [layers[place] for layers in expected]
        assert sum(each.spikes[stage.name] for each in found) == sum(
            int(layer.train.spikes.sum()) for layer in theirs
        )
        for name in ("potentiation", "depression"):
            total = sum(getattr(each, name)[stage.name] for each in found)
            assert_array_equal(total.reshape(stage.kernel), sum(getattr(layer, name) for layer in theirs))
        won = np.zeros(stage.hidden[0], dtype=np.int64)
        for layer in theirs:
            for rows in layer.winners:
                np.add.at(won, np.asarray(rows, dtype=np.int64).reshape(-1, 4)[:, 0], 1)
        assert_array_equal(sum(each.winners[stage.name] for each in found), won)


def test_maps_before_hidden_sigmoids_can_sleep_and_the_readout_cannot():
    plasticity = find_plasticity(spiking(mixed()))
    assert [(stage.name, stage.is_stochastic) for stage in plasticity.stages] == [("1", False), ("3", True)]
    assert set(plasticity.reasons) == {"5"}


def test_sleep_changes_the_weights_and_waking_brings_them_back(images):
    model = perceptron()
    slept = sleep(spiking(model), images, config=SleepConfig(num_steps=20))
    woken = to_awake(slept.network)
    weights = woken.state_dict()
    changed = [name for name, weight in model.state_dict().items() if not torch.equal(weight, weights[name])]
    assert changed == ["1.weight", "3.weight"]
    assert "engine: reference" in " ".join(slept.diary.notes)


@pytest.mark.parametrize("mode", ["unit", "calibrated"])
def test_units_that_draw_have_no_threshold(mode, images):
    network = spiking(mixed())
    plan = settle(network, MirroredSTDP(), SleepConfig(threshold_mode=mode))
    assert set(find_thresholds(plan, images)) == (set() if mode == "unit" else {plan.stages[0].unit})
    alone = settle(spiking(perceptron()), MirroredSTDP(), SleepConfig(threshold_mode=mode))
    assert find_thresholds(alone, images) == {}


def test_absolute_thresholds_are_refused_where_there_are_none(images):
    plan = settle(spiking(perceptron()), MirroredSTDP(), SleepConfig(threshold_mode="absolute"))
    with pytest.raises(SleepError, match="stage '1' drives units that draw whether to spike"):
        find_thresholds(plan, images)


def test_a_fast_engine_says_that_it_cannot():
    plan = settle(spiking(perceptron()), MirroredSTDP(), SleepConfig(engine="fused"))
    with pytest.raises(SleepError, match=r"the fused engine cannot run this network: .*'bernoulli'"):
        choose_engine(plan, CPU, threads=1, backend=None)


def test_an_observer_sees_the_mean_drive():
    network, seen = spiking(perceptron()), []
    simulate(network, make_images(2), num_steps=3, observe=lambda moment: seen.append(moment.potentials))
    drive = nn.Sequential(*list(perceptron())[:2])(make_images(2)).double()
    torch.testing.assert_close(seen[-1]["2"], drive, atol=1e-3, rtol=0)
