"""The information geometry of a classifier: how far its output moves when its input does."""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import jacrev, vmap

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.errors import EvaluationError
from sleepdefense.shapes import Images, Labels, Logits


def fisher_metric(logits: Logits) -> Float[Tensor, "batch class class"]:
    """Return the Fisher information of the softmax in its logits.

        G_ij = sum over k of p_k (d log p_k / d h_i) (d log p_k / d h_j) = p_i delta_ij - p_i p_j

    Args:
        logits: (batch, class).

    Returns:
        (batch, class, class), symmetric, positive semidefinite; every row sums to 0.

    Source:
        Nayebi and Ganguli 2017, Eq. 10.
    """
    probability = logits.softmax(1)
    return torch.diag_embed(probability) - probability[:, :, None] * probability[:, None, :]


def input_jacobian(model: nn.Module, images: Images) -> Float[Tensor, "batch class pixel"]:
    """Return the Jacobian of the logits in the pixels of each image, exactly.

    Args:
        model: Gives logits.
        images: (batch, channel, height, width); the result is of their type.

    Returns:
        J = dh^D / dx^0, (batch, class, pixel).
    """
    weights = {name: value.detach() for name, value in (*model.named_parameters(), *model.named_buffers())}

    def logits(image: Tensor) -> Tensor:
        answer: Tensor = torch.func.functional_call(model, weights, (image[None],))
        return answer[0]

    with evaluation_mode(model):
        jacobian: Tensor = vmap(jacrev(logits))(images.detach())
    return jacobian.detach().flatten(2)


def pulled_back_metric(
    jacobian: Float[Tensor, "batch class pixel"], logits: Logits
) -> Float[Tensor, "batch pixel pixel"]:
    """Return the metric that the Fisher information induces on images: G_in = J^T G_F J.

    It has pixel^2 entries an image; `length_element` needs none of them.

    Source:
        Nayebi and Ganguli 2017, Eq. 11.
    """
    return jacobian.transpose(1, 2) @ fisher_metric(logits) @ jacobian


def length_element(
    jacobian: Float[Tensor, "batch class pixel"],
    logits: Logits,
    direction: Float[Tensor, "moved channel height width"],
) -> Float[Tensor, " batch"]:
    """Return how far the output moves, in the Fisher metric, when the image moves along a direction.

        dl = sqrt(dx^T J^T G_F J dx) = sqrt(Var_p(J dx)):

    the standard deviation, over classes drawn from the output p, of the change J dx of their logits. Written
    so, it is never the root of a negative number and loses no digits where an output is certain.

    Args:
        jacobian: (batch, class, pixel).
        logits: At the images, (batch, class).
        direction: dx, (batch, channel, height, width), or (1, ...) for all alike.

    Returns:
        (batch,), >= 0.

    Source:
        Nayebi and Ganguli 2017, Eq. 12.
    """
    change = (jacobian * direction.flatten(1)[:, None, :]).sum(2)
    probability = logits.softmax(1)
    mean = (probability * change).sum(1, keepdim=True)
    return (probability * (change - mean).square()).sum(1).sqrt()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PathGeometry:
    """What a classifier makes of the straight way from one image to another.

    Attributes:
        position: Along the way, from 0, the source, to 1, the target, (point,).
        probability: Softmax output, (point, class).
        length: dl / d position, (point,).
        singular_values: Of the Jacobian of the logits, falling, (point, class).
    """

    position: Float[Tensor, " point"]
    probability: Float[Tensor, "point class"]
    length: Float[Tensor, " point"]
    singular_values: Float[Tensor, "point class"]

    @property
    def total_length(self) -> float:
        """Length of the whole way, by the trapezoidal rule."""
        return float(torch.trapezoid(self.length, self.position))

    @property
    def flat_share(self) -> float:
        """Share of the way on which the output moves at less than a hundredth of its top speed."""
        return float((self.length < 0.01 * self.length.max()).double().mean())

    @property
    def sensitive_directions(self) -> float:
        """Participation ratio of the singular values where the output moves fastest, in [1, class].

        (sum s^2)^2 / sum s^4: 1 if one direction is all, k if k directions count alike.
        """
        squares = self.singular_values[int(self.length.argmax())].square()
        return float(squares.sum().square() / squares.square().sum()) if bool(squares.any()) else 0.0


def path_geometry(
    model: nn.Module, source: Images, target: Images, *, points: int = 201, batch: int = 50
) -> PathGeometry:
    """Move from one image to another on a straight line, and see how a classifier's output moves.

        x(lambda) = (1 - lambda) x_S + lambda x_T,    lambda in [0, 1]

    All in float64.

    Args:
        model: Gives logits. It is copied.
        source: x_S, (1, channel, height, width), in [0, 1].
        target: x_T, shaped alike.
        points: On the way, both ends included, >= 2.
        batch: Of them at once, >= 1.

    Returns:
        Output, length element and singular values at every point.

    Raises:
        EvaluationError: The images differ in shape, or there are too few points.

    Source:
        Nayebi and Ganguli 2017, Eqs. 10 to 13 and Figure 4.
    """
    if source.shape != target.shape or len(source) != 1 or points < 2:
        raise EvaluationError(
            "expected two images of one shape, (1, channel, height, width), and two points or more: got "
            f"{tuple(source.shape)}, {tuple(target.shape)} and {points}"
        )
    exact = in_float64(model)
    start, end = source.double(), target.double()
    position = torch.linspace(0, 1, points, dtype=torch.float64)
    probabilities, lengths, values = [], [], []
    for part in position.split(batch):
        share = part[:, None, None, None]
        images = (1 - share) * start + share * end
        jacobian = input_jacobian(exact, images)
        with torch.no_grad(), evaluation_mode(exact):
            logits = exact(images)
        probabilities.append(logits.softmax(1))
        lengths.append(length_element(jacobian, logits, end - start))
        values.append(torch.linalg.svdvals(jacobian))
    return PathGeometry(
        position=position,
        probability=torch.cat(probabilities),
        length=torch.cat(lengths),
        singular_values=torch.cat(values),
    )


def in_float64(model: nn.Module) -> nn.Module:
    """Return a copy of a network that computes in float64, in evaluation mode."""
    return copy.deepcopy(model).double().eval()


@torch.no_grad()
def confident_images(
    model: nn.Module, images: Images, labels: Labels, *, most: bool = True, batch: int = 500
) -> Int[Tensor, " class"]:
    """Return, for each class, the place of the image that a classifier has right with most confidence.

    Confidence is the probability of the true class, compared by its logit's lead over the log-sum of the
    others, log(p / (1 - p)), which still tells images apart whose probability is rounded to 1.

    Args:
        model: Gives logits.
        images: (batch, channel, height, width), in [0, 1].
        labels: (batch,).
        most: Whether the most confident is wanted, or the least confident one.
        batch: Images at once.

    Returns:
        (class,), in the order of the labels; -1 where no image of a class is classified correctly.
    """
    with evaluation_mode(model):
        logits = torch.cat([model(part) for part in images.split(batch)]).double()
    num_classes = logits.shape[1]
    own = torch.nn.functional.one_hot(labels, num_classes).bool()
    lead = logits[own] - logits.masked_fill(own, -torch.inf).logsumexp(1)
    right = logits.argmax(1) == labels
    places = []
    for label in range(num_classes):
        chosen = (right & (labels == label)).nonzero().flatten()
        if not len(chosen):
            places.append(-1)
            continue
        leads = lead[chosen]
        places.append(int(chosen[int(leads.argmax() if most else leads.argmin())]))
    return torch.tensor(places)
