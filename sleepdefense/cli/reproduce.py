"""`sleepdefense reproduce`: a table or figure of a paper, printed beside measured."""

import json
from pathlib import Path

import rich_click as click

from sleepdefense.cli import options
from sleepdefense.cli.progress import progress_bar


@click.command(name="reproduce")
@click.argument("paper")
@click.option("--table", type=click.IntRange(min=1), help="Number of a table, as the paper counts.")
@click.option("--figure", type=click.IntRange(min=1), help="Number of a figure, as the paper counts.")
@click.option("--part", help="Make one part of it alone, in less time; another name lists those there are.")
@click.option(
    "--scale",
    type=click.Choice(["smoke", "cpu", "paper"]),
    default="cpu",
    show_default=True,
    help="smoke: about a minute, shows that it works; cpu: hours on two cores; paper: as printed.",
)
@options.out("Folder for everything that is made; tables and figures of one paper may share it.")
@click.option("--data", "--dataset", "dataset", help="Data set, by name; default the paper's first.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that holds data sets; else SLEEPDEFENSE_DATA, else the cache.",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Repetitions: seeds 0, 1, ..."
)
@click.option(
    "--publish",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that gets a copy of the page, its numbers and its figures.",
)
@options.device
@options.threads
@options.as_json
def command(
    paper: str,
    table: int | None,
    figure: int | None,
    part: str | None,
    scale: str,
    out: Path,
    resume: bool,
    force: bool,
    dataset: str | None,
    data_dir: Path | None,
    seeds: int,
    publish: Path | None,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Make a table or figure of PAPER from nothing but data: talafha2023, dim2022 or nayebi2017.

    Without either of --table and --figure the command says what can be made. A job that was stopped goes on
    with --resume and ends with the same numbers.

    \b
    Example: sleepdefense reproduce dim2022 --table 1 --scale cpu --out runs/dim
    Example: sleepdefense reproduce dim2022 --table 1 --part sleep --out runs/dim --resume
    """
    from sleepdefense.papers import Job, find_recipe, recipes, reproduce
    from sleepdefense.pipeline import Context

    if (table is None) == (figure is None):
        raise click.UsageError(
            "give either --table or --figure: "
            + "; ".join(f"--{recipe.kind} {recipe.number} {recipe.title}" for recipe in recipes(paper))
        )
    recipe = find_recipe(
        paper, "table" if table is not None else "figure", table if table is not None else figure or 0
    )
    if part is not None:
        recipe = recipe.part(part)
    with progress_bar() as progress:
        job = Job(
            folder=out,
            scale=scale,
            dataset=dataset or recipe.datasets[0],
            seeds=tuple(range(seeds)),
            context=Context(
                command=options.command_line(),
                resume=resume,
                force=force,
                device=device,
                threads=threads,
                progress=progress,
            ),
            data_dir=data_dir,
        )
        outcome = reproduce(recipe, job, publish=publish)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "tables": [each.as_json() for each in outcome.tables],
                    "findings": list(outcome.findings),
                    "figures": [str(path) for path in outcome.figures],
                },
                indent=1,
            )
        )
        return
    for each in outcome.tables:
        click.echo(each.text() + "\n")
    for finding in outcome.findings:
        click.echo(f"- {finding}")
    click.echo(f"\npage: {out / f'{recipe.name}-{job.dataset}.md'}")
