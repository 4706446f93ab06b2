"""Tables 1 to 4: robust accuracy under the attacks of the paper, and under attacks that it did not run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sleepdefense.evaluation import RobustnessTable
from sleepdefense.evaluation.results import CLEAN
from sleepdefense.evaluation.seen_as import SeenAs
from sleepdefense.evaluation.surfaces import WHITE_BOX
from sleepdefense.papers.dim2022.ablation import differences_table, ordering
from sleepdefense.papers.dim2022.cells import NORMS, Fallen, agreement, cells_of, fallen_by_attack
from sleepdefense.papers.dim2022.groups import evaluate_group
from sleepdefense.papers.dim2022.logits import attacked_logits
from sleepdefense.papers.dim2022.scales import STRONGER, Group, Schedule
from sleepdefense.papers.dim2022.sleeping import asleep
from sleepdefense.papers.dim2022.systems import BINARY, build_system, plan_of
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.printed import PrintedCell, printed_column
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.side_by_side import Measured, SideBySide

IMPORTANT = (
    "L2:DDN",
    "L2:PGD",
    "L2:BIM",
    "L2:FGM",
    "L2:DeepFool",
    "L2:CarliniWagner",
    "L2:BrendelBethge",
    "L2:Boundary",
    "Linf:PGD",
    "Linf:BIM",
    "Linf:FGSM",
    "Linf:DeepFool",
    "Linf:BrendelBethge",
    "L0:Pointwise",
    "L1:BrendelBethge",
)
"""The 15 attacks of Tables 1 and 2."""

ABLATIONS = (2, 4)
"""Tables of networks that differ in one part each."""

_PAPER = "dim2022"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measurement:
    """What all groups of attacks did, column by column, seed by seed."""

    fallen: Mapping[str, tuple[Mapping[str, Fallen], ...]]
    stronger: Mapping[str, tuple[Mapping[str, Fallen], ...]]


def table_1(job: Job) -> Outcome:
    """Compare with other defences, by the 15 important attacks; then by stronger ones."""
    plan = plan_of(job)
    measured = _measure(job, plan.columns, plan.groups, stronger=plan.stronger)
    table = _side_by_side(job, 1, plan_of(job).columns, IMPORTANT, measured.fallen)
    slept = asleep(job)
    logits = attacked_logits(job)
    return Outcome(
        tables=(table, _stronger_table(job, measured), *logits.tables, *slept.tables),
        findings=(*_headline(measured), *agreement(table), *logits.findings, *slept.findings),
    )


def table_2(job: Job) -> Outcome:
    """Compare the ablations by the 15 important attacks."""
    measured = _measure_ablations(job)
    table = _side_by_side(job, 2, tuple(measured.fallen), IMPORTANT, measured.fallen)
    tables = (table, differences_table(2, measured.fallen))
    return Outcome(tables=tables, findings=(*ordering(measured.fallen), *agreement(table)))


def table_3(job: Job) -> Outcome:
    """Compare with other defences, by all attacks."""
    measured = _measure(job, plan_of(job).columns, plan_of(job).groups)
    table = _side_by_side(job, 3, plan_of(job).columns, _attacks(), measured.fallen)
    return Outcome(tables=(table,), findings=agreement(table))


def table_4(job: Job) -> Outcome:
    """Compare the ablations by all attacks."""
    measured = _measure_ablations(job)
    table = _side_by_side(job, 4, tuple(measured.fallen), _attacks(), measured.fallen)
    tables = (table, differences_table(4, measured.fallen))
    return Outcome(tables=tables, findings=(*ordering(measured.fallen), *agreement(table)))


def _measure_ablations(job: Job) -> _Measurement:
    """Attack networks that differ in one part each, all trained equally long."""
    plan = plan_of(job)
    groups = plan.ablation_groups or plan.groups
    return _measure(job, plan.ablation_columns, groups, schedule=plan.ablation)


def _measure(
    job: Job,
    columns: Sequence[str],
    groups: Sequence[Group],
    *,
    stronger: Sequence[Group] = (),
    schedule: Schedule | None = None,
) -> _Measurement:
    """Run every group of attacks on every column, the cheap groups on all columns first."""
    systems = {
        (column, seed): build_system(job, column, seed=seed, schedule=schedule)
        for column in columns
        for seed in job.seeds
    }
    found: dict[tuple[str, int], list[RobustnessTable]] = {key: [] for key in systems}
    for group in groups:
        for (column, seed), model in systems.items():
            if group.systems is None or column in group.systems:
                seen = model if column in BINARY else SeenAs(model, WHITE_BOX)
                found[column, seed].append(evaluate_group(job, group, column, seen, seed))
    strong: dict[tuple[str, int], list[RobustnessTable]] = {key: [] for key in systems}
    for group in stronger:
        for (column, seed), model in systems.items():
            if group.systems is None or column in group.systems:
                strong[column, seed].append(evaluate_group(job, group, column, model, seed))
    return _Measurement(fallen=_by_column(job, columns, found), stronger=_by_column(job, columns, strong))


def _by_column(
    job: Job, columns: Sequence[str], tables: Mapping[tuple[str, int], Sequence[RobustnessTable]]
) -> dict[str, tuple[Mapping[str, Fallen], ...]]:
    return {
        column: tuple(fallen_by_attack(tables[column, seed], column) for seed in job.seeds)
        for column in columns
    }


def _attacks() -> tuple[str, ...]:
    """Return all attacks that the paper prints."""
    cells = printed_column(f"{_PAPER}:DIM").cells
    return tuple(row for row in cells if row.partition(":")[2] not in ("all", "median", "minimal"))


def _rows(attacks: Sequence[str]) -> tuple[str, ...]:
    rows = [CLEAN]
    for norm in NORMS:
        rows += [row for row in attacks if row.startswith(f"{norm}:")]
        rows += [f"{norm}:all", f"{norm}:median"]
    return (*rows, "all:minimal")


def _side_by_side(
    job: Job,
    number: int,
    columns: Sequence[str],
    attacks: Sequence[str],
    fallen: Mapping[str, Sequence[Mapping[str, Fallen]]],
) -> SideBySide:
    rows = _rows(attacks)
    measured: dict[tuple[str, str], Measured] = {}
    printed: dict[tuple[str, str], PrintedCell] = {}
    for column in columns:
        cells = cells_of(fallen[column], rows)
        known = printed_column(f"{_PAPER}:{column}").cells if job.dataset == "mnist" else {}
        for row in rows:
            if row in known:
                printed[row, column] = known[row]
            if row in cells:
                measured[row, column] = cells[row]
            elif row in known:
                measured[row, column] = Measured(status="not run at this scale")
    schedule = plan_of(job).ablation if number in ABLATIONS else None
    learned = (
        f", all networks trained alike: {schedule.epochs} epochs of {schedule.images} images, "
        f"{schedule.batch_size} in a batch"
        if schedule
        else ""
    )
    return SideBySide(
        name=f"table{number}",
        title=f"Table {number}: accuracy in percent on '{job.dataset}', {plan_of(job).name}{learned}; by "
        "the attacks of the paper and as the paper ran them",
        rows=rows,
        columns=tuple(columns),
        printed=printed,
        measured=measured,
        corner="attack",
    )


def _stronger_table(job: Job, measured: _Measurement) -> SideBySide:
    columns = tuple(column for column, found in measured.stronger.items() if any(found))
    names = {name for column in columns for each in measured.stronger[column] for name in each}
    ordered = [name for name in STRONGER.split(",") if name in names]
    rows = (CLEAN, *ordered, *(f"{norm}:all" for norm in NORMS if any(n.startswith(norm) for n in ordered)))
    cells = {
        (row, column): cell
        for column in columns
        for row, cell in cells_of(measured.stronger[column], rows).items()
    }
    return SideBySide(
        name="table1-stronger",
        title=f"What the paper did not run: accuracy in percent on '{job.dataset}', {plan_of(job).name}; "
        "AutoAttack, FMN, and gradients through stand-ins of each network",
        rows=rows,
        columns=columns,
        measured=cells,
        corner="attack",
    )


def _headline(measured: _Measurement) -> tuple[str, ...]:
    """Say what is left of each network under everything that was run, norm by norm."""
    sentences = []
    for column in ("DIM", "biDIM"):
        strong, usual = measured.stronger.get(column, ()), measured.fallen.get(column, ())
        rows = [f"{norm}:all" for norm in NORMS]
        after, before = cells_of(strong, rows), cells_of(usual, rows)
        parts = [
            f"{norm} {after[row].mean:.1f} %"
            + (f" (the paper's attacks that were run: {before[row].mean:.1f} %)" if row in before else "")
            for norm, row in zip(NORMS, rows, strict=True)
            if row in after
        ]
        if parts:
            sentences.append(f"What is left of {column} under the stronger attacks: {', '.join(parts)}.")
    return tuple(sentences)
