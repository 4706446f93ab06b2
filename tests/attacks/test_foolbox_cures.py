"""Faults of foolbox, each shown there and absent here."""

import subprocess
import sys

import foolbox as fb
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from quadrants import make_images
from small_attacks import Sums, attack, pool_for
from torch import nn
from torch.testing import assert_close

from sleepdefense.attacks import find_attack, perturb
from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.foolbox_cures import clipping_aware_scale


def run_foolbox(theirs, data, model=None, **budget):
    """Let foolbox itself attack."""
    wrapped = fb.PyTorchModel((Sums() if model is None else model).eval(), bounds=(0, 1), device="cpu")
    return theirs.run(wrapped, data.images, fb.criteria.Misclassification(data.labels), **budget)


@pytest.mark.parametrize(
    ("name", "theirs", "settings"),
    [
        ("Linf:FGSM", fb.attacks.LinfFastGradientAttack(), {}),
        ("L2:FGM", fb.attacks.L2FastGradientAttack(), {}),
        ("Linf:BIM", fb.attacks.LinfBasicIterativeAttack(), {}),
        ("L2:BIM", fb.attacks.L2BasicIterativeAttack(), {}),
        ("Linf:PGD", fb.attacks.LinfPGD(random_start=False), {"random_start": False}),
        ("L2:PGD", fb.attacks.L2PGD(random_start=False), {"random_start": False}),
        ("L1:PGD", fb.attacks.L1PGD(random_start=False), {"random_start": False}),
        ("L2:ContrastReduction", fb.attacks.L2ContrastReductionAttack(), {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_attacks_with_a_budget_are_those_of_foolbox(name, theirs, settings, data):
    spec = find_attack(name).with_settings(**settings)
    expected = run_foolbox(theirs, data, epsilon=spec.epsilon)
    assert_close(attack(spec, Sums(), data).images, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("L2:DDN", fb.attacks.DDNAttack()),
        ("L2:DeepFool", fb.attacks.L2DeepFoolAttack()),
        ("Linf:DeepFool", fb.attacks.LinfDeepFoolAttack()),
        ("L0:FMN", fb.attacks.L0FMNAttack()),
        ("L2:Inversion", fb.attacks.InversionAttack()),
        ("L2:BinarySearchContrastReduction", fb.attacks.BinarySearchContrastReductionAttack()),
        ("L2:LinearSearchContrastReduction", fb.attacks.LinearSearchContrastReductionAttack()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_searches_are_those_of_foolbox(name, theirs, data):
    expected = run_foolbox(theirs, data)
    is_wrong = (Sums()(expected.clamp(0, 1)).argmax(1) != data.labels)[:, None, None, None]
    expected = expected if name == "L2:Inversion" else torch.where(is_wrong, expected, data.images)
    assert_close(attack(find_attack(name), Sums(), data).images, expected, atol=1e-5, rtol=0)


def test_uniform_noise_in_linf_keeps_its_budget(data):
    # foolbox scales by the largest number, not by the largest absolute one
    spec = find_attack("Linf:AdditiveUniformNoise").with_settings(epsilon=0.01)
    distance = distances(data.images, attack(spec, Sums(), data).images, "Linf")
    assert_close(distance, torch.full_like(distance, 0.01), atol=1e-6, rtol=0)


@given(seed=st.integers(0, 1000), share=st.floats(0.01, 0.99))
def test_a_change_has_the_wanted_length_after_clipping(seed, share):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(4, 30, generator=generator)
    image[:, :20] = image[:, :20].round()  # much black and white
    change = torch.randn(4, 30, generator=generator)
    longest = torch.where(change > 0, 1 - image, image).norm(dim=1)
    scale = clipping_aware_scale(image, change, share * longest)
    reached = (torch.clamp(image + scale[:, None] * change, 0, 1) - image).norm(dim=1)
    assert_close(reached, share * longest, atol=1e-4, rtol=1e-3)


def test_fmn_in_l2_comes_nearer_than_that_of_foolbox(data):
    sharp = data.images.clone()
    sharp[sharp < 0.5] = 0.0  # where clipping takes much away
    index, labels = torch.arange(12), data.labels
    ours = perturb(find_attack("L2:FMN").with_settings(epsilon=9), Sums(), sharp, labels, index=index, seed=0)
    nearest = perturb(
        find_attack("DDN").with_settings(epsilon=9, steps=200), Sums(), sharp, labels, index=index, seed=0
    )
    distance = [distances(sharp, found, "L2") for found in (ours, nearest)]
    assert bool((distance[0] > 0).all())
    assert bool((distance[0] < 1.02 * distance[1]).all())


@pytest.mark.parametrize("norm", ["Linf", "L1"])
def test_fmn_steps_over_a_flat_boundary(norm, data):
    # of a linear model the estimated distance is exact, and foolbox comes to stand on the boundary
    kind = {"Linf": fb.attacks.LInfFMNAttack, "L1": fb.attacks.L1FMNAttack}[norm]
    theirs = run_foolbox(kind(), data)
    ours = attack(find_attack(f"{norm}:FMN"), Sums(), data).images
    left = [int((Sums()(found.clamp(0, 1)).argmax(1) == data.labels).sum()) for found in (theirs, ours)]
    assert left[1] == 0
    near = distances(data.images, ours, norm) <= 1.01 * distances(data.images, theirs, norm)
    assert bool((near | (distances(data.images, theirs, norm) == 0)).all())


def test_sparse_descent_leaves_images_inside_the_ball_alone():
    # one image is black, so its first steps go at once to the sphere's edge, the other is held back by white
    images = torch.stack([torch.full((1, 4, 4), 0.5), torch.full((1, 4, 4), 0.95)])
    labels = torch.zeros(2, dtype=torch.int64)

    class Bright(nn.Module):
        def forward(self, image):
            return torch.stack([0 * image.sum((1, 2, 3)), image.sum((1, 2, 3)) - 20], 1)

    spec = find_attack("L1:SparseL1Descent").with_settings(epsilon=2, steps=4, relative_step=0.6)
    index = torch.arange(2)
    both = perturb(spec, Bright(), images, labels, index=index, seed=0)
    alone = perturb(spec, Bright(), images[1:], labels[1:], index=index[1:], seed=0)
    assert torch.equal(both[1:], alone)
    assert bool((distances(images, both, "L1") <= 2 + 1e-5).all())


def test_fmn_in_l0_may_change_every_pixel_of_a_small_image():
    class Unmoved(nn.Module):
        def forward(self, image):
            return torch.stack([image.sum((1, 2, 3)) * 1e-3 + 9, 0 * image.sum((1, 2, 3))], 1)

    images = torch.full((2, 1, 2, 2), 0.5)
    labels = torch.zeros(2, dtype=torch.int64)
    attacked = perturb(find_attack("L0:FMN"), Unmoved(), images, labels, index=torch.arange(2), seed=0)
    assert torch.equal(attacked, images)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_hop_skip_jump_of_one_image_is_that_of_foolbox_in_kind(norm, data):
    one = data.take(1)
    ours = attack(
        find_attack(f"{norm}:HopSkipJump").with_settings(steps=4), Sums(), one, pool=pool_for(Sums())
    )
    starts = pool_for(Sums()).nearest(one.images, one.labels, norm).images
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = run_foolbox(
            fb.attacks.HopSkipJumpAttack(steps=4, constraint=norm.lower()), one, starting_points=starts
        )
    reached = [float(distances(one.images, found, norm)) for found in (starts, theirs, ours.images)]
    # other random numbers, the same search: both come much nearer than the start, by about as much
    assert reached[2] < 0.6 * reached[0]
    assert 0.7 < reached[2] / reached[1] < 1.4


def test_foolbox_can_be_imported_where_scipy_has_moved_on():
    code = (
        "import sys, scipy.ndimage; sys.modules['scipy.ndimage.filters'] = None; "
        "import sleepdefense.attacks.foolbox_import; from foolbox.attacks import blur; "
        "sys.exit(blur.gaussian_filter is not scipy.ndimage.gaussian_filter)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.long
@pytest.mark.parametrize(("norm", "radius"), [("L2", 1e-3), ("L2", 0.04), ("L1", 1e-3)])
def test_brendel_bethge_of_one_image_is_that_of_foolbox(norm, radius):
    one = make_images(1)
    spec = find_attack(f"{norm}:BrendelBethge").with_settings(steps=30, trust_radius=radius, start="image")
    ours = attack(spec, Sums(), one, pool=pool_for(Sums())).images
    starts = pool_for(Sums()).nearest(one.images, one.labels, norm).images
    theirs = getattr(fb.attacks, f"{norm}BrendelBethgeAttack")(steps=30, lr=radius)
    assert_close(ours, run_foolbox(theirs, one, starting_points=starts).clamp(0, 1), atol=1e-5, rtol=0)
