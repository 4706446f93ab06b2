"""An experiment on DIM's logits: at which scale of them do the paper's gradient attacks find what it prints?

Eq. 3 divides the intensities ||F_i(D(x))||_1 by one number for all classes. That changes no prediction, and
whatever perturbation fools DIM with it fools it without. But the cross-entropy of intensities that lie tens
apart is another matter: from a gap of 104 on, exp(-gap) is zero in float32, and there is nothing to climb.
"""

from torch import nn

from sleepdefense.attacks.gradient import loss_gradient
from sleepdefense.data import ImageSet
from sleepdefense.evaluation.results import CLEAN
from sleepdefense.evaluation.seen_as import SeenAs
from sleepdefense.evaluation.surfaces import WHITE_BOX
from sleepdefense.models.dim import DIM
from sleepdefense.models.dim_proxies import Unnormalised
from sleepdefense.papers.dim2022.cells import agreement, cells_of, fallen_by_attack
from sleepdefense.papers.dim2022.groups import evaluate_group
from sleepdefense.papers.dim2022.systems import build_system, data_of, plan_of
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.printed import printed_column
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.side_by_side import Measured, SideBySide

USUAL = "P(i | x)"
SHORT = "L2:DDN, 10 steps"
"""As in foolbox 3.2.1, which the paper used; later ones take 100."""

WITHOUT = "without gradient"


def attacked_logits(job: Job) -> Outcome:
    """Attack DIM through the cross-entropy of P(i | x), and of intensities at several scales."""
    plan = plan_of(job)
    if plan.intensities is None:
        return Outcome()
    rows = (CLEAN, *plan.intensities.attacks.split(","))
    factors = {USUAL: None, **{name_of(factor): factor for factor in plan.intensity_factors}}
    test = data_of(job)[1].take(plan.intensities.images)
    measured: dict[tuple[str, str], Measured] = {}
    for column, factor in factors.items():
        fallen, short, without = [], [], []
        for seed in job.seeds:
            model = build_system(job, "DIM", seed=seed)
            assert isinstance(model, DIM)
            name, seen = (
                ("DIM", SeenAs(model, WHITE_BOX)) if factor is None else (column, Unnormalised(model, factor))
            )
            group = plan.group("gradient") if factor is None else plan.intensities
            fallen.append(fallen_by_attack([evaluate_group(job, group, name, seen, seed)], name))
            short.append(fallen_by_attack([evaluate_group(job, plan.short_ddn, name, seen, seed)], name))
            without.append(without_gradient(seen, test))
        measured |= {(row, column): cell for row, cell in cells_of(fallen, rows).items()}
        measured[SHORT, column] = cells_of(short, ("L2:DDN",))["L2:DDN"]
        measured[WITHOUT, column] = Measured(values=tuple(without), n=len(test))
    known = printed_column("dim2022:DIM").cells if job.dataset == "mnist" else {}
    known = {**known, **({SHORT: known["L2:DDN"]} if "L2:DDN" in known else {})}
    side_by_side = SideBySide(
        name="table1-logits",
        title="The paper's gradient attacks on the same DIM by the cross-entropy of several logits, which "
        f"all give the same classes: accuracy in percent on '{job.dataset}', {plan.name}; last row: images "
        "that are classified right and whose cross-entropy has a gradient of nothing but zeros in float32",
        rows=(*rows, SHORT, WITHOUT),
        columns=tuple(factors),
        printed={(row, column): known[row] for row in (*rows, SHORT) if row in known for column in factors},
        measured=measured,
        corner="attack",
    )
    said = [f"With other logits, {sentence}" for sentence in agreement(side_by_side)]
    return Outcome(tables=(side_by_side,), findings=tuple(said))


def name_of(factor: float) -> str:
    """Return how a table calls intensities at a scale.

    >>> name_of(1.0), name_of(1.35)
    ('||F||_1', '1.35 ||F||_1')
    """
    return "||F||_1" if factor == 1 else f"{factor:g} ||F||_1"


def without_gradient(model: nn.Module, test: ImageSet) -> float:
    """Return the percentage of images that are classified right and leave the cross-entropy no gradient."""
    model.eval()
    zero = (loss_gradient(model, test.images, test.labels) == 0).flatten(1).all(1)
    right = model(test.images).argmax(1) == test.labels
    return 100 * float((zero & right).double().mean())
