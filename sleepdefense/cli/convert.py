"""`sleepdefense convert`: awake to spiking, spiking to awake."""

import json
from pathlib import Path

import rich_click as click

from sleepdefense.cli import options


@click.command(name="convert")
@click.argument("checkpoint", type=options.EXISTING_FILE)
@options.out("Checkpoint to write.")
@click.option(
    "--to", type=click.Choice(["spiking", "awake"]), help="Insist on a direction; default: the other form."
)
@options.data
@click.option(
    "--percentile",
    type=click.FloatRange(min=0, min_open=True, max=100),
    default=99.9,
    show_default=True,
    help="To spiking: of the positive activations, the scale of each layer.",
)
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    help="To spiking: training images to calibrate on.",
)
@click.option(
    "--steps",
    default="4,16,64,256",
    show_default=True,
    help="To spiking: lengths of the runs that the report compares; 'none' for no report.",
)
@options.threads
@options.as_json
def command(
    checkpoint: Path,
    out: Path,
    resume: bool,
    force: bool,
    to: str | None,
    data_name: str,
    data_dir: Path | None,
    limit: int | None,
    percentile: float,
    images: int,
    steps: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Convert CHECKPOINT: an awake network into a spiking one, or a spiking one back.

    CHECKPOINT may also be vanilla_cnn.net or binary_cnn.net, the weights published by Schott et al. 2019:
    --to awake writes the network as a checkpoint.

    The way there normalises the weights on training images and says what became of every layer. The way back
    needs no data, and gives a network that did not sleep back bit for bit.

    \b
    Example: sleepdefense convert vae.h5 --data mnist --out spiking.h5
    Example: sleepdefense convert slept.h5 --out woken.h5
    Example: sleepdefense convert vanilla_cnn.net --to awake --out cnn.h5
    """
    from sleepdefense.checkpoint import load_checkpoint
    from sleepdefense.errors import CheckpointError
    from sleepdefense.models.awake_file import is_published
    from sleepdefense.pipeline import Context, adopt_step, convert_step, wake_step

    published = is_published(checkpoint)
    kind = "awake" if published else load_checkpoint(checkpoint, kind=("awake", "spiking")).kind
    wanted = to or ("spiking" if kind == "awake" else "awake")
    if wanted == kind and not published:
        raise CheckpointError(f"'{checkpoint}' is {kind} already: leave out --to, or name another checkpoint")
    context = Context(command=options.command_line(), resume=resume, force=force, threads=threads)
    if wanted == "awake":
        (adopt_step if published else wake_step)(checkpoint, out, context)
        click.echo(json.dumps({"out": str(out), "kind": "awake"}) if as_json else f"{out}: awake")
        return
    from dataclasses import asdict

    from sleepdefense.config import ConversionConfig
    from sleepdefense.conversion import conversion_report
    from sleepdefense.data import load_data

    lengths = () if steps == "none" else _lengths(steps)
    train, _ = load_data(data_name, data_dir=data_dir, limit=limit)
    config = ConversionConfig(percentile=percentile, images=images)
    network = convert_step(checkpoint, train, out, context, config=config)
    if not lengths:
        click.echo(json.dumps({"out": str(out), "kind": "spiking"}) if as_json else f"{out}: spiking")
        return
    report = conversion_report(network, train.images[: config.report_images], num_steps=lengths)
    facts = {"out": str(out), "kind": "spiking", "report": asdict(report)}
    click.echo(json.dumps(facts) if as_json else f"{report}\n\n{out}: spiking")


def _lengths(text: str) -> tuple[int, ...]:
    try:
        lengths = tuple(int(part) for part in text.split(","))
    except ValueError:
        lengths = ()
    if not lengths or min(lengths) < 1:
        raise click.UsageError(f"--steps {text!r}: expected numbers >= 1 with commas between, or 'none'")
    return lengths
