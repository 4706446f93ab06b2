"""How a network stands one step along the sign of its own gradient, and whether it has one."""

from typing import NamedTuple

import torch

from sleepdefense.attacks.gradient import loss_gradient
from sleepdefense.data import ImageSet
from sleepdefense.models import AbstractClassifier
from sleepdefense.papers.nayebi2017.plan import EPSILON
from sleepdefense.papers.side_by_side import Measured


class UnderFGSM(NamedTuple):
    """Shares of the images, in percent.

    Attributes:
        clean: Classified right.
        attacked: Classified right, clean and after the step.
        zero: Classified right, and the cross-entropy has a gradient of nothing but zeros.
    """

    clean: Measured
    attacked: Measured
    zero: Measured


def under_fgsm(net: AbstractClassifier, test: ImageSet) -> UnderFGSM:
    """Attack a network as the paper does, in float32."""
    gradient = loss_gradient(net, test.images, test.labels)
    attacked = (test.images + EPSILON * gradient.sign()).clamp(0, 1)
    with torch.no_grad():
        clean, under = (net(each).argmax(1) == test.labels for each in (test.images, attacked))
    zero = (gradient == 0).flatten(1).all(1)
    return UnderFGSM(
        *(
            Measured(values=(100 * float(share.double().mean()),), n=len(test))
            for share in (clean, under & clean, zero & clean)
        )
    )
