"""Tables 5 and 6: FGSM from substitutes that were trained by asking the classifier for labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from sleepdefense.data.attributes import attribute_accuracy
from sleepdefense.data.catalogue import find_dataset
from sleepdefense.evaluation import RobustnessTable
from sleepdefense.evaluation.results import CLEAN
from sleepdefense.evaluation.seen_as import SeenAs
from sleepdefense.evaluation.substitutes import SUBSTITUTE
from sleepdefense.models import Purified
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.recipe import Job, Recipe
from sleepdefense.papers.scores import Scores
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.papers.talafha2023.control_table import control_table, sleep_findings
from sleepdefense.papers.talafha2023.judging import judge
from sleepdefense.papers.talafha2023.networks import Pantry, Target, load_pantry, make_gan, make_target
from sleepdefense.papers.talafha2023.plan import TARGETS, Plan, plan_for
from sleepdefense.papers.talafha2023.substitute_step import substitute_step
from sleepdefense.papers.talafha2023.table4 import (
    AVERAGE,
    COLUMNS,
    GAN,
    NOT_RUN,
    average,
    printed_cells,
    scale_words,
    systems_of,
)

SUBSTITUTES = ("C1", "C4")


@dataclass(slots=True)
class Answers:
    """Predicted classes of each seed, by target, substitute and system; for the accuracy of each attribute.

    Attributes:
        predicted: (target, substitute, system) -> one array a seed.
    """

    predicted: dict[tuple[str, str, str], list[NDArray[np.int32]]]

    def add_(self, name: str, substitute: str, table: RobustnessTable) -> None:
        """Add what one evaluation of one seed found; an image that was not attacked keeps its class."""
        clean = {
            row.system: table.predicted[number]
            for number, row in enumerate(table.rows)
            if row.attack == CLEAN
        }
        for number, row in enumerate(table.rows):
            if row.attack != CLEAN and not row.is_error:
                said = table.predicted[number]
                key = (name, substitute, row.system)
                self.predicted.setdefault(key, []).append(np.where(said < 0, clean[row.system], said))
        if "No defense" in clean:
            self.predicted.setdefault((name, substitute, "No attack"), []).append(clean["No defense"])


def cook(job: Job) -> Outcome:
    """Train substitutes, attack them, and show the images to every system."""
    plan = plan_for(job.scale, job.dataset)
    pantry = load_pantry(job, plan, asked=plan.asked)
    scores, answers = Scores(), Answers({})
    ready: list[tuple[int, Target, str, nn.Module]] = []

    def attack(systems: dict[str, nn.Module], kind: str, images: int | None) -> None:
        seed, target, substitute, _ = ready[-1]
        test = pantry.test if images is None else pantry.test.take(images)
        path = target.folder / f"{kind}-{substitute}.h5"
        table, labels = judge(job, plan, systems, test, path, seed=seed, attacks=["FGSM"])
        names = dict.fromkeys(labels, substitute)
        scores.add_(target.name, table, names, clean_as=clean_of(substitute))
        answers.add_(target.name, substitute, table)

    for seed in job.seeds:
        for name in TARGETS:
            target = make_target(job, plan, pantry, name, seed)
            for substitute in SUBSTITUTES:
                network = make_substitute(job, plan, pantry, target, substitute, seed)
                ready.append((seed, target, substitute, network))
                alone = SeenAs(target.classifier, SUBSTITUTE, network)
                defended = systems_of(target, threat_model=SUBSTITUTE, surface=network)
                attack({"No defense": alone, **defended}, "black-box", None)
    gans = {seed: make_gan(job, plan, pantry, seed) for seed in job.seeds}  # last: it takes longest
    for each in tuple(ready):
        seed, target, _, network = each
        gan = gans[seed]
        if gan is not None:
            ready.append(each)
            system = SeenAs(Purified(gan, target.classifier), SUBSTITUTE, network)
            attack({GAN: system}, "gan-black-box", plan.gan_images)
    found = {SUBSTITUTE: scores}
    controls = control_table(
        job,
        found,
        name=f"table{_number(job)}-controls",
        corner="target, substitute",
        attacks=SUBSTITUTES,
        clean=clean_of(SUBSTITUTES[0]),
    )
    tables = [_table(job, plan, scores), controls]
    attributes = find_dataset(job.dataset).attributes
    if len(attributes) > 1:
        tables.append(_attribute_table(job, plan, answers, pantry.test.labels.numpy(), attributes))
    return Outcome(tables=tuple(tables), findings=tuple(sleep_findings(found, attacks=SUBSTITUTES)))


def clean_of(substitute: str) -> str:
    """Return what the clean images of an evaluation with a substitute are called."""
    return f"{CLEAN}, {substitute}"


def make_substitute(
    job: Job, plan: Plan, pantry: Pantry, target: Target, substitute: str, seed: int
) -> nn.Module:
    """Train a substitute of a target by asking it about images that no table counts."""
    assert pantry.asked is not None
    return substitute_step(
        target.folder / "classifier.h5",
        plan.classifiers[substitute],
        pantry.asked,
        target.folder / f"substitute-{substitute}.h5",
        job.context,
        how=plan.substitute_for(seed),
    )


def _pairs() -> list[tuple[str, str]]:
    return [(name, substitute) for name in TARGETS for substitute in SUBSTITUTES]


def _number(job: Job) -> int:
    """Return the number of the table that a data set belongs to."""
    return 6 if len(find_dataset(job.dataset).attributes) > 1 else 5


def _table(job: Job, plan: Plan, scores: Scores) -> SideBySide:
    """Return Table 5, or 6 for several attributes."""
    headings = {f"{name} / {substitute}": (name, substitute) for name, substitute in _pairs()}
    measured = {}
    for heading, (name, substitute) in headings.items():
        for column in COLUMNS:
            system, shown = column, substitute
            if column == "No attack":
                system, shown = "No defense", clean_of(substitute)
            measured[heading, column] = scores.measured(name, shown, system) or NOT_RUN
    for column in COLUMNS:
        measured[AVERAGE, column] = average([measured[heading, column] for heading in headings])
    named = [
        (heading, f"{job.dataset} {name} {substitute}") for heading, (name, substitute) in headings.items()
    ]
    number = _number(job)
    exact = "Exact match" if number == 6 else "Accuracy"
    return SideBySide(
        name=f"table{number}",
        title=f"{exact} in % under FGSM 0.3 from a substitute ({SUBSTITUTE}), {scale_words(job, plan)}",
        rows=(*headings, AVERAGE),
        columns=COLUMNS,
        printed=printed_cells(number, [*named, (AVERAGE, f"{job.dataset} {AVERAGE}")]),
        measured=measured,
        corner="target / substitute",
    )


def _attribute_table(
    job: Job, plan: Plan, answers: Answers, labels: NDArray[np.int64], attributes: tuple[str, ...]
) -> SideBySide:
    """Return the accuracy of each attribute and their mean, beside the exact match."""
    measured = {}
    rows = []
    for name, substitute in _pairs():
        for place, what in enumerate((*attributes, "mean", "exact match")):
            row = f"{name} / {substitute}: {what}"
            rows.append(row)
            for column in COLUMNS:
                system = column
                values = []
                for said in answers.predicted.get((name, substitute, system), []):
                    found = attribute_accuracy(said, labels[: len(said)], attributes)
                    values.append(100 * (*found.each, found.mean, found.exact)[place])
                measured[row, column] = Measured(values=tuple(values)) if values else NOT_RUN
    return SideBySide(
        name="table6-attributes",
        title="Accuracy in % of each attribute under the same attack; images that are wrong without it "
        f"count as they are, {scale_words(job, plan)}",
        rows=tuple(rows),
        columns=COLUMNS,
        measured=measured,
        corner="target / substitute: attribute",
    )


TABLE5 = Recipe(
    paper="talafha2023",
    kind="table",
    number=5,
    title="Defences against FGSM from substitutes",
    datasets=("mnist", "fashion-mnist", "celeba", "digits"),
    cook=cook,
)
TABLE6 = Recipe(
    paper="talafha2023",
    kind="table",
    number=6,
    title="Several attributes of faces at once, under FGSM from substitutes",
    datasets=("celeba-2", "celeba-4", "celeba-6"),
    cook=cook,
)
