import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sleepdefense.consolidation import CONTROLS

CHANGED = ("encoder.1", "decoder.2")


@pytest.fixture(scope="module")
def after(fc):
    generator = torch.Generator().manual_seed(1)
    moved = {name: fc.weights[name] for name in CHANGED}
    return fc.with_weights(
        {name: w + 0.02 * torch.randn(w.shape, generator=generator) for name, w in moved.items()}
    )


def change(before, after, name):
    return after.weights[name].double().numpy() - before.weights[name].double().numpy()


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_moves_each_layer_as_far_as_the_sleep(fc, after, name):
    control = CONTROLS[name](fc, after, 0)
    for layer in fc.weights:
        expected = np.linalg.norm(change(fc, after, layer))
        # float32 weights: a length is good to about 1e-7 of |W|
        assert_allclose(np.linalg.norm(change(fc, control, layer)), expected, rtol=1e-5)
        assert (layer in CHANGED) == (expected > 0)


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_depend_on_their_seed_only(fc, after, name):
    once, again = CONTROLS[name](fc, after, 3), CONTROLS[name](fc, after, 3)
    other = CONTROLS[name](fc, after, 4)
    same = [torch.equal(once.weights[layer], other.weights[layer]) for layer in CHANGED]
    assert all(torch.equal(once.weights[layer], again.weights[layer]) for layer in CHANGED)
    assert any(same) == (name not in ("gaussian", "shuffled"))


@pytest.mark.parametrize("layer", CHANGED)
def test_what_each_control_does(fc, after, layer):
    slept = change(fc, after, layer)
    shuffled = change(fc, CONTROLS["shuffled"](fc, after, 0), layer)
    assert_allclose(np.sort(shuffled.ravel()), np.sort(slept.ravel()), atol=1e-6)
    assert not np.allclose(shuffled, slept, atol=1e-3)
    assert_allclose(change(fc, CONTROLS["anti"](fc, after, 0), layer), -slept, atol=1e-6)
    shrunk = CONTROLS["shrink"](fc, after, 0).weights[layer] / fc.weights[layer]
    assert_allclose(shrunk.numpy(), shrunk.numpy().flat[0], rtol=1e-5)
    assert 0 < shrunk.numpy().flat[0] < 1


def test_pruning_takes_the_smallest_weights_first(fc, after):
    layer = CHANGED[0]
    before, pruned = fc.weights[layer].numpy(), CONTROLS["prune"](fc, after, 0).weights[layer].numpy()
    gone = pruned == 0
    touched = pruned != before
    assert gone.sum() > 0
    assert touched.sum() - gone.sum() <= 1
    assert np.abs(before[touched]).max() <= np.abs(before[~touched]).min()


def test_without_sleep_there_is_nothing_to_control(fc):
    for control in CONTROLS.values():
        same = control(fc, fc, 0)
        for layer, weight in fc.weights.items():
            assert_array_equal(same.weights[layer].numpy(), weight.numpy())
