import dataclasses

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sleepers import make_images, seeded, spiking
from torch import nn

from sleepdefense.consolidation import STDP, MirroredSTDP, SleepConfig, sleep
from sleepdefense.conversion import to_awake
from sleepdefense.errors import SleepError

QUICK = SleepConfig(num_steps=10, batch_size=8, target_batches=6, rho=0.05, k=3)


def dose(before, after, name):
    start = before.weights[name].double()
    return float((after.weights[name].double() - start).norm() / start.norm())


def assert_same_weights(one, other):
    for name, weight in one.weights.items():
        assert torch.equal(weight, other.weights[name]), name


@pytest.mark.parametrize("competition", ["image", "step", "none"])
def test_every_stage_is_given_its_dose_exactly(conv, images, competition):
    slept = sleep(conv, images, config=dataclasses.replace(QUICK, competition=competition))
    stages = ("encoder.0", "encoder.3", "encoder.6", "encoder.9")
    assert slept.diary.stages == slept.diary.reached == stages
    for name in stages:
        # float32 weights: a length is good to about 1e-7 of |W|
        assert_allclose(dose(conv, slept.network, name), QUICK.rho, rtol=1e-5)
        assert_allclose(slept.diary.doses[name], QUICK.rho, rtol=1e-5)


def test_twins_learn_by_the_same_events_and_no_more_than_the_dose(conv, images):
    slept = sleep(conv, images, config=QUICK)
    for twin in slept.diary.twins.values():
        assert 0 < dose(conv, slept.network, twin) <= QUICK.rho * (1 + 1e-5)
    for name in ("mean", "log_variance", "expand.0"):
        assert torch.equal(conv.weights[name], slept.network.weights[name])


def test_a_twin_moves_as_the_rule_says(fc, images):
    """One batch at a small given strength: both layers by hand from the counts."""
    config = SleepConfig(num_steps=10, batch_size=16, max_images=16, strength=1.0, competition="none")
    rule = MirroredSTDP(kappa=0.5)
    slept = sleep(fc, images, rule, config=config)
    alone = sleep(fc, images, STDP(), config=config)
    assert torch.equal(slept.network.weights["encoder.1"], alone.network.weights["encoder.1"])
    assert torch.equal(fc.weights["decoder.2"], alone.network.weights["decoder.2"])
    # change = strength * delta * w (1 - |w| / s): divide by the factor, and both layers show the same delta
    deltas = []
    for name in ("encoder.1", "decoder.2"):
        start = fc.weights[name].double().numpy()
        factor = start * (1 - np.abs(start) / np.abs(start).max())
        moved = slept.network.weights[name].double().numpy() - start
        with np.errstate(divide="ignore", invalid="ignore"):
            deltas.append(np.where(np.abs(factor) > 1e-3, moved / factor, np.nan))
    both = ~np.isnan(deltas[0]) & ~np.isnan(deltas[1].T)
    assert both.sum() > 300
    # float32 rounding of the weights, divided by factors down to 1e-3
    assert_allclose(deltas[1].T[both], 0.5 * deltas[0][both], atol=1e-4)
    assert np.abs(deltas[0][both]).max() > 1e-3


def test_no_dose_gives_back_the_same_network(conv, images):
    slept = sleep(conv, images, config=SleepConfig(rho=0.0))
    assert slept.network is conv
    assert slept.diary.notes == ("dose 0: no sleep",)
    woken = to_awake(slept)
    for name, value in conv.awake.state_dict().items():
        assert torch.equal(value, woken.state_dict()[name])


def test_the_network_before_is_not_touched(conv, images):
    before = {name: weight.clone() for name, weight in conv.weights.items()}
    sleep(conv, images, config=QUICK)
    for name, weight in before.items():
        assert torch.equal(weight, conv.weights[name])


def test_the_woken_network_learned_and_kept_the_rest(conv, images):
    woken = to_awake(sleep(conv, images, config=QUICK)).state_dict()
    changed = {name for name, value in conv.awake.state_dict().items() if not torch.equal(value, woken[name])}
    twins = ("decoder.0", "decoder.3", "decoder.6", "decoder.9")
    stages = ("encoder.0", "encoder.3", "encoder.6", "encoder.9")
    assert changed == {f"{name}.weight" for name in (*stages, *twins)}


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_gives_the_same_bytes(conv, images, threads):
    one = sleep(conv, images, config=QUICK, threads=1)
    many = sleep(conv, images, config=QUICK, threads=threads)
    assert_same_weights(one.network, many.network)


def test_signs_stay_and_zeros_stay_zero(fc, images):
    weight = fc.weights["encoder.1"].clone()
    weight[:, ::3] = 0.0
    network = fc.with_weights({"encoder.1": weight})
    after = sleep(network, images, config=dataclasses.replace(QUICK, rho=0.3)).network.weights["encoder.1"]
    assert torch.equal(torch.sign(after), torch.sign(weight))


def test_only_chosen_stages_and_their_twins_learn(conv, images):
    config = dataclasses.replace(QUICK, stages=("encoder.3",))
    slept = sleep(conv, images, config=config)
    changed = [name for name, w in conv.weights.items() if not torch.equal(w, slept.network.weights[name])]
    assert changed == ["encoder.3", "decoder.6"]
    assert slept.diary.twins == {"encoder.3": "decoder.6"}


def test_images_come_again_with_other_spikes(fc, images):
    config = dataclasses.replace(QUICK, rho=1.0, max_images=20, batch_size=8, strength=1.0)
    diary = sleep(fc, images[:8], config=config).diary
    assert_array_equal(diary.column("images"), [8, 16, 20])
    rates = diary.column("rate")[:, 0]
    assert rates[0] != rates[1]
    assert diary.reached == ()
    assert diary.num_images == 20


def test_a_batch_moves_no_layer_by_more_than_allowed(fc, images):
    config = dataclasses.replace(QUICK, rho=0.5, strength=1e6, max_batch_change=0.02, max_images=64)
    diary = sleep(fc, images, config=config).diary
    steps = np.diff(np.concatenate([[0.0], diary.column("change")[:, 0]]))
    twin_steps = np.diff(np.concatenate([[0.0], diary.column("twin_change")[:, 0]]))
    assert max(steps.max(), twin_steps.max()) <= 0.02 * (1 + 1e-5)
    assert diary.column("brake").max() < 1.0


def test_the_strength_brings_the_dose_in_about_the_batches_asked_for(conv, images):
    config = dataclasses.replace(QUICK, competition="none", target_batches=10)
    diary = sleep(conv, images, config=config).diary
    reached = (diary.column("change") < QUICK.rho * (1 - 1e-5)).sum(axis=0) + 1
    assert ((reached >= 5) & (reached <= 25)).all()


def test_a_silent_stage_is_named_with_a_remedy(images):
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 3), nn.ReLU()))
    network = spiking(model)
    network = network.with_weights({"2": -network.weights["2"].abs()})
    bias = dataclasses.replace(network.node("2").synapses, bias=None)
    nodes = tuple(
        dataclasses.replace(node, synapses=bias) if node.name == "2" else node for node in network.nodes
    )
    network = dataclasses.replace(network, nodes=nodes)
    with pytest.raises(SleepError, match=r"stage '2' is silent: none of its 48 neurons.*take more steps"):
        sleep(network, images, config=QUICK)


def test_a_stage_of_equal_weights_has_nothing_to_learn(fc, images):
    network = fc.with_weights({"encoder.1": torch.full_like(fc.weights["encoder.1"], 0.1)})
    with pytest.raises(SleepError, match="spikes, but no weight of it can move"):
        sleep(network, images, config=QUICK)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (make_images(4)[:0], "there are no images to sleep on"),
        (make_images(4, channels=2), r"converted for images of shape \(1, 8, 8\), got \(2, 8, 8\)"),
        (make_images(4) * 2, "must lie in"),
        (make_images(4) * float("nan"), "must lie in"),
    ],
    ids=["none", "shape", "too bright", "nan"],
)
def test_images_that_do_not_fit_are_refused(conv, wrong, message):
    with pytest.raises(SleepError, match=message):
        sleep(conv, wrong)


def test_measures_are_taken_before_along_and_after(fc, images):
    measures = {
        "norm": lambda network: float(network.weights["encoder.1"].norm()),
        "one": lambda network: 1.0,
    }
    config = dataclasses.replace(QUICK, rho=1.0, strength=1.0, max_images=40, measure_every=2)
    slept = sleep(fc, images, config=config, measures=measures)
    diary = slept.diary
    assert diary.measures == ("norm", "one")
    assert [each.images for each in diary.measured] == [0, 16, 32, 40]
    assert diary.measured[0].values[0] == float(fc.weights["encoder.1"].norm())
    assert diary.measured[-1].values == (float(slept.network.weights["encoder.1"].norm()), 1.0)


def test_progress_runs_to_its_end(fc, images):
    told = []
    sleep(fc, images, config=QUICK, progress=lambda *state: told.append(state))
    done = [state[0] for state in told]
    assert done == sorted(done)
    assert done[-1] == 1000
    assert {state[1] for state in told} == {1000}
    assert told[0][2].startswith("8 images, encoder.1 at 0.0")


@pytest.mark.parametrize("mode", ["calibrated", "absolute"])
def test_other_thresholds_are_used_and_noted(conv, images, mode):
    config = dataclasses.replace(QUICK, threshold_mode=mode, thresholds=(3.6, 2.3, 2.3, 3.6), num_steps=20)
    diary = sleep(conv, images, config=config).diary
    values = np.array(list(diary.thresholds.values()))
    assert_allclose(values / values.max(), [1, 23 / 36, 23 / 36, 1])
    if mode == "absolute":
        assert_allclose(values, [3.6, 2.3, 2.3, 3.6])


def test_a_network_without_decoder_sleeps_alone(residual, images):
    diary = sleep(residual, images, config=QUICK).diary
    assert diary.twins == {}
    assert any("has no mirror twin" in note for note in diary.notes)


def test_the_diary_keeps_the_books(conv, images):
    diary = sleep(conv, images, config=QUICK).diary
    winners = diary.column("winners")
    for place, stage in enumerate(diary.stages):
        assert diary.events[stage].sum() == winners[:, place].sum()
    assert ((diary.column("rate") > 0) & (diary.column("rate") <= 1)).all()
    learned = winners > 0
    assert learned[0].all()
    share = diary.column("ltp_share")
    assert ((share[learned] >= 0) & (share[learned] <= 1)).all()
    assert np.isnan(share[~learned]).all()
    # Who has had its dose learns no more.
    finished = diary.column("change")[:-1] >= QUICK.rho * (1 - 1e-6)
    assert not learned[1:][finished].any()
    assert not diary.column("sign_flips").any()
    assert_array_equal(diary.column("change")[-1], [diary.doses[stage] for stage in diary.stages])
