"""`sleepdefense report`: one page of everything a run found."""

from pathlib import Path

import rich_click as click


@click.command(name="report")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: report.html in the folder."
)
def command(directory: Path, out: Path | None) -> None:
    r"""Write one self-contained HTML page of the run in DIRECTORY, finished or not.

    \b
    Example: sleepdefense report runs/mnist
    """
    from sleepdefense.report import load_record, write_page

    page = out or directory / "report.html"
    write_page(load_record(directory), page)
    click.echo(str(page))
