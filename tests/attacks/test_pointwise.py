import foolbox as fb
import numpy as np
import pytest
import torch
from small_attacks import Sums, pool_for
from torch.testing import assert_close

from sleepdefense.attacks.pointwise import pointwise


def asks(labels, shown=None):
    def is_wrong(images, rows):
        if shown is not None:
            shown.append(len(images))
        return Sums()(images).argmax(1) != labels[rows]

    return is_wrong


def generators(count, seed=0):
    return [np.random.default_rng((seed, number)) for number in range(count)]


@pytest.mark.parametrize("number", [0, 3, 7])
def test_one_image_is_attacked_as_by_foolbox(number, data, monkeypatch):
    images, labels = data.images[number : number + 1], data.labels[number : number + 1]
    starts = pool_for(Sums()).nearest(images, labels, "L0").images
    ours = pointwise(asks(labels), images, starts, generators(1))
    generator = generators(1)[0]
    monkeypatch.setattr(np.random, "permutation", lambda pixels: generator.permutation(pixels))
    model = fb.PyTorchModel(Sums().eval(), bounds=(0, 1), device="cpu")
    theirs = fb.attacks.PointwiseAttack()
    expected = theirs.run(model, images, fb.criteria.Misclassification(labels), starting_points=starts)
    assert_close(ours, expected, atol=1e-7, rtol=0)


def test_pixels_are_put_back_while_the_image_stays_wrong(data):
    starts = pool_for(Sums()).nearest(data.images, data.labels, "L0").images
    attacked = pointwise(asks(data.labels), data.images, starts, generators(12))
    assert bool((Sums()(attacked).argmax(1) != data.labels).all())
    changed = (attacked != data.images).flatten(1)
    assert int(changed.sum(1).max()) < 40
    for row, pixel in changed.nonzero().tolist():
        back = attacked[row : row + 1].clone().flatten(1)
        back[0, pixel] = data.images[row].flatten()[pixel]
        assert int(Sums()(back.reshape(1, 1, 8, 8)).argmax(1)) == int(data.labels[row])


def test_finished_images_are_not_asked_about_again(data):
    starts = data.images.clone()
    starts[0] = pool_for(Sums()).nearest(data.images[:1], data.labels[:1], "L0").images
    shown = []
    attacked = pointwise(asks(data.labels, shown), data.images, starts, generators(12))
    assert set(shown) == {1}
    assert torch.equal(attacked[1:], data.images[1:])


def test_starts_that_share_memory_are_taken_apart(data):
    start = pool_for(Sums()).nearest(data.images[:1], data.labels[:1], "L0").images
    images, labels = data.images[:1].expand(2, 1, 8, 8), data.labels[:1].expand(2)
    attacked = pointwise(asks(labels), images, start.expand(2, 1, 8, 8), generators(2))
    assert_close(attacked[:1], pointwise(asks(labels), images[:1], start, generators(2)[:1]))


def test_the_order_of_pixels_is_random(data):
    starts = pool_for(Sums()).nearest(data.images, data.labels, "L0").images
    first, second = (
        pointwise(asks(data.labels), data.images, starts, generators(12, seed)) for seed in (1, 2)
    )
    assert not torch.equal(first, second)
