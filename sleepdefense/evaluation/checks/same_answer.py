"""G4: asked twice, the model gives the same answer; and if not, attacks cope with it."""

import torch
from torch import nn
from typing_extensions import override

from sleepdefense.attacks.eot import one_draw
from sleepdefense.attacks.losses import DrawsLogits
from sleepdefense.evaluation.checks.arms import iterated
from sleepdefense.evaluation.checks.finding import Verdict, percent, tolerance
from sleepdefense.evaluation.checks.gradient_exists import LOSS, input_gradient
from sleepdefense.evaluation.checks.subject import Subject
from sleepdefense.evaluation.systems import Model
from sleepdefense.shapes import Images, Logits

NUM_PASSES = 5
"""Times that the model is asked. Source: AutoAttack, "randomized" flag."""

LARGEST_DIFFERENCE = 1e-4
"""L2 difference of normalised logits. Source: AutoAttack, "randomized" flag."""


def check_same_answer(subject: Subject, threat_model: str) -> Verdict:
    """Ask the model several times; if the answers differ, see what that does to the gradient and to attacks.

        random if the number of correct images changes, or
                  max over passes and images of |z_i / |z_i|_2 - z_1 / |z_1|_2|_2 > 1e-4,    n = 5 passes
        SNR = |mean g|^2 / (trace cov(g) / n)
        with the randomness fixed, A_fixed <= A_random + d must hold

    A random model fails unless a surface has `logit_draws`, over which attacks average (EOT), and unless the
    attack on the model with its randomness fixed does at least as well.

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict; deterministic models pass.

    Source:
        AutoAttack, check_randomized; Athalye et al. 2018 on EOT; Carlini et al. 2019 on fixed randomness.
    """
    surface = subject.surface(threat_model)
    answers = [subject.logits(surface, subject.images, draw=draw) for draw in range(NUM_PASSES)]
    unit = [
        answer.double() / answer.double().norm(dim=1, keepdim=True).clamp(min=1e-12) for answer in answers
    ]
    difference = max(float((one - unit[0]).norm(dim=1).max()) for one in unit[1:])
    counts = {int((answer.argmax(1) == subject.labels).sum()) for answer in answers}
    if len(counts) == 1 and difference <= LARGEST_DIFFERENCE:
        return Verdict(
            status="passed",
            value=difference,
            limit=LARGEST_DIFFERENCE,
            sentence=f"Asked {NUM_PASSES} times, the model gives the same answer.",
        )
    sentence = (
        f"The model is random: asked {NUM_PASSES} times, it classifies between {min(counts)} and "
        f"{max(counts)} of {subject.num_images} images correctly, and its logits differ by {difference:.2g}."
    )
    ratio = _signal_to_noise(subject, surface)
    if ratio is not None:
        sentence += f" Its gradients have a signal-to-noise ratio of {ratio:.2g} (mean of {NUM_PASSES})."
    averages = any(isinstance(part, DrawsLogits) for part in subject.system.surfaces.values())
    fixed, is_weaker = _with_fixed_randomness(subject, threat_model)
    return Verdict(
        status="warned" if averages and not is_weaker else "failed",
        value=difference,
        limit=LARGEST_DIFFERENCE,
        sentence=sentence + fixed,
        advice=(
            "Attacks average over its draws; report the number of draws, and the accuracy over several seeds."
            if averages
            else "Give the model a method `logit_draws`, so that attacks average over its draws (EOT), and "
            "attack it with its randomness fixed as well."
        ),
    )


def _with_fixed_randomness(subject: Subject, threat_model: str) -> tuple[str, bool]:
    """Attack the model as it is and with its randomness fixed; say what came of it, and if it did worse."""
    free = subject.surface(threat_model)
    fixed = _Fixed(free, subject.seed)
    answers = [subject.logits(fixed, subject.images, draw=draw) for draw in (0, 1)]
    if not torch.equal(*answers):
        return " It draws from a generator of its own, so its randomness cannot be fixed from outside.", False
    spec, left = iterated(subject.config), {}
    for name, model in (("free", free), ("fixed", fixed)):
        images, _ = subject.attacked(model, spec)
        left[name] = float((subject.logits(model, images).argmax(1) == subject.labels).double().mean())
    words = (
        f" With its randomness fixed, {spec.name} leaves {percent(left['fixed'])} right, and with it free "
        f"{percent(left['free'])}."
    )
    return words, left["fixed"] > left["free"] + tolerance(subject.num_images)


def _signal_to_noise(subject: Subject, surface: Model) -> float | None:
    """Return the median over images of |mean g|^2 / (trace cov(g) / n); None without gradients."""
    probed = min(subject.config.num_probed, subject.num_images)
    images, labels = subject.images[:probed], subject.labels[:probed]
    gradients = []
    for draw in range(NUM_PASSES):
        gradient = input_gradient(surface, images, labels, kind=LOSS, seed=subject.seed + draw)
        if gradient is None or not bool(gradient.isfinite().all()):
            return None
        gradients.append(gradient.double().flatten(1))
    stacked = torch.stack(gradients)
    signal = stacked.mean(0).square().sum(1)
    noise = stacked.var(0).sum(1) / NUM_PASSES
    return float((signal / noise.clamp(min=1e-300)).median())


class _Fixed(nn.Module):
    """A random model that draws the same numbers every time."""

    def __init__(self, model: nn.Module, seed: int) -> None:
        super().__init__()
        self.model = model
        self._seed = seed

    @override
    def forward(self, images: Images) -> Logits:
        """Return the logits of one draw, the same one every time."""
        return one_draw(self.model, images, seed=self._seed)
