"""G5: the forward pass does no gradient descent of its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.evaluation.checks.finding import Verdict
from sleepdefense.evaluation.checks.subject import Subject, own_randomness
from sleepdefense.evaluation.systems import device_of


class GradientCalls(TorchFunctionMode):
    """While active, counts calls of `torch.autograd.grad`, `torch.autograd.backward` and `Tensor.backward`.

    Nothing is replaced, so nothing can be left behind, and functions that a module imported by name before
    are counted too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @override
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count a call, then make it."""
        if func in (torch.autograd.grad, torch.autograd.backward, Tensor.backward):
            self.count += 1
        return func(*args, **(kwargs or {}))


def check_inner_optimisation(subject: Subject, threat_model: str) -> Verdict:
    """Look for gradients that the model takes while it classifies.

        number of calls of autograd.grad or backward during one forward pass;    fails if > 0

    Such a model optimises something for each input. Its gradient either runs through all of that, which is
    seldom what its authors tested, or past it.

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict.

    Source:
        AutoAttack, "dynamic" flag (it watches the same functions through a trace).
    """
    surface = subject.surface(threat_model)
    images = subject.images[:_NUM_SHOWN].to(device_of(surface)).requires_grad_(True)
    calls = GradientCalls()
    with evaluation_mode(surface), torch.enable_grad(), own_randomness(subject.seed, "logits 0"), calls:
        surface(images)
    if not calls.count:
        return Verdict(
            status="passed", value=0.0, limit=0.0, sentence="The forward pass takes no gradients of its own."
        )
    return Verdict(
        status="failed",
        value=float(calls.count),
        limit=0.0,
        sentence=(
            f"The model takes gradients while it classifies ({calls.count} in one forward pass): it "
            "optimises something for each input, and a gradient attack may differentiate past that."
        ),
        advice=(
            "Attack through the unrolled optimisation or a trained stand-in for it (BPDA), give the attack "
            "as many steps as the defence has, and add attacks without gradients."
        ),
    )


_NUM_SHOWN = 2
"""Images shown: optimisations are slow, and one would do."""
