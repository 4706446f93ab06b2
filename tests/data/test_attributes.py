import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.data import AttributeSet, attribute_accuracy
from sleepdefense.errors import DataError

NAMES = ("Young", "Smiling", "Bald")


def _set(attributes: torch.Tensor, names: tuple[str, ...] = NAMES) -> AttributeSet:
    images = torch.linspace(0, 1, len(attributes)).reshape(-1, 1, 1, 1)
    return AttributeSet(name="faces", images=images, attributes=attributes, names=names)


def test_each_combination_is_a_class_of_its_own() -> None:
    attributes = torch.tensor([[bool(i & 1), bool(i & 2), bool(i & 4)] for i in range(8)])
    joint = _set(attributes).joint()
    assert joint.labels.tolist() == list(range(8))
    assert joint.num_classes == len(set(joint.class_names)) == 8
    assert joint.class_names[:4] == ("none", "Young", "Smiling", "Young+Smiling")
    assert joint.class_names[7] == "Young+Smiling+Bald"
    assert torch.equal(joint.images, _set(attributes).images)


@given(st.integers(1, 4), st.data())
def test_accuracies_are_those_of_the_attributes(num: int, data: st.DataObject) -> None:
    """Against the plain comparison of the two tables of answers."""
    table = st.lists(st.lists(st.booleans(), min_size=num, max_size=num), min_size=5, max_size=5)
    predicted, true = np.array(data.draw(table)), np.array(data.draw(table))
    names = tuple("abcd"[:num])
    classes = [_set(torch.from_numpy(part), names).joint().labels.numpy() for part in (predicted, true)]
    found = attribute_accuracy(*classes, names)
    np.testing.assert_allclose(found.each, (predicted == true).mean(axis=0))
    assert found.mean == pytest.approx((predicted == true).mean())
    assert found.exact == (predicted == true).all(axis=1).mean() == np.mean(classes[0] == classes[1])
    assert found.exact <= min(found.each)


@pytest.mark.parametrize(
    ("predicted", "labels", "message"),
    [
        ([0], [0, 1], "there are 1 predicted and 2 true joint classes: expected as many"),
        ([], [], "there are 0 predicted and 0 true joint classes"),
        ([0, 8], [0, 1], "the predicted joint classes run from 0 to 8: expected 0 to 7, for 3 attributes"),
        ([0, 1], [-1, 1], "the true joint classes run from -1 to 1"),
    ],
)
def test_classes_that_cannot_be_joint_ones_are_refused(
    predicted: list[int], labels: list[int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        attribute_accuracy(np.array(predicted, dtype=int), np.array(labels, dtype=int), NAMES)


@pytest.mark.parametrize("names", [(), ("Bald", "Bald"), tuple(str(i) for i in range(13))])
def test_names_must_be_few_and_different(names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=r"the attributes of 'faces' are .*: expected 1 to 12 different ones"):
        _set(torch.zeros(2, len(names), dtype=torch.bool), names)


def test_attributes_without_a_name_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"are torch.bool of shape \(2, 3\): expected torch.bool of shape \(2, 1\)"
    ):
        _set(torch.zeros(2, 3, dtype=torch.bool), ("Young",))
