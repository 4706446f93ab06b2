"""G1: every image has a gradient to follow."""

import torch

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.attacks.losses import attack_loss
from sleepdefense.evaluation.checks.finding import Verdict, percent
from sleepdefense.evaluation.checks.subject import Subject, own_randomness
from sleepdefense.evaluation.systems import Model, device_of
from sleepdefense.shapes import Images, Labels

SMALLEST_GRADIENT = 1e-12
"""L1 norm below which a gradient counts as none. Source: robustness checklist, G1; AutoAttack asks for 0."""

LOSS = "ce"
"""The loss that the attacks follow unless told otherwise."""


def check_gradient_exists(subject: Subject, threat_model: str) -> Verdict:
    """Count the images on which the attacked loss has no gradient that an attack could follow.

        share of images with  grad l(x) missing,  not finite,  or  |grad l(x)|_1 < 1e-12;    fails if > 0

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict.

    Source:
        AutoAttack, "zero gradient" flag, at the start point; Carlini et al. 2019, checklist.
    """
    surface = subject.surface(threat_model)
    counts = {"missing": 0, "not finite": 0, "zero": 0}
    rescued = 0
    for images, labels in zip(
        subject.images.split(subject.config.batch_size),
        subject.labels.split(subject.config.batch_size),
        strict=True,
    ):
        gradient = input_gradient(surface, images, labels, kind=LOSS, seed=subject.seed)
        if gradient is None:
            counts["missing"] += len(images)
            continue
        finite = gradient.flatten(1).isfinite().all(1)
        zero = finite & (gradient.double().flatten(1).abs().sum(1) < SMALLEST_GRADIENT)
        counts["not finite"] += int((~finite).sum())
        counts["zero"] += int(zero.sum())
        if bool(zero.any()):
            margin = input_gradient(surface, images, labels, kind="margin", seed=subject.seed)
            has_slope = (
                torch.zeros_like(zero)
                if margin is None
                else margin.double().flatten(1).abs().sum(1) >= SMALLEST_GRADIENT
            )
            rescued += int((zero & has_slope).sum())
    n = subject.num_images
    bad = sum(counts.values())
    if not bad:
        return Verdict(
            status="passed", value=0.0, limit=0.0, sentence=f"All {n} images have a gradient to follow."
        )
    words = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    sentence = (
        f"On {bad} of {n} images ({percent(bad / n)}) an attack has no gradient to follow ({words}): that it "
        "fails there says nothing about robustness."
    )
    if rescued:
        sentence += f" The margin of the logits does have one on {rescued} of them."
        advice = (
            "The cross-entropy is saturated: attack with the margin or the DLR loss, or divide the logits."
        )
    elif counts["not finite"]:
        advice = "Find the layer that divides by zero or takes a root of zero, and repair its derivative."
    else:
        advice = (
            "Find the part that rounds, detaches or saturates; attack through a differentiable stand-in for "
            "it (BPDA), and with an attack that needs no gradient."
        )
    return Verdict(status="failed", value=bad / n, limit=0.0, sentence=sentence, advice=advice)


def input_gradient(model: Model, images: Images, labels: Labels, *, kind: str, seed: int) -> Images | None:
    """Return the gradient of each image's loss with respect to its pixels, on the CPU; None without any.

    Args:
        model: Gives logits. Weights and modes are left as they were.
        images: (batch, channel, height, width).
        labels: True class of each, (batch,).
        kind: Name of the loss, as in `attack_loss`.
        seed: For models that draw at random.
    """
    device = device_of(model)
    with evaluation_mode(model), torch.enable_grad(), own_randomness(seed, "gradient"):
        leaf = images.detach().to(device).requires_grad_(True)
        loss = attack_loss(model, leaf, labels.to(device), kind).sum()
        if not loss.requires_grad:
            return None
        (gradient,) = torch.autograd.grad(loss, leaf, allow_unused=True)
    return None if gradient is None else gradient.cpu()
