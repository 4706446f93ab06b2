"""The last layers of a classifier: one output for each class, or one for each yes-or-no attribute."""

import torch
from torch import nn

from sleepdefense.errors import ConfigError

_MOST = 12


def read_out(name: str, units: int, num_classes: int, attributes: int) -> list[nn.Module]:
    """Build the layers that turn hidden units into the logits of the classes.

    With attributes, a linear map gives one score z_i for each, and a fixed one the logits of their
    2**attributes joint classes,

        logit_c = sum of z_i over the attributes i that class c has,    bit i of c.

    The softmax of these is the product of independent sigmoids: P(c) = prod_i sigmoid(+-z_i). So the
    cross-entropy of the joint class is the sum of the attributes' binary cross-entropies, its gradient is
    what an attack on a multi-label classifier follows, and the most probable class has the attributes with
    z_i > 0. One output for each class learns which attributes go together, but needs images of every class.

    Args:
        name: What the user calls the model, for messages.
        units: Hidden units.
        num_classes: Classes, >= 1.
        attributes: Attributes, each with a score of its own; 0: none, each class has one.

    Returns:
        One linear map, or two, the second of which has no parameters.

    Raises:
        ConfigError: `attributes` is out of range or does not make `num_classes`.
    """
    if attributes == 0:
        return [nn.Linear(units, num_classes)]
    if not 0 < attributes <= _MOST:
        raise ConfigError(f"setting 'attributes' of model '{name}' must be in [0, {_MOST}], got {attributes}")
    if num_classes != 2**attributes:
        raise ConfigError(
            f"setting 'attributes' of model '{name}' must fit the classes: {attributes} attributes make "
            f"{2**attributes}, got {num_classes}"
        )
    joint = nn.Linear(attributes, num_classes, bias=False)
    del joint.weight
    has = torch.arange(num_classes)[:, None] >> torch.arange(attributes) & 1
    joint.register_buffer("weight", has.to(torch.float32))  # a constant: nothing to train
    return [nn.Linear(units, attributes), joint]
