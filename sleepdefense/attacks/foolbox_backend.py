"""Attacks that foolbox has: which class of it each one is, and how it is run.

What foolbox says about success is never used: `build.py` asks the model again.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from typing_extensions import override

from sleepdefense.attacks.attack_room import AttackRoom
from sleepdefense.attacks.attack_spec import AttackSpec
from sleepdefense.attacks.draws import deciding_logits
from sleepdefense.attacks.foolbox_cures import L0FMN, L1FMN, L2FMN, HopSkipJump, LinfFMN, SparseL1Descent
from sleepdefense.attacks.foolbox_import import fb
from sleepdefense.attacks.foolbox_tensor import drawing_tensor
from sleepdefense.attacks.losses import attack_loss
from sleepdefense.shapes import Images


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How to make an attack of foolbox.

    Attributes:
        kind: Its class.
        arguments: What foolbox calls our settings; those not named here do not go to it.
        fixed: Further arguments.
    """

    kind: Callable[..., Any]
    arguments: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, object] = field(default_factory=dict)


fa = fb.attacks
_STEPS = {"steps": "steps"}
_DESCENT = {"steps": "steps", "relative_step": "rel_stepsize", "random_start": "random_start"}
_REPEATS = {"repeats": "repeats"}

_RECIPES: dict[str, _Recipe] = {
    "Linf:FGSM": _Recipe(fa.LinfFastGradientAttack),
    "L2:FGM": _Recipe(fa.L2FastGradientAttack),
    "Linf:BIM": _Recipe(fa.LinfBasicIterativeAttack, _DESCENT),
    "L2:BIM": _Recipe(fa.L2BasicIterativeAttack, _DESCENT),
    "Linf:PGD": _Recipe(fa.LinfProjectedGradientDescentAttack, _DESCENT),
    "L2:PGD": _Recipe(fa.L2ProjectedGradientDescentAttack, _DESCENT),
    "L1:PGD": _Recipe(fa.L1ProjectedGradientDescentAttack, _DESCENT),
    "L1:SparseL1Descent": _Recipe(SparseL1Descent, _DESCENT),
    "L2:DDN": _Recipe(fa.DDNAttack, _STEPS),
    "Linf:DeepFool": _Recipe(fa.LinfDeepFoolAttack, _STEPS),
    "L2:DeepFool": _Recipe(fa.L2DeepFoolAttack, _STEPS),
    "Linf:FMN": _Recipe(LinfFMN, _STEPS),
    "L2:FMN": _Recipe(L2FMN, _STEPS),
    "L1:FMN": _Recipe(L1FMN, _STEPS),
    "L0:FMN": _Recipe(L0FMN, _STEPS),
    "Linf:BrendelBethge": _Recipe(fa.LinfinityBrendelBethgeAttack, _STEPS),
    "L2:BrendelBethge": _Recipe(fa.L2BrendelBethgeAttack, _STEPS),
    "L1:BrendelBethge": _Recipe(fa.L1BrendelBethgeAttack, _STEPS),
    "L0:BrendelBethge": _Recipe(fa.L0BrendelBethgeAttack, _STEPS),
    "L2:Boundary": _Recipe(fa.BoundaryAttack, _STEPS),
    "Linf:HopSkipJump": _Recipe(HopSkipJump, _STEPS, {"constraint": "linf"}),
    "L2:HopSkipJump": _Recipe(HopSkipJump, _STEPS, {"constraint": "l2"}),
    "L0:SaltAndPepperNoise": _Recipe(fa.SaltAndPepperNoiseAttack, _STEPS),
    "L2:ContrastReduction": _Recipe(fa.L2ContrastReductionAttack),
    "L2:AdditiveGaussianNoise": _Recipe(fa.L2AdditiveGaussianNoiseAttack),
    "L2:AdditiveUniformNoise": _Recipe(fa.L2AdditiveUniformNoiseAttack),
    "Linf:AdditiveUniformNoise": _Recipe(fa.LinfAdditiveUniformNoiseAttack),
    "L2:ClippingAwareAdditiveGaussianNoise": _Recipe(fa.L2ClippingAwareAdditiveGaussianNoiseAttack),
    "L2:ClippingAwareAdditiveUniformNoise": _Recipe(fa.L2ClippingAwareAdditiveUniformNoiseAttack),
    "L2:RepeatedAdditiveGaussianNoise": _Recipe(fa.L2RepeatedAdditiveGaussianNoiseAttack, _REPEATS),
    "L2:RepeatedAdditiveUniformNoise": _Recipe(fa.L2RepeatedAdditiveUniformNoiseAttack, _REPEATS),
    "Linf:RepeatedAdditiveUniformNoise": _Recipe(fa.LinfRepeatedAdditiveUniformNoiseAttack, _REPEATS),
    "L2:ClippingAwareRepeatedAdditiveGaussianNoise": _Recipe(
        fa.L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack, _REPEATS
    ),
    "L2:ClippingAwareRepeatedAdditiveUniformNoise": _Recipe(
        fa.L2ClippingAwareRepeatedAdditiveUniformNoiseAttack, _REPEATS
    ),
    # these do the same in every norm: foolbox's `distance` matters only where foolbox is to clip
    **{
        f"{norm}:{name}": recipe
        for norm in ("Linf", "L2", "L1")
        for name, recipe in {
            "Inversion": _Recipe(fa.InversionAttack),
            "BinarySearchContrastReduction": _Recipe(
                fa.BinarySearchContrastReductionAttack, {"steps": "binary_search_steps"}
            ),
            "LinearSearchContrastReduction": _Recipe(fa.LinearSearchContrastReductionAttack, _STEPS),
            "LinearSearchGaussianBlur": _Recipe(fa.GaussianBlurAttack, _STEPS),
            "LinearSearchBlendedUniformNoise": _Recipe(
                fa.LinearSearchBlendedUniformNoiseAttack, {**_STEPS, "directions": "directions"}
            ),
        }.items()
    },
}

FOOLBOX_ATTACKS = frozenset(_RECIPES)
"""Attacks, as "Norm:Name", that `run_foolbox` knows."""


def run_foolbox(spec: AttackSpec, room: AttackRoom, starts: Images | None = None) -> Images:
    """Run an attack of foolbox against the true labels.

    Args:
        spec: One of `FOOLBOX_ATTACKS`.
        room: The batch.
        starts: Images that the model gets wrong, shaped as the batch, for an attack that needs a start.

    Returns:
        Attacked images as foolbox returns them; those of an attack with a budget are clipped to it.
    """
    model = _model(room)
    wrapped = drawing_tensor(room)
    criterion = fb.criteria.Misclassification(type(wrapped)(room.labels))
    options: dict[str, Any] = {} if starts is None else {"starting_points": type(wrapped)(starts)}
    with warnings.catch_warnings():
        # on compilation, on too few random directions, on arrays that cannot be written
        warnings.filterwarnings("ignore", module=r"(foolbox|eagerpy)\.")
        attack = _make(spec, room)
        is_bounded = isinstance(attack, fa.base.FixedEpsilonAttack)
        if is_bounded:
            options["epsilon"] = spec.number("epsilon")
        attacked = attack.run(model, wrapped, criterion, **options)
    if is_bounded:
        attacked = attack.distance.clip_perturbation(wrapped, attacked, spec.number("epsilon"))
    images: Tensor = attacked.raw
    return images.detach()


class _Model(fb.models.PyTorchModel):  # type: ignore[misc]
    """A model that answers in the kind of tensor it was asked in, so that what is computed from it is one."""

    @override
    def __call__(self, inputs: Any) -> Any:
        return type(inputs)(super().__call__(inputs.raw))


class _RandomModel(_Model):
    """A model that draws at random: its logits say what a share of the draws says (`deciding_logits`)."""

    def __init__(self, room: AttackRoom) -> None:
        super().__init__(room.model, bounds=(0, 1), device=room.images.device)
        self.room = room

    @override
    def __call__(self, inputs: Any) -> Any:
        draws = self.room.model.logit_draws(inputs.raw)
        logits = deciding_logits(draws, self.room.labels, self.room.share)
        return type(inputs).of_draws(logits, draws)


def _model(room: AttackRoom) -> Any:
    """Return the model as foolbox sees it."""
    if room.is_random:
        return _RandomModel(room)
    return _Model(room.model, bounds=(0, 1), device=room.images.device)


def _make(spec: AttackSpec, room: AttackRoom) -> Any:
    """Return the attack with its settings."""
    recipe = _RECIPES[f"{spec.norm}:{spec.name}"]
    settings = {
        theirs: spec.settings[ours] for ours, theirs in recipe.arguments.items() if ours in spec.settings
    }
    if spec.name == "BrendelBethge":
        # foolbox lets its trust region grow with the number of images in the batch
        settings["lr"] = spec.number("trust_radius") / len(room.images)
    attack = recipe.kind(**settings, **recipe.fixed)
    loss = spec.settings.get("loss")
    if loss is not None:
        attack.get_loss_fn = _loss_function(room, str(loss))
    return attack


def _loss_function(room: AttackRoom, kind: str) -> Callable[[Any, Any], Callable[[Any], Any]]:
    """Put one of our losses in the place of foolbox's cross-entropy."""

    def get_loss_fn(model: Any, labels: Any) -> Callable[[Any], Any]:
        return lambda inputs: type(inputs)(attack_loss(room.model, inputs.raw, room.labels, kind).sum())

    return get_loss_fn
