"""Make a table or figure of a paper, and a page with the printed numbers beside the measured ones."""

import datetime
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from sleepdefense.checkpoint import write_text_atomic
from sleepdefense.errors import ConfigError
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.recipe import Job, Recipe
from sleepdefense.pipeline.context import fixed_arithmetic
from sleepdefense.pipeline.provenance import versions

JOB = "job.json"
"""What a folder was made for."""


@fixed_arithmetic()
def reproduce(recipe: Recipe, job: Job, *, publish: Path | None = None) -> Outcome:
    """Cook a recipe and write its pages.

    Args:
        recipe: What to make.
        job: Where, at which scale, on which data. What an earlier job in the folder finished is used.
        publish: Folder that gets a copy of the page, its numbers and its figures.

    Returns:
        What came out.

    Raises:
        ConfigError: The recipe cannot be made for this data set, or the folder holds another job.
        SleepDefenseError: A step fails; what was finished before stays.
    """
    if job.dataset not in recipe.datasets:
        raise ConfigError(
            f"{recipe.kind} {recipe.number} of '{recipe.paper}' is not made for data set '{job.dataset}': "
            f"expected one of {', '.join(recipe.datasets)}"
        )
    _open(recipe, job)
    context = replace(job.context, resume=True, force=False)  # what is not wanted is gone
    outcome = recipe.cook(replace(job, context=context))
    pages = write_pages(recipe, job, outcome)
    if publish is not None:
        publish.mkdir(parents=True, exist_ok=True)
        for path in (*pages, *outcome.figures):
            shutil.copyfile(path, publish / _public_name(recipe, job, path))
    return outcome


def _open(recipe: Recipe, job: Job) -> None:
    """Make the folder, or find that it is that of the same job.

    Several recipes of a paper may share a folder, and with it what they have in common; scale, data set and
    seeds must be the same, or their parts would be mixed up.
    """
    facts = {
        "paper": recipe.paper,
        "scale": job.scale,
        "dataset": job.dataset,
        "seeds": list(job.seeds),
    }
    path = job.folder / JOB
    if job.context.force and not job.context.resume and path.exists():  # with both, nothing is lost
        shutil.rmtree(job.folder)
    if not path.exists():
        if job.folder.is_file():
            raise ConfigError(f"'{job.folder}' is a file: give a folder as --out")
        if job.folder.exists() and any(job.folder.iterdir()):
            raise ConfigError(f"'{job.folder}' holds something else: give another --out")
        job.folder.mkdir(parents=True, exist_ok=True)
        write_text_atomic(path, json.dumps(facts, indent=1, sort_keys=True) + "\n")
        return
    found = _read(path)
    if found == facts and not job.context.resume:
        raise ConfigError(f"'{job.folder}' exists: go on with --resume, or start anew with --force")
    if found != facts:
        raise ConfigError(
            f"'{job.folder}' was made for {_in_words(found)}, asked for is {_in_words(facts)}: "
            "give another --out, or start anew with --force"
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {key: found[key] for key in ("paper", "scale", "dataset", "seeds")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"'{path}' does not say what the folder was made for ({type(error).__name__}): "
            "give another --out, or start anew with --force"
        ) from error


def _in_words(facts: dict[str, Any]) -> str:
    seeds = " ".join(str(seed) for seed in facts["seeds"])
    return f"{facts['paper']} on {facts['dataset']} at scale {facts['scale']}, seeds {seeds}"


def write_pages(recipe: Recipe, job: Job, outcome: Outcome) -> tuple[Path, ...]:
    """Write a page (Markdown), the cells (CSV) and everything (JSON) into the folder of the job.

    Returns:
        The files.
    """
    name = f"{recipe.name}-{job.dataset}"
    page, numbers = job.folder / f"{name}.md", job.folder / f"{name}.json"
    write_text_atomic(page, _page(recipe, job, outcome))
    facts = {
        **_facts(recipe, job),
        "tables": [table.as_json() for table in outcome.tables],
        "findings": list(outcome.findings),
        "figures": [path.name for path in outcome.figures],
    }
    write_text_atomic(numbers, json.dumps(facts, indent=1) + "\n")
    cells = []
    for table in outcome.tables:
        cells.append(job.folder / f"{name}-{table.name}.csv")
        write_text_atomic(cells[-1], table.csv())
    return page, numbers, *cells


def _facts(recipe: Recipe, job: Job) -> dict[str, Any]:
    return {
        "paper": recipe.paper,
        "kind": recipe.kind,
        "number": recipe.number,
        "title": recipe.title,
        "command": job.context.command,
        "scale": job.scale,
        "dataset": job.dataset,
        "seeds": list(job.seeds),
        "versions": versions(),
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    }


def _page(recipe: Recipe, job: Job, outcome: Outcome) -> str:
    facts = _facts(recipe, job)
    seeds = ", ".join(str(seed) for seed in job.seeds)
    used = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    parts = [
        f"# {recipe.kind.capitalize()} {recipe.number} of {recipe.paper}: {recipe.title}"
        + (f"; {recipe.only} only" if recipe.only else ""),
        f"Scale **{job.scale}**, data set {job.dataset}, seeds {seeds}; {facts['date']}. "
        f"Made by `{job.context.command}`.  \n{used}.",
        *(["\n".join(f"- {finding}" for finding in outcome.findings)] if outcome.findings else []),
        *(table.markdown() for table in outcome.tables),
        *(f"![{path.stem}]({_public_name(recipe, job, path)})" for path in outcome.figures),
    ]
    if outcome.tables:
        parts.append(
            "A measured cell is the mean over seeds, ± their standard deviation, and the 95 % Wilson "
            "interval over the images of all seeds. (?) marks a printed number whose only copy at hand is "
            "damaged."
        )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _public_name(recipe: Recipe, job: Job, path: Path) -> str:
    """Return what a file is called beside those of other recipes; pages carry that name already."""
    name = f"{recipe.name}-{job.dataset}"
    return path.name if path.name.startswith(name) else f"{name}-{path.name}"
