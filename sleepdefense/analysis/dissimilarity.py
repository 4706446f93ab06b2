"""How different the representations of images are, layer by layer."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.errors import EvaluationError
from sleepdefense.models.layer_activity import layer_activity
from sleepdefense.shapes import Images, Labels

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dissimilarity:
    """The representational dissimilarity matrix of one layer.

    Attributes:
        layer: Its name; "softmax" for the probabilities at the end.
        matrix: Mean squared difference of activities between two images, (batch, batch), float64.
        within: Its mean over pairs of different images of one class; NaN without such a pair.
        between: Its mean over pairs of images of two classes; NaN without such a pair.
    """

    layer: str
    matrix: Float[Tensor, "batch batch"]
    within: float
    between: float


def dissimilarity_matrix(activity: Float[Tensor, " batch *unit"]) -> Float[Tensor, " batch batch"]:
    """Return the mean squared difference of activities between all pairs of images.

        d(a, b) = 1/N sum over i of (x_i^a - x_i^b)^2

    Args:
        activity: Of each image, (batch, *unit).

    Returns:
        (batch, batch), float64, exactly symmetric, exactly 0 on the diagonal.

    Source:
        Nayebi and Ganguli 2017, Eq. 9.

    >>> dissimilarity_matrix(torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 2.0]])).round(decimals=9)
    tensor([[0., 1., 2.],
            [1., 0., 1.],
            [2., 1., 0.]], dtype=torch.float64)
    """
    flat = activity.detach().double().flatten(1)
    # differences, not a matrix product: near pairs would lose their digits to cancellation
    distance = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    square = distance.square() / flat.shape[1]
    upper = square.triu(1)
    return upper + upper.T


@torch.no_grad()
def dissimilarities(model: nn.Module, images: Images, labels: Labels) -> tuple[Dissimilarity, ...]:
    """Compare the representations of images in every layer of a classifier.

    Args:
        model: Gives logits.
        images: (batch, channel, height, width), in [0, 1]; sorted by class, blocks lie on the diagonal.
        labels: Class of each, (batch,).

    Returns:
        One matrix for each layer's activities phi(h^l); for the readout, that of softmax(h^D), "softmax".

    Raises:
        EvaluationError: The network has no layer, or there are fewer labels than images.

    Source:
        Nayebi and Ganguli 2017, Eq. 9 and Figures 3 and 7.
    """
    if len(images) != len(labels):
        raise EvaluationError(f"{len(images)} images need as many labels, got {len(labels)}")
    with evaluation_mode(model):
        parts = [layer_activity(model, batch) for batch in images.split(_AT_ONCE)]
    same = labels[:, None] == labels[None, :]
    other = ~same
    same = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    found = []
    for number, layer in enumerate(parts[0]):
        is_last = number == len(parts[0]) - 1
        activity = torch.cat([part[number].activity for part in parts]).double()
        matrix = dissimilarity_matrix(activity.softmax(1) if is_last else activity)
        found.append(
            Dissimilarity(
                layer="softmax" if is_last else layer.name,
                matrix=matrix,
                within=float(matrix[same].mean()),
                between=float(matrix[other].mean()),
            )
        )
    return tuple(found)


def balanced_sample(labels: Labels, *, each: int, seed: int) -> Int[Tensor, " chosen"]:
    """Choose images of each class at random, and return their places sorted by class.

    Args:
        labels: (batch,).
        each: Images of each class, >= 1.
        seed: Of the choice.

    Raises:
        EvaluationError: A class has fewer.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in labels.unique().tolist():
        places = (labels == label).nonzero().flatten()
        if len(places) < each:
            raise EvaluationError(f"class {label} has {len(places)} images: expected {each} or more")
        chosen.append(places[torch.randperm(len(places), generator=generator)[:each]])
    return torch.cat(chosen)
