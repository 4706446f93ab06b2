"""The fused and the reference engine give the same spikes, winners, counts and weights."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sleepers import chains, make_images, seeded, spiking
from torch import nn

from sleepdefense.consolidation import MirroredSTDP, SleepConfig, sleep
from sleepdefense.consolidation.choose_engine import choose_engine
from sleepdefense.consolidation.dreaming import dreaming, find_thresholds
from sleepdefense.consolidation.plan import settle
from sleepdefense.conversion import to_spiking
from sleepdefense.errors import ConfigError, ConversionError, SleepError
from sleepdefense.spiking import TorchBackend
from sleepdefense.spiking.norse_backend import NorseBackend
from sleepdefense.spiking.snntorch_backend import SnntorchBackend

CPU = torch.device("cpu")


def present(network, images, *, engine, threads=1, backend=None, finished=frozenset(), **options):
    """Return the plan and what one engine counts in one batch."""
    plan = settle(network, MirroredSTDP(), SleepConfig(engine=engine, **options))
    chosen = choose_engine(plan, CPU, threads=threads, backend=backend)
    thresholds = find_thresholds(plan, images)
    index = np.arange(5, 5 + len(images), dtype=np.int64)
    learns = {stage.name for stage in plan.stages} - finished
    return plan, chosen.present(dreaming(plan, {}, thresholds), images, index, learns)


def settle_thresholds(network, images, options):
    find_thresholds(settle(network, MirroredSTDP(), SleepConfig(**options)), images)


def assert_same_events(plan, found, expected):
    for stage in plan.stages:
        assert found.spikes[stage.name] == expected.spikes[stage.name]
    assert set(found.winners) == set(expected.winners)
    for stage in plan.stages:
        if stage.name not in expected.winners:
            continue
        for name in ("winners", "potentiation", "depression"):
            assert_array_equal(getattr(found, name)[stage.name], getattr(expected, name)[stage.name], name)


def converted(case):
    model, channels = case
    try:
        return spiking(model, channels=channels), make_images(5, channels=channels)
    except ConversionError:  # a unit that is silent on these images
        assume(False)


@settings(max_examples=25)
@given(
    case=chains(),
    competition=st.sampled_from(["image", "step", "none"]),
    k=st.integers(1, 6),
    radius=st.integers(0, 2),
    outside=st.sampled_from(["skip", "depress"]),
    order=st.sampled_from(["visible-first", "as-printed"]),
    threshold_mode=st.sampled_from(["unit", "unit", "calibrated", "absolute"]),
    num_steps=st.integers(1, 7),
    threads=st.integers(1, 3),
)
def test_both_engines_count_the_same(
    case, competition, k, radius, outside, order, threshold_mode, num_steps, threads
):
    network, images = converted(case)
    options = {
        "competition": competition,
        "k": k,
        "radius": radius,
        "outside": outside,
        "order": "visible-first" if competition == "none" else order,
        "threshold_mode": threshold_mode,
        "firing_share": 0.01,
        "num_steps": num_steps,
    }
    try:
        settle_thresholds(network, images, options)
    except SleepError:  # not even so many neurons can fire
        assume(False)
    plan, fused = present(network, images, engine="fused", threads=threads, **options)
    _, reference = present(network, images, engine="reference", **options)
    assert_same_events(plan, fused, reference)


@pytest.mark.parametrize("threshold_mode", ["unit", "calibrated"])
@pytest.mark.parametrize("outside", ["skip", "depress"])
@pytest.mark.parametrize(
    ("competition", "order"),
    [
        ("image", "visible-first"),
        ("image", "as-printed"),
        ("step", "visible-first"),
        ("step", "as-printed"),
        ("none", "visible-first"),
    ],
)
def test_both_engines_count_the_same_in_every_mode(conv, images, competition, order, outside, threshold_mode):
    options = {"competition": competition, "order": order, "outside": outside, "num_steps": 6}
    options["threshold_mode"] = threshold_mode
    plan, fused = present(conv, images[:4], engine="fused", **options)
    _, reference = present(conv, images[:4], engine="reference", **options)
    assert_same_events(plan, fused, reference)


@settings(max_examples=8)
@given(case=chains(), competition=st.sampled_from(["image", "step", "none"]), seed=st.integers(0, 9))
def test_both_engines_lead_to_the_same_weights(case, competition, seed):
    network, images = converted(case)
    options = {"competition": competition, "seed": seed, "num_steps": 5, "batch_size": 2, "max_images": 16}
    found = []
    for engine in ("fused", "reference"):
        try:
            found.append(sleep(network, images, config=SleepConfig(engine=engine, **options), threads=2))
        except SleepError as error:  # a silent stage, or one weight only
            found.append(str(error))
    fused, reference = found
    if isinstance(fused, str):
        assert fused == reference
        return
    for name, weight in fused.network.weights.items():
        assert_array_equal(weight.numpy(), reference.network.weights[name].numpy())
    for name, values in fused.diary.arrays().items():
        assert_array_equal(values, reference.diary.arrays()[name])


@pytest.mark.parametrize("competition", ["image", "step", "none"])
@pytest.mark.parametrize("backend", [SnntorchBackend, NorseBackend, TorchBackend])
def test_every_simulator_counts_the_same(conv, images, competition, backend):
    options = {"competition": competition, "num_steps": 6, "k": 2, "radius": 1}
    plan, fused = present(conv, images[:4], engine="fused", **options)
    _, reference = present(conv, images[:4], engine="reference", backend=backend(), **options)
    assert_same_events(plan, reference, fused)


def test_a_finished_stage_spikes_and_counts_nothing(conv, images):
    options = {"num_steps": 8, "finished": {"encoder.0", "encoder.9"}}
    plan, fused = present(conv, images[:4], engine="fused", **options)
    _, reference = present(conv, images[:4], engine="reference", **options)
    assert set(fused.potentiation) == {"encoder.3", "encoder.6"}
    assert_same_events(plan, fused, reference)
    assert min(fused.spikes.values()) > 0


def test_a_chosen_stage_learns_as_among_the_others(conv, images):
    options = {"engine": "fused", "num_steps": 8}
    _, every = present(conv, images[:4], **options)
    _, one = present(conv, images[:4], stages=("encoder.6",), **options)
    assert set(one.winners) == {"encoder.6"}
    for name in ("winners", "potentiation", "depression"):
        assert_array_equal(getattr(one, name)["encoder.6"], getattr(every, name)["encoder.6"])


@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_events_are_those_computed_by_hand(engine):
    # One linear map, two inputs that always spike or never do, one output: V = 0.75 a step, threshold 1.
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[0.75, 0.5]]))
    images = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    network = to_spiking(model, images, percentile=100)  # the scale is 0.75: weights 1 and 2/3
    network = network.with_weights({"1": torch.tensor([[0.75, 0.5]])})
    # Potentials 0.75, 1.5 (a spike; 0.5 left), 1.25 (a spike; 0.25 left), 1.0 (not above 1), 1.75 (a spike).
    for competition, learned in (("image", 1), ("step", 3), ("none", 3)):
        _, events = present(network, images, engine=engine, num_steps=5, competition=competition)
        assert events.spikes["1"] == 3
        assert_array_equal(events.winners["1"], [learned])
        assert_array_equal(events.potentiation["1"], [[learned, 0]])
        assert_array_equal(events.depression["1"], [[0, learned]])


def test_auto_falls_back_and_says_why(residual, images):
    config = SleepConfig(max_images=8, batch_size=4, num_steps=4)
    diary = sleep(residual, images, config=config).diary
    assert diary.notes[0].startswith("engine: reference with SnntorchBackend (the network is no chain: 'add'")
    assert sleep(residual, images, config=config, backend=TorchBackend()).diary.notes[0] == (
        "engine: reference with TorchBackend (a backend was given)"
    )


def test_the_fused_engine_is_not_replaced_in_silence(residual, conv, images):
    config = SleepConfig(engine="fused")
    with pytest.raises(SleepError, match="the fused engine cannot run this network: the network is no chain"):
        sleep(residual, images, config=config)
    with pytest.raises(ConfigError, match="takes no 'backend'"):
        sleep(conv, images, config=config, backend=TorchBackend())
    with pytest.raises(ConfigError, match="'threads' must be >= 1, got 0"):
        sleep(conv, images, config=config, threads=0)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            lambda: [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 16), nn.ReLU()],
            "'2', a 'max_pool', has no place",
        ),
        (
            lambda: [nn.Flatten(), nn.Unflatten(1, (1, 16, 8)), nn.Conv2d(1, 2, 3), nn.ReLU()],
            "made of .* by reshaping",
        ),
        (lambda: [nn.ZeroPad2d(1), nn.Conv2d(2, 2, 3), nn.ReLU()], "'2', a 'wiring', has no place"),
        (lambda: [nn.AvgPool2d(3), nn.Conv2d(2, 2, 1), nn.ReLU()], "'2', a 'wiring', has no place"),
        (lambda: [nn.AvgPool2d(2, 1), nn.Conv2d(2, 2, 1), nn.ReLU()], "'2', a 'wiring', has no place"),
    ],
)
def test_what_breaks_the_chain_is_named(layers, message):
    network = spiking(seeded(lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), *layers())))
    plan = settle(network, MirroredSTDP(), SleepConfig(engine="fused"))
    with pytest.raises(SleepError, match=message):
        choose_engine(plan, CPU, threads=None, backend=None)


@pytest.mark.parametrize("competition", ["image", "step", "none"])
@pytest.mark.parametrize("first", [(), (nn.AvgPool2d(2),)], ids=["", "pooled image"])
def test_averages_run_in_the_fused_engine_as_in_the_reference(images, competition, first):
    model = seeded(
        lambda: nn.Sequential(
            *first, nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AvgPool2d((2, 1)), nn.Conv2d(6, 5, (1, 2)), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4), nn.ReLU(),
        )
    )  # fmt: skip
    if not first:  # five of the last pixels are dropped, and no average of 3 x 5 is a sum of halves
        model = model[:5]
    options = {"num_steps": 12, "competition": competition}
    network = to_spiking(model, images, percentile=99)
    _, fused = present(network, images[:6], engine="fused", **options)
    _, reference = present(network, images[:6], engine="reference", **options)
    assert len(fused.spikes) == (3 if first else 2)
    assert min(fused.spikes.values()) > 0
    assert fused.spikes == reference.spikes
    for name in ("winners", "potentiation", "depression"):
        for stage, counts in getattr(reference, name).items():
            assert_array_equal(getattr(fused, name)[stage], counts)


def test_weight_types_of_the_fused_engine(conv, images):
    options = {"engine": "fused", "num_steps": 16}
    _, words = present(conv, images[:6], **options)
    _, floats = present(conv, images[:6], weight_type="f32", **options)
    _, byte = present(conv, images[:6], weight_type="i8", **options)
    assert floats.spikes == words.spikes
    for stage, counts in words.potentiation.items():
        assert_array_equal(floats.potentiation[stage], counts)
    for stage, spikes in words.spikes.items():
        assert byte.spikes[stage] == pytest.approx(spikes, rel=0.1)
    assert byte.spikes != words.spikes
