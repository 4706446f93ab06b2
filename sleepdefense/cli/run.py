"""`sleepdefense run`: the whole pipeline."""

import json
from pathlib import Path

import rich_click as click

from sleepdefense.cli import options
from sleepdefense.cli.progress import progress_bar


@click.command(name="run")
@click.argument("config", type=options.EXISTING_FILE, required=False)
@click.option("--preset", help="Settings that come with the package, by name.")
@options.out("Folder for all results.")
@click.option("--seed", type=click.IntRange(min=0), help="In place of the one in the settings.")
@click.option("--limit", type=click.IntRange(min=1), help="Use only the first so many training images.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of the network that sleeps.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that holds data sets; else SLEEPDEFENSE_DATA, else the cache.",
)
@options.device
@options.threads
@options.as_json
def command(
    config: Path | None,
    preset: str | None,
    out: Path,
    resume: bool,
    force: bool,
    seed: int | None,
    limit: int | None,
    epochs: int | None,
    data_dir: Path | None,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train, convert, sleep, reconvert and evaluate, with the settings of CONFIG (TOML) or of a preset.

    With neither, the embedded digits. A run that was interrupted goes on with --resume and ends with the
    same results. The folder holds every checkpoint, the results and the page report.html. Processes that
    torchrun or accelerate launch started share training and sleep.

    \b
    Example: sleepdefense run --preset mnist-quick --out runs/mnist
    """
    import dataclasses

    from sleepdefense.config import load_config
    from sleepdefense.consolidation.ranks import joined_ranks
    from sleepdefense.pipeline import Context, find_preset, run
    from sleepdefense.report import load_record, write_page

    if config is not None and preset is not None:
        raise click.UsageError("give a file or --preset, not both")
    settings = load_config(config) if config is not None else find_preset(preset or "digits")
    if seed is not None:
        settings = dataclasses.replace(settings, seed=seed)
    if limit is not None:
        settings = dataclasses.replace(settings, data=dataclasses.replace(settings.data, limit=limit))
    if epochs is not None:
        settings = dataclasses.replace(settings, awake=dataclasses.replace(settings.awake, epochs=epochs))
    with progress_bar() as progress:
        context = Context(
            command=options.command_line(),
            resume=resume,
            force=force,
            device=device,
            threads=threads,
            progress=progress,
        )
        table = run(settings, out, context, data_dir=data_dir)
    page = out / "report.html"
    with joined_ranks() as ranks:
        ranks.on_main(lambda: write_page(load_record(out), page))
    click.echo(json.dumps(table.summary(), indent=1) if as_json else f"{table}\n\nreport: {page}")
