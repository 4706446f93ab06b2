"""`sleepdefense eval`: attack a network and count what it still gets right."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from sleepdefense.cli import options
from sleepdefense.cli.progress import progress_bar

if TYPE_CHECKING:
    from sleepdefense.evaluation import RobustnessTable
    from sleepdefense.papers import PrintedColumn

LONG = 60.0
"""Seconds from which on the cost of an evaluation is told before it begins."""


@click.command(name="eval")
@click.argument("checkpoint", type=options.EXISTING_FILE)
@options.out("File for every prediction and distance (HDF5); a summary (JSON) beside it.", required=False)
@options.data
@click.option(
    "--classifier", type=options.EXISTING_FILE, help="Checkpoint that classifies what a purifier makes."
)
@click.option(
    "--attacks",
    default="quick",
    show_default=True,
    help="Attacks with commas between, as in 'FGSM:0.1,L2:PGD(steps=100)', or a profile.",
)
@click.option(
    "--threat-model",
    type=click.Choice(["all", "oblivious", "white-box", "adaptive", "black-box-substitute"]),
    default="all",
    show_default=True,
    help="What an attack that follows gradients sees: a part, everything, stand-ins, another network.",
)
@click.option(
    "--num-steps",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Steps of a spiking network.",
)
@click.option(
    "--binarise",
    type=click.FloatRange(min=0, max=1, min_open=True),
    metavar="INTENSITY",
    help="Let the classifier see in black and white: white from this intensity on.",
)
@click.option(
    "--cascade", is_flag=True, help="Spare attacks the images that one above them has brought down already."
)
@click.option("--checks/--no-checks", default=True, show_default=True, help="Look for signs of masking.")
@click.option("--printed", help="Put a paper's column beside what is measured, as in dim2022:CNN.")
@click.option(
    "--page", type=options.FILE, help="Markdown file for all of it, with remarks and how it was made."
)
@click.option("--so-far", is_flag=True, help="Only show what --out has finished until now.")
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=250, show_default=True, help="Images at once."
)
@click.option(
    "--max-seconds", type=click.FloatRange(min=0, min_open=True), help="Stop then; --resume goes on."
)
@click.option("--estimate", is_flag=True, help="Only tell how long it would take.")
@click.option("--cluster", metavar="ADDRESS", help="Work on the Dask cluster of this scheduler.")
@click.option("--note", default="", help="What a reader of the table must know.")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "markdown", "csv", "latex"]),
    default="text",
    show_default=True,
    help="How the table is printed.",
)
@options.seed
@options.threads
@options.as_json
def command(
    checkpoint: Path,
    out: Path | None,
    resume: bool,
    force: bool,
    data_name: str,
    data_dir: Path | None,
    limit: int | None,
    classifier: Path | None,
    attacks: str,
    threat_model: str,
    num_steps: int,
    binarise: float | None,
    cascade: bool,
    checks: bool,
    printed: str | None,
    page: Path | None,
    so_far: bool,
    batch_size: int,
    max_seconds: float | None,
    estimate: bool,
    cluster: str | None,
    note: str,
    layout: str,
    seed: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Attack the network in CHECKPOINT on test images; a purifier stands in front of --classifier.

    CHECKPOINT is one of ours, awake or spiking, or a published weight file. A purifier is attacked in two
    ways: by an attack that sees the classifier only ("oblivious", what papers call white-box), and by one
    that goes through both ("white-box"). Checks look for signs that a network hides its gradients instead of
    being robust.

    \b
    Example: sleepdefense eval woken.h5 --classifier classifier.h5 --data mnist --limit 500 --out results.h5
    """
    from sleepdefense.errors import ConfigError
    from sleepdefense.papers import printed_column
    from sleepdefense.pipeline.evaluating import (
        estimate_step,
        evaluate_step,
        evaluation_data,
        so_far_step,
        system_from_files,
    )

    if page is not None and page.exists() and not force:
        raise ConfigError(f"'{page}' exists: overwrite it with --force (--resume --force keeps the results)")

    column = None if printed is None else printed_column(printed)
    system = system_from_files(
        checkpoint,
        classifier=classifier,
        threat_model=threat_model,
        num_steps=num_steps,
        binarise=binarise,
    )
    test = evaluation_data(data_name, data_dir=data_dir, limit=limit)
    if so_far:
        if out is None:
            raise ConfigError("--so-far shows what an evaluation has finished: name its --out")
        table = so_far_step(
            system,
            test,
            attacks,
            name=checkpoint.stem,
            out=out,
            batch_size=batch_size,
            seed=seed,
            cascade=cascade,
            checks=checks,
            note=note,
        )
        _show(table, column, page=page, layout=layout, as_json=as_json)
        return
    if estimate or out is not None:
        costs = estimate_step(
            system,
            test,
            attacks,
            name=checkpoint.stem,
            out=out,
            batch_size=batch_size,
            seed=seed,
            cascade=cascade,
            checks=checks,
            resume=resume,
        )
        if estimate:
            _print_costs(costs, as_json=as_json)
            return
        _announce(costs, cascade=cascade)
    with progress_bar() as progress, _runner(cluster) as runner:
        table = evaluate_step(
            system,
            test,
            attacks,
            name=checkpoint.stem,
            out=out,
            batch_size=batch_size,
            seed=seed,
            cascade=cascade,
            checks=checks,
            max_seconds=max_seconds,
            note=note,
            resume=resume,
            force=force,
            progress=progress,
            runner=runner,
        )
    _show(table, column, page=page, layout=layout, as_json=as_json)


def _show(
    table: "RobustnessTable",
    column: "PrintedColumn | None",
    *,
    page: Path | None,
    layout: str,
    as_json: bool,
) -> None:
    """Print the table, with the paper's column beside it, and write the page."""
    _print(table, layout=layout, as_json=as_json)
    if page is not None:
        from sleepdefense.checkpoint import write_text_atomic
        from sleepdefense.papers import results_page

        text = results_page(table, column, command=options.command_line(), date=_today())
        write_text_atomic(page, text)
    if column is not None and not as_json:
        from sleepdefense.papers import compare, compared_markdown, compared_text

        lines = compare(table, column)
        title = f"Printed: {column.paper}, column {column.system}"
        click.echo()
        click.echo(
            compared_text(lines, title=title) if layout == "text" else compared_markdown(lines, title=title)
        )
    if layout == "markdown" and not as_json:
        click.echo(f"\n{_origin(table)}")


def _runner(address: str | None) -> Any:
    """Return who works: None stands for this process."""
    if address is None:
        return nullcontext()
    try:
        from sleepdefense.cluster import DaskRunner
    except ImportError as error:
        from sleepdefense.errors import ConfigError

        raise ConfigError(
            f"--cluster needs dask ({error}): install it with pip install 'sleepdefense[cluster]'"
        ) from error
    return DaskRunner(address)


def _announce(costs: Any, *, cascade: bool) -> None:
    """Tell on stderr what is coming, if it is long."""
    from sleepdefense.evaluation.estimate import duration

    total = sum(cost.seconds for cost in costs)
    if total < LONG:
        return
    dear = max(costs, key=lambda cost: cost.seconds)
    limit = "at most about" if cascade else "about"
    what = "What is left" if any(cost.is_measured for cost in costs) else "This"
    click.echo(
        f"{what} takes {limit} {duration(total)}, {duration(dear.seconds)} of them for {dear.attack}; "
        "what is finished is kept.",
        err=True,
    )


def _print_costs(costs: Any, *, as_json: bool) -> None:
    """Print how long each attack would take."""
    from sleepdefense.cli.tables import print_table
    from sleepdefense.evaluation.estimate import duration

    if as_json:
        rows = [{"attack": cost.attack, "rows": cost.rows, "seconds": cost.seconds} for cost in costs]
        click.echo(json.dumps({"costs": rows, "seconds": sum(cost.seconds for cost in costs)}, indent=1))
        return
    print_table(
        [
            {
                "attack": cost.attack,
                "time": duration(cost.seconds) if cost.seconds else "finished",
                "for": "; ".join(cost.rows),
            }
            for cost in costs
        ]
    )
    click.echo(f"all together: {duration(sum(cost.seconds for cost in costs))}")


def _origin(table: "RobustnessTable") -> str:
    """Return how a table was made, for the page that it stands on."""
    versions = ", ".join(f"{name} {number}" for name, number in table.provenance["versions"].items())
    return f"Made by `{options.command_line()}` with {versions}; printed on {_today()}."


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()


def _print(table: "RobustnessTable", *, layout: str, as_json: bool) -> None:
    """Print the table."""
    if as_json:
        click.echo(json.dumps(table.summary(), indent=1))
    elif layout == "text":
        click.echo(str(table))
    else:
        click.echo({"markdown": table.markdown, "csv": table.csv, "latex": table.latex}[layout]())
