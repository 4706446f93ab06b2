import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform

from sleepdefense.analysis import balanced_sample, dissimilarities, dissimilarity_matrix
from sleepdefense.errors import EvaluationError
from sleepdefense.models import SigmoidMLP
from sleepdefense.models.layer_activity import layer_activity


def test_matrix_is_that_of_scipy() -> None:
    activity = torch.rand(13, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    expected = squareform(pdist(activity.double().flatten(1).numpy(), "sqeuclidean")) / 12
    found = dissimilarity_matrix(activity)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=0)
    assert torch.equal(found, found.T)
    assert not found.diagonal().any()


def test_near_images_keep_their_distance() -> None:
    far = 1e6 * torch.ones(2, 4, dtype=torch.float64)
    far[1, 0] += 1e-3
    # a matrix product would give 0 here, or noise
    assert float(dissimilarity_matrix(far)[0, 1]) == pytest.approx(1e-6 / 4, rel=1e-6)


def test_layers_are_compared_within_and_between_classes() -> None:
    model = SigmoidMLP(hidden=6, size=4).eval()
    images, labels = torch.rand(8, 1, 4, 4), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    found = dissimilarities(model, images, labels)
    assert [each.layer for each in found] == ["layers.1", "layers.3", "softmax"]
    with torch.no_grad():
        activity = layer_activity(model, images)[1].activity
        output = model(images).softmax(1)
    torch.testing.assert_close(found[1].matrix, dissimilarity_matrix(activity))
    torch.testing.assert_close(found[2].matrix, dissimilarity_matrix(output), atol=1e-8, rtol=1e-4)
    within, between = [], []
    for a in range(8):
        for b in range(8):
            if a != b:
                (within if labels[a] == labels[b] else between).append(float(found[1].matrix[a, b]))
    assert found[1].within == pytest.approx(np.mean(within))
    assert found[1].between == pytest.approx(np.mean(between))


def test_a_sample_is_balanced_sorted_and_repeatable() -> None:
    labels = torch.randint(3, (90,), generator=torch.Generator().manual_seed(0))
    chosen = balanced_sample(labels, each=5, seed=1)
    assert labels[chosen].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert len(set(chosen.tolist())) == 15
    assert torch.equal(chosen, balanced_sample(labels, each=5, seed=1))
    assert not torch.equal(chosen, balanced_sample(labels, each=5, seed=2))
    with pytest.raises(EvaluationError, match="class 0 has"):
        balanced_sample(labels, each=60, seed=0)
