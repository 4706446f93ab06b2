"""`sleepdefense data`: which images there are, and where."""

import dataclasses
import json
from pathlib import Path

import rich_click as click

from sleepdefense.cli import options
from sleepdefense.cli.tables import print_table


@click.command(name="data")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that holds data sets; else SLEEPDEFENSE_DATA, else the cache.",
)
@options.as_json
def command(data_dir: Path | None, as_json: bool) -> None:
    """Show every data set: its size, its licence, and where it is found.

    \b
    Example: sleepdefense data
    """
    from sleepdefense.data import describe_datasets

    rows = [
        {
            key: str(value) if isinstance(value, Path) else value
            for key, value in dataclasses.asdict(row).items()
        }
        for row in describe_datasets(data_dir)
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        print_table(rows)
