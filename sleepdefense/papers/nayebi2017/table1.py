"""Table 1: three networks, trained in three ways, clean and under FGSM; and what remains beyond."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import nn

from sleepdefense.data import ImageSet
from sleepdefense.evaluation import RobustnessTable, evaluate_systems
from sleepdefense.evaluation.metrics import within
from sleepdefense.papers.nayebi2017.networks import Images, all_networks, images_of, plan_of
from sleepdefense.papers.nayebi2017.plan import EPSILON, NETWORKS, TRAININGS
from sleepdefense.papers.nayebi2017.sharpened import sharpening, sharpening_sentences
from sleepdefense.papers.nayebi2017.sleeping import asleep
from sleepdefense.papers.nayebi2017.softened import Seen, Softened, zero_gradient_share
from sleepdefense.papers.nayebi2017.trials import annealing_trials
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.printed import PrintedCell, printed_column
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.side_by_side import Measured, SideBySide

ROWS = tuple(f"{network}, {training}" for training in TRAININGS for network in NETWORKS)
FGSM = f"Linf:FGSM(epsilon={EPSILON})"
_ADAPTIVE = f"{FGSM},Linf:PGD(epsilon={EPSILON},loss=margin)"
_SOFT_IMAGES = 500
Cells = dict[tuple[str, str], list[Measured]]


def table_1(job: Job) -> Outcome:
    """Make Table 1, and the columns that the paper leaves out."""
    plan, images = plan_of(job), images_of(job)
    columns: dict[str, list[str]] = {"paper": ["clean", "FGSM 0.25"], "honest": [], "distance": []}
    cells: Cells = {}
    for seed in job.seeds:
        nets = all_networks(job, seed, TRAININGS)
        _paper_columns(job, nets, images.test, seed, cells)
        _gradient_columns(nets, images.test.take(plan.fgsm_images or 2000), cells, columns["honest"])
        _strong_columns(job, nets, images, seed, cells, columns["honest"])
        _query_columns(job, nets, images, seed, cells, columns["distance"])
    merged = {place: _merge(values) for place, values in cells.items()}
    title = f"{job.scale} scale, {job.dataset}"
    slept, sharp = asleep(job), sharpening(job, job.seeds[0])
    tables = (
        _table("table1", f"Table 1, {title}", columns["paper"], merged, printed=_printed()),
        _table(
            "table1-honest",
            f"What remains under stronger attacks, Linf {EPSILON}, {title}",
            columns["honest"],
            merged,
        ),
        _table(
            "table1-distance",
            f"Median L2 distance to another class, attacks that see labels only, {title}",
            columns["distance"],
            merged,
        ),
        sharp,
        annealing_trials(job, job.seeds[0]),
        *slept.tables,
    )
    return Outcome(tables=tables, findings=(*findings(merged), *sharpening_sentences(sharp), *slept.findings))


def _printed() -> dict[tuple[str, str], PrintedCell]:
    found = {}
    for row in ROWS:
        printed = printed_column(f"nayebi2017:{row}").cells
        found[row, "clean"], found[row, "FGSM 0.25"] = printed["clean"], printed["Linf:FGSM"]
    return found


def _paper_columns(job: Job, nets: Mapping[str, nn.Module], test: ImageSet, seed: int, cells: Cells) -> None:
    table = evaluate_systems(
        nets, test, FGSM, seed=seed, checks=False, resume=_results(job, "fgsm", seed), batch_size=1000
    )
    for name in nets:
        for column, attack in (("clean", "clean"), ("FGSM 0.25", "FGSM 0.25")):
            _add(cells, (name, column), _measured(table, table.number(name, attack)))


def _gradient_columns(
    nets: Mapping[str, nn.Module], test: ImageSet, cells: Cells, columns: list[str]
) -> None:
    for name, net in nets.items():
        share, right = zero_gradient_share(net, test.images, test.labels)
        _add(
            cells,
            (name, _column(columns, "zero gradient, float32")),
            Measured(values=(100 * share,), n=right),
        )
        exact = Softened(net, test.images[:_SOFT_IMAGES])
        share, right = zero_gradient_share(exact, test.images, test.labels)
        _add(
            cells,
            (name, _column(columns, "zero gradient, softened")),
            Measured(values=(100 * share,), n=right),
        )


def _strong_columns(
    job: Job, nets: Mapping[str, nn.Module], images: Images, seed: int, cells: Cells, columns: list[str]
) -> None:
    plan = plan_of(job)
    few = images.test.take(plan.strong_images)
    white = evaluate_systems(
        nets,
        few,
        f"{FGSM},{plan.strong}",
        seed=seed,
        checks=False,
        resume=_results(job, "strong", seed),
        progress=job.context.progress,
    )
    seen = {
        name: Seen(
            net,
            Softened(net, images.held_out.images[:_SOFT_IMAGES]),
            None if name.endswith("vanilla") else nets[f"{name.partition(',')[0]}, vanilla"],
        )
        for name, net in nets.items()
    }
    adaptive = evaluate_systems(
        seen, few, _ADAPTIVE, seed=seed, checks=False, resume=_results(job, "adaptive", seed)
    )
    for name in nets:
        nearest = np.full(len(few), np.inf)
        for table in (white, adaptive):
            for number, row in enumerate(table.rows):
                if row.system != name or row.attack == "clean":
                    continue
                label = f"{row.attack.replace(f' {EPSILON}', '')}, {row.threat_model}"
                _add(cells, (name, _column(columns, label)), _measured(table, number))
                if not row.is_error:
                    nearest = np.minimum(nearest, table.distance[number])
        standing = 100 * float((~within(nearest, EPSILON)).mean())
        _add(cells, (name, _column(columns, "all of these")), Measured(values=(standing,), n=len(few)))


def _query_columns(
    job: Job, nets: Mapping[str, nn.Module], images: Images, seed: int, cells: Cells, columns: list[str]
) -> None:
    plan = plan_of(job)
    few = images.test.take(plan.query_images)
    table = evaluate_systems(
        nets,
        few,
        plan.query,
        seed=seed,
        checks=False,
        pool=images.test.take(min(500, len(images.test))),
        resume=_results(job, "query", seed),
        progress=job.context.progress,
    )
    for name in nets:
        for row in table.rows:
            if row.system == name and row.attack != "clean":
                _add(
                    cells,
                    (name, _column(columns, row.attack)),
                    Measured(
                        values=(row.median_distance,),
                        unit="",
                        status="" if row.status == "ok" else row.status,
                    ),
                )


def findings(cells: Mapping[tuple[str, str], Measured]) -> tuple[str, ...]:
    """Say in sentences what the cells show."""
    said = []
    for network in NETWORKS:
        saturated, vanilla = f"{network}, saturated", f"{network}, vanilla"
        printed = _printed()
        clean, fgsm = cells[saturated, "clean"].mean, cells[saturated, "FGSM 0.25"].mean
        before, rest = cells[vanilla, "FGSM 0.25"].mean, cells[saturated, "all of these"].mean
        said.append(
            f"The saturated {network} classifies {clean:.1f} % of the clean images (printed "
            f"{printed[saturated, 'clean'].value:g} %) and {fgsm:.1f} % under FGSM (printed "
            f"{printed[saturated, 'FGSM 0.25'].value:g} %; vanilla here {before:.1f} %); "
            f"{rest:.1f} % of the images stand all attacks of the second table (vanilla "
            f"{cells[vanilla, 'all of these'].mean:.1f} %, adversarially trained "
            f"{cells[f'{network}, adversarial', 'all of these'].mean:.1f} %)."
        )
    return tuple(said)


def _measured(table: RobustnessTable, number: int) -> Measured:
    row = table.rows[number]
    if row.is_error:
        return Measured(status=row.status)
    return Measured(values=(100 * row.accuracy,), n=row.n, status="" if row.status == "ok" else row.status)


def _add(cells: Cells, place: tuple[str, str], value: Measured) -> None:
    cells.setdefault(place, []).append(value)


def _column(columns: list[str], name: str) -> str:
    if name not in columns:
        columns.append(name)
    return name


def _merge(values: list[Measured]) -> Measured:
    """Put the seeds of one cell together."""
    statuses = dict.fromkeys(value.status for value in values if value.status)
    return Measured(
        values=tuple(each for value in values for each in value.values),
        n=values[0].n,
        unit=values[0].unit,
        status="; ".join(statuses),
    )


def _table(
    name: str,
    title: str,
    columns: list[str],
    cells: Mapping[tuple[str, str], Measured],
    *,
    printed: Mapping[tuple[str, str], PrintedCell] | None = None,
) -> SideBySide:
    return SideBySide(
        name=name,
        title=title,
        rows=ROWS,
        columns=tuple(columns),
        printed=printed or {},
        measured={place: value for place, value in cells.items() if place[1] in columns},
        corner="network",
    )


def _results(job: Job, name: str, seed: int) -> Path:
    return job.folder / f"table1-{name}-{seed}.h5"
