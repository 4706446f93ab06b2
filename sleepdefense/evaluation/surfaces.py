"""Which networks an attack may go through when a model is evaluated.

A model says for itself where an attacker can look (`attack_surfaces`), or merely what it is: that its first
step has no gradient and which networks stand in for it (`proxies`), or that it draws at random (`one_draw`).
What an attack makes of that is decided here, because models know no attacks.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.bpda import BPDA
from sleepdefense.attacks.eot import EOT, DrawsOnce
from sleepdefense.attacks.noise import derive_seed
from sleepdefense.attacks.refinement import refine_binarised
from sleepdefense.models.binarised import BinarisesInput, HasProxies
from sleepdefense.models.defense_gan import DefenseGAN
from sleepdefense.models.purified import Purified
from sleepdefense.shapes import Images, Logits

OBLIVIOUS = "oblivious"
WHITE_BOX = "white-box"
ADAPTIVE = "adaptive"
QUERY = "black-box-query"


def find_surfaces(model: Callable[[Images], Logits]) -> Any:
    """Return, for each threat model, what an attack on a model goes through.

    Args:
        model: What is evaluated.

    Returns:
        For a purifier in front of a classifier, what its `attack_surfaces()` gives, and

        - if a part of it binarises, "adaptive": any of the combinations of stand-ins, and "oblivious": any
          stand-in of the classifier;
        - if a part of it draws at random, "adaptive": the mean over several draws of the whole.

        For any other model what its `attack_surfaces()` gives, or else

        - for a network on binarised images, "white-box": itself, "adaptive": any of its proxies, refined,
          "black-box-query": itself, refined;
        - for another one with proxies, "white-box": itself, "adaptive": any of its proxies;
        - for a network that draws at random, "white-box": itself, "adaptive": the mean over several draws;
        - for a purifier that searches (Defense-GAN), also "adaptive": the identity in place of its gradient;
        - for any other, "white-box": itself.
    """
    if isinstance(model, Purified):
        return _of_purified(model)
    ask = getattr(model, "attack_surfaces", None)
    if ask is not None:
        return ask()
    surfaces: dict[str, Any] = {WHITE_BOX: model}
    if not isinstance(model, nn.Module):
        return surfaces
    if isinstance(model, BinarisesInput):
        surfaces[ADAPTIVE] = _any_proxy(model, model)
        surfaces[QUERY] = AnyOf({"itself": model}, judge=model, refine=_refinement(model))
    elif isinstance(model, HasProxies):
        surfaces[ADAPTIVE] = AnyOf(model.proxies(), judge=model)
    elif isinstance(model, DrawsOnce):
        surfaces[ADAPTIVE] = EOT(model)
    return surfaces


def stand_ins(part: nn.Module) -> dict[str, nn.Module]:
    """Return the networks to be attacked in place of a part, by name: its proxies, or itself, ""."""
    return part.proxies() if isinstance(part, BinarisesInput) else {"": part}


class DrawnPurified(nn.Module):
    """A purifier before a classifier, at least one of which draws at random, with the draw as an argument."""

    def __init__(self, purifier: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.purifier = purifier
        self.classifier = classifier

    def one_draw(self, images: Images, *, seed: int) -> Logits:
        """Return the logits of one draw of both, (batch, class)."""
        purified = _draw(self.purifier, images, derive_seed(seed, "purifier"))
        return _draw(self.classifier, purified, derive_seed(seed, "classifier"))

    @override
    def forward(self, images: Images) -> Logits:
        """Return the logits, (batch, class)."""
        logits: Tensor = self.classifier(self.purifier(images))
        return logits


def _draw(part: nn.Module, images: Tensor, seed: int) -> Tensor:
    result: Tensor = part.one_draw(images, seed=seed) if isinstance(part, DrawsOnce) else part(images)
    return result


def _of_purified(model: Purified) -> dict[str, Any]:
    """Return the surfaces of a purifier in front of a classifier, either of which may be hard to attack."""
    surfaces: dict[str, Any] = dict(model.attack_surfaces())
    purifier, classifier = model.purifier, model.classifier
    if isinstance(classifier, BinarisesInput):
        surfaces[OBLIVIOUS] = _any_proxy(classifier, classifier)
    is_random = isinstance(purifier, DrawsOnce) or isinstance(classifier, DrawsOnce)
    pairs = {
        " ".join(filter(None, names)): (first, second)
        for first_name, first in stand_ins(purifier).items()
        for second_name, second in stand_ins(classifier).items()
        if (names := (first_name, second_name))
    }
    if len(pairs) > 1:
        members: dict[str, nn.Module] = {
            name: EOT(DrawnPurified(*pair)) if is_random else Purified(*pair) for name, pair in pairs.items()
        }
        surfaces[ADAPTIVE] = AnyOf(members, judge=model, refine=_refinement(purifier))
        if isinstance(purifier, BinarisesInput):
            surfaces[QUERY] = AnyOf({"itself": model}, judge=model, refine=_refinement(purifier))
    elif is_random:
        surfaces[ADAPTIVE] = EOT(DrawnPurified(purifier, classifier))
    elif isinstance(purifier, DefenseGAN):
        surfaces[ADAPTIVE] = Purified(BPDA(purifier, "identity"), classifier)
    return surfaces


def _any_proxy(model: BinarisesInput, judge: Any) -> AnyOf:
    return AnyOf(model.proxies(), judge=judge, refine=_refinement(model))


def _refinement(model: object) -> Any:
    """Return what moves attacked images nearer without a change to what a binarised model sees, or None."""
    if not isinstance(model, BinarisesInput):
        return None
    return partial(refine_binarised, threshold=model.threshold)
