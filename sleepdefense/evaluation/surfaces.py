"""Which networks an attack may go through when a model is evaluated.

A model says for itself where an attacker can look (`attack_surfaces`), or merely what it is: that its first
step has no gradient and which networks stand in for it (`proxies`), or that it draws at random (`one_draw`).
What an attack makes of that is decided here, because models know no attacks.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.eot import EOT, DrawsOnce
from sleepdefense.attacks.refinement import refine_binarised
from sleepdefense.models.binarised import BinarisesInput
from sleepdefense.shapes import Images, Logits

WHITE_BOX = "white-box"
ADAPTIVE = "adaptive"
QUERY = "black-box-query"


def find_surfaces(model: Callable[[Images], Logits]) -> Any:
    """Return, for each threat model, what an attack on a model goes through.

    Args:
        model: What is evaluated.

    Returns:
        What its `attack_surfaces()` gives, or else

        - for a network on binarised images, "white-box": itself, "adaptive": any of its proxies, refined,
          "black-box-query": itself, refined;
        - for a network that draws at random, "white-box": itself, "adaptive": the mean over several draws;
        - for any other, "white-box": itself.
    """
    ask = getattr(model, "attack_surfaces", None)
    if ask is not None:
        return ask()
    surfaces: dict[str, Any] = {WHITE_BOX: model}
    if not isinstance(model, nn.Module):
        return surfaces
    if isinstance(model, BinarisesInput):
        refine = partial(refine_binarised, threshold=model.threshold)
        surfaces[ADAPTIVE] = AnyOf(model.proxies(), judge=model, refine=refine)
        surfaces[QUERY] = AnyOf({"itself": model}, judge=model, refine=refine)
    elif isinstance(model, DrawsOnce):
        surfaces[ADAPTIVE] = EOT(model)
    return surfaces
