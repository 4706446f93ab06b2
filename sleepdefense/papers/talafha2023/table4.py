"""Table 4: attacks on the classifier alone, beside those through the purifier, and controls of the sleep."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import nn

from sleepdefense.attacks import BPDA
from sleepdefense.evaluation.results import CLEAN
from sleepdefense.evaluation.seen_as import SeenAs
from sleepdefense.evaluation.surfaces import ADAPTIVE
from sleepdefense.evaluation.systems import OBLIVIOUS, WHITE_BOX
from sleepdefense.models import Purified
from sleepdefense.papers.asleep import SHOWN_CONTROLS, Slept
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.printed import PrintedCell, printed_column
from sleepdefense.papers.recipe import Job, Recipe
from sleepdefense.papers.scores import Score, Scores
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.papers.talafha2023.control_table import control_table, sleep_findings
from sleepdefense.papers.talafha2023.ensembles import (
    EnsembleScores,
    ensemble_table,
    measure_ensembles_,
)
from sleepdefense.papers.talafha2023.judging import judge
from sleepdefense.papers.talafha2023.networks import (
    Pantry,
    Target,
    load_pantry,
    make_gan,
    make_target,
)
from sleepdefense.papers.talafha2023.plan import ATTACK_NAMES, TARGETS, Plan, plan_for

COLUMNS = ("No attack", "No defense", "Our model", "Our model (E2E)", "Defense-VAE", "Defense-GAN")
DATASETS = ("mnist", "fashion-mnist", "celeba", "digits")
AVERAGE = "average"
GAN, GAN_IDENTITY = "Defense-GAN", "Defense-GAN, its gradient taken for the identity"
NOT_RUN = Measured(status="not run")


@dataclass(slots=True)
class Found:
    """What a job measured: by classifier, attack and system.

    Attributes:
        oblivious: Attacks on the classifier alone.
        white_box: Attacks through all of it.
    """

    oblivious: Scores = field(default_factory=Scores)
    white_box: Scores = field(default_factory=Scores)


def cook(job: Job) -> Outcome:
    """Train, let sleep and attack, for every seed and classifier; put the results beside the printed ones."""
    plan = plan_for(job.scale, job.dataset)
    pantry = load_pantry(job, plan)
    found = Found()
    targets = {}
    for seed in job.seeds:
        for name in TARGETS:
            target = targets[seed, name] = make_target(job, plan, pantry, name, seed)
            _attack_classifier(job, plan, pantry, target, seed, found.oblivious)
            _attack_whole(job, plan, pantry, target, seed, found.white_box)
    for seed in job.seeds:  # last, because it takes longest
        gan = make_gan(job, plan, pantry, seed)
        if gan is not None:
            for name in TARGETS:
                _attack_gan(job, plan, pantry, targets[seed, name], gan, seed, found)
    ensembles = EnsembleScores()
    for (seed, _), target in targets.items():
        measure_ensembles_(job, plan, pantry, target, seed, ensembles)
    return Outcome(
        tables=(
            oblivious_table(job, plan, found.oblivious),
            white_box_table(job, plan, found.white_box),
            control_table(
                job,
                {OBLIVIOUS: found.oblivious, WHITE_BOX: found.white_box},
                name="table4-controls",
                corner="classifier, attack",
            ),
            ensemble_table(job, plan, ensembles),
        ),
        findings=(
            *sleep_findings({OBLIVIOUS: found.oblivious, WHITE_BOX: found.white_box}),
            *guard_findings(targets),
            *printed_findings(job, found.oblivious),
        ),
    )


def systems_of(
    target: Target, *, threat_model: str, surface: nn.Module | None = None
) -> dict[str, nn.Module]:
    """Return what is attacked, by name: the purifiers before and after sleep and their controls.

    Args:
        target: The networks.
        threat_model: What the attacker knows.
        surface: What the gradient goes through; None: each system itself.
    """
    return {
        name: SeenAs(system, threat_model, surface)
        for name, system in {
            **_named("Defense-VAE", "Our model", target.purified),
            **_named("E2E before sleep", "Our model (E2E)", target.joint),
        }.items()
    }


def _named(before: str, after: str, slept: Slept) -> dict[str, nn.Module]:
    names = {"before": before, "after": after, **{name: f"{after}: {name}" for name in SHOWN_CONTROLS}}
    return {names[key]: system for key, system in slept.systems.items()}


def is_control(name: str) -> bool:
    """Tell whether a system is a control of the sleep."""
    return name.endswith(SHOWN_CONTROLS)


def _attack_classifier(
    job: Job, plan: Plan, pantry: Pantry, target: Target, seed: int, scores: Scores
) -> None:
    """Attack the classifier alone, and show the images to every system."""
    systems = {
        "No defense": SeenAs(target.classifier, OBLIVIOUS),
        **systems_of(target, threat_model=OBLIVIOUS, surface=target.classifier),
    }
    path = target.folder / "oblivious.h5"
    scores.add_(target.name, *judge(job, plan, systems, pantry.test, path, seed=seed, attacks=ATTACK_NAMES))


def _attack_whole(job: Job, plan: Plan, pantry: Pantry, target: Target, seed: int, scores: Scores) -> None:
    """Attack through the purifiers; CW, which takes long, on fewer images, and not the controls."""
    systems = systems_of(target, threat_model=WHITE_BOX)
    path = target.folder / "white-box.h5"
    attacks = [name for name in ATTACK_NAMES if name != "CW"]
    scores.add_(target.name, *judge(job, plan, systems, pantry.test, path, seed=seed, attacks=attacks))
    few = pantry.test.take(plan.white_box_images)
    main = {name: system for name, system in systems.items() if not is_control(name)}
    table, labels = judge(job, plan, main, few, target.folder / "white-box-cw.h5", seed=seed, attacks=["CW"])
    scores.add_(target.name, table, labels, clean_as=None)


def _attack_gan(
    job: Job, plan: Plan, pantry: Pantry, target: Target, gan: nn.Module, seed: int, found: Found
) -> None:
    """Attack the classifier behind Defense-GAN, alone and through the search for the latent."""
    test = pantry.test if plan.gan_images is None else pantry.test.take(plan.gan_images)
    whole = Purified(gan, target.classifier)
    systems = {GAN: SeenAs(whole, OBLIVIOUS, target.classifier)}
    path = target.folder / "gan-oblivious.h5"
    found.oblivious.add_(target.name, *judge(job, plan, systems, test, path, seed=seed, attacks=ATTACK_NAMES))
    few = pantry.test.take(plan.gan_white_box_images)
    through = {
        GAN: SeenAs(whole, WHITE_BOX),
        GAN_IDENTITY: SeenAs(whole, ADAPTIVE, Purified(BPDA(gan, "identity"), target.classifier)),
    }
    attacks = [name for name in ATTACK_NAMES if name != "CW"]  # which would search a hundred times
    path = target.folder / "gan-white-box.h5"
    found.white_box.add_(target.name, *judge(job, plan, through, few, path, seed=seed, attacks=attacks))


def rows() -> Iterator[tuple[str, str]]:
    """Return the rows of the table: attack by attack, each on every classifier."""
    return ((name, attack) for attack in ATTACK_NAMES for name in TARGETS)


def printed_cells(table: int, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], PrintedCell]:
    """Return what the paper prints: (row here, column) -> number.

    Args:
        table: Number of the table.
        names: For each row its heading here, and its name in the list of printed numbers.
    """
    found = {}
    for column in COLUMNS:
        cells = printed_column(f"talafha2023:{column}").cells
        for heading, name in names:
            if cell := cells.get(f"{table} {name}"):
                found[heading, column] = cell
    return found


def oblivious_table(job: Job, plan: Plan, scores: Scores) -> SideBySide:
    """Return Table 4 itself."""
    headings = {f"{name} {attack}": (name, attack) for name, attack in rows()}
    measured: dict[tuple[str, str], Measured] = {}
    for heading, (name, attack) in headings.items():
        for column in COLUMNS:
            system, shown = ("No defense", CLEAN) if column == "No attack" else (column, attack)
            measured[heading, column] = scores.measured(name, shown, system) or NOT_RUN
    for column in COLUMNS:
        measured[AVERAGE, column] = average([measured[heading, column] for heading in headings])
    named = [(heading, f"{job.dataset} {heading}") for heading in (*headings, AVERAGE)]
    return SideBySide(
        name="table4",
        title=f"Accuracy in % under attacks on the classifier alone ({OBLIVIOUS}; the paper's white-box), "
        f"{scale_words(job, plan)}",
        rows=(*headings, AVERAGE),
        columns=COLUMNS,
        printed=printed_cells(4, named),
        measured=measured,
        corner="classifier, attack",
    )


def white_box_table(job: Job, plan: Plan, scores: Scores) -> SideBySide:
    """Return the same systems attacked as a whole."""
    columns = ("Our model", "Our model (E2E)", "Defense-VAE", GAN, GAN_IDENTITY)
    cells = {f"{name} {attack}": (name, attack) for attack in (CLEAN, *ATTACK_NAMES) for name in TARGETS}
    measured = {
        (heading, column): scores.measured(name, attack, column) or NOT_RUN
        for heading, (name, attack) in cells.items()
        for column in columns
    }
    return SideBySide(
        name="table4-white-box",
        title=f"Accuracy in % under the same attacks through purifier and classifier ({WHITE_BOX}), "
        f"CW on the first {plan.white_box_images} images, Defense-GAN on {plan.gan_white_box_images}, "
        f"{scale_words(job, plan)}",
        rows=tuple(cells),
        columns=columns,
        measured=measured,
        corner="classifier, attack",
    )


def average(cells: list[Measured]) -> Measured:
    """Return the mean over cells, seed by seed, of those that were measured."""
    known = [cell.values for cell in cells if cell.values]
    if len(known) < len(cells):
        return NOT_RUN
    return Measured(values=tuple(sum(values) / len(values) for values in zip(*known, strict=True)))


def scale_words(job: Job, plan: Plan) -> str:
    """Say how much of everything was taken."""
    words = f" ({plan.words})" if plan.words else ""
    return f"{job.dataset}, scale {job.scale}{words}"


def guard_findings(targets: Mapping[tuple[int, str], Target]) -> list[str]:
    """Say how much of each sleep its guard kept."""
    sentences = []
    for what, slept_of in (("Our model", _purified), ("Our model (E2E)", _joint)):
        kept = ", ".join(
            f"{name} {100 * slept_of(target).kept:.0f} % (seed {seed})"
            for (seed, name), target in targets.items()
        )
        sentences.append(
            f"{what}: of the sleep, whose dose is a tenth of the weights, the guard kept {kept}."
        )
    return sentences


def _purified(target: Target) -> Slept:
    return target.purified


def _joint(target: Target) -> Slept:
    return target.joint


def printed_findings(job: Job, scores: Scores) -> list[str]:
    """Say how far measured Defense-VAE is from the printed one under the two attacks with a budget."""
    cells = printed_column("talafha2023:Defense-VAE").cells
    far = {}
    for name, attack in rows():
        printed = cells.get(f"4 {job.dataset} {name} {attack}")
        score: Score | None = scores.get(name, attack, "Defense-VAE")
        if printed is None or score is None or printed.is_damaged or attack == "CW":
            continue
        far[f"{name} {attack}"] = score.measured.mean - printed.value
    if not far:
        return []
    near = [where for where, points in far.items() if abs(points) <= 2]
    words = ", ".join(f"{where} {points:+.1f}" for where, points in far.items())
    return [
        f"Defense-VAE is within 2 points of the printed column in {len(near)} of {len(far)} cells under FGSM "
        f"and RAND+FGSM (measured minus printed: {words})."
    ]


TABLE4 = Recipe(
    paper="talafha2023",
    kind="table",
    number=4,
    title="Defences against FGSM, RAND+FGSM and CW on three classifiers",
    datasets=DATASETS,
    cook=cook,
)
