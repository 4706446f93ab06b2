"""The ensembles of section 3.5: several classifiers that vote, and a purifier that also learns from noise."""

from dataclasses import dataclass, field, replace

from torch import nn

from sleepdefense.attacks import parse_attacks
from sleepdefense.evaluation.results import CLEAN
from sleepdefense.evaluation.seen_as import SeenAs
from sleepdefense.evaluation.systems import OBLIVIOUS, WHITE_BOX
from sleepdefense.models import Purified
from sleepdefense.models.ensemble import Ensemble
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.scores import Scores
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.papers.talafha2023.judging import judge
from sleepdefense.papers.talafha2023.networks import Pantry, Target, sleep_of, train_classifier_of
from sleepdefense.papers.talafha2023.plan import ATTACK_NAMES, TARGETS, Plan
from sleepdefense.pipeline import train_step

ONE = "Our model"
NOISE = "Our model, trained on Gaussian noise too"
COLUMNS = (ONE, "Our model, mean vote", "Our model, max vote", NOISE)


@dataclass(slots=True)
class EnsembleScores:
    """What was measured, by threat model."""

    found: dict[str, Scores] = field(default_factory=lambda: {OBLIVIOUS: Scores(), WHITE_BOX: Scores()})


def measure_ensembles_(
    job: Job, plan: Plan, pantry: Pantry, target: Target, seed: int, scores: EnsembleScores
) -> None:
    """Train the members of one seed, attack the first one or the whole, and add what stands to `scores`."""
    others = [
        train_classifier_of(job, plan, pantry, target.name, seed, member=member)[1]
        for member in range(1, plan.members)
    ]
    members = [target.classifier, *others]
    systems: dict[str, nn.Module] = {
        ONE: Purified(target.purified.after, target.classifier),
        COLUMNS[1]: Purified(target.purified.after, Ensemble(members, "mean")),
        COLUMNS[2]: Purified(target.purified.after, Ensemble(members, "max")),
        NOISE: Purified(_purifier_of_noise(job, plan, pantry, target, seed), target.classifier),
    }
    for threat_model, cells in scores.found.items():
        surface = target.classifier if threat_model == OBLIVIOUS else None
        attacks = [name for name in ATTACK_NAMES if threat_model == OBLIVIOUS or name != "CW"]
        seen = {name: SeenAs(system, threat_model, surface) for name, system in systems.items()}
        path = target.folder / f"ensembles-{threat_model}.h5"
        cells.add_(target.name, *judge(job, plan, seen, pantry.test, path, seed=seed, attacks=attacks))


def _purifier_of_noise(job: Job, plan: Plan, pantry: Pantry, target: Target, seed: int) -> nn.Module:
    """Train a purifier on the attacks and on Gaussian noise, and let it sleep."""
    path = target.folder / "defense-vae-noise.h5"
    train_step(
        plan.purifier,
        pantry.train,
        path,
        job.context,
        seed=seed,
        pairs=replace(plan.pairs, attacks=f"{_listed(plan)},GaussianNoise"),
        classifier=target.folder / "classifier.h5",
        cache=target.folder / "pairs-noise.h5",
        device=job.context.device,
    )
    return sleep_of(job, plan, pantry, path, target.classifier, seed).after


def _listed(plan: Plan) -> str:
    """Return the training attacks one by one, of a profile too."""
    return ",".join(str(spec) for spec in parse_attacks(plan.pairs.attacks))


def ensemble_table(job: Job, plan: Plan, scores: EnsembleScores) -> SideBySide:
    """Return what a vote, and noise in the training, change."""
    measured: dict[tuple[str, str], Measured] = {}
    rows = []
    for threat_model, cells in scores.found.items():
        for attack in (CLEAN, *ATTACK_NAMES):
            if (attack, threat_model) in ((CLEAN, WHITE_BOX), ("CW", WHITE_BOX)):
                continue
            for name in TARGETS:
                row = f"{name} {attack}" + (f", {threat_model}" if attack != CLEAN else "")
                rows.append(row)
                for column in COLUMNS:
                    cell = cells.measured(name, attack, column)
                    measured[row, column] = cell or Measured(status="not run")
    return SideBySide(
        name="table4-ensembles",
        title=f"Accuracy in % with {plan.members} classifiers that vote, and with a purifier that learned "
        f"from Gaussian noise too; {OBLIVIOUS} attacks know the first classifier only, {job.dataset}, "
        f"scale {job.scale}",
        rows=tuple(rows),
        columns=COLUMNS,
        measured=measured,
        corner="classifier, attack",
    )
