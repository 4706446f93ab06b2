"""`sleepdefense sleep`: let a spiking network sleep."""

import json
from pathlib import Path
from typing import Any

import rich_click as click

from sleepdefense.cli import options
from sleepdefense.cli.progress import progress_bar
from sleepdefense.cli.settings import parse_settings


@click.command(name="sleep")
@click.argument("spiking", type=options.EXISTING_FILE)
@options.out("Checkpoint to write.")
@options.data
@click.option(
    "--rule", default="mirrored-stdp", show_default=True, help="Learning rule: mirrored-stdp or stdp."
)
@click.option(
    "--dose",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    help="Relative change of every layer's weights at which it stops; 0: no sleep.",
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=32, show_default=True, help="Length of the spike trains."
)
@click.option("--k", help="Winners an image and layer; one number, or one a layer with commas between.")
@click.option("--radius", help="Reach of the inhibition in pixels; as --k.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any other setting of the sleep."
)
@click.option(
    "--rule-set", multiple=True, metavar="NAME=VALUE", help="A setting of the rule, such as a_plus=0.004."
)
@click.option(
    "--guard",
    type=click.FloatRange(min=0),
    default=0.005,
    show_default=True,
    help="Most that the sleep may cost on held-out images, as a fraction of them.",
)
@click.option(
    "--held-out",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The last so many training images judge the sleep and are not slept on; 0: no guard.",
)
@click.option(
    "--classifier", type=options.EXISTING_FILE, help="Judges what a purifier makes of held-out images."
)
@options.seed
@options.device
@options.threads
@options.as_json
def command(
    spiking: Path,
    out: Path,
    resume: bool,
    force: bool,
    data_name: str,
    data_dir: Path | None,
    limit: int | None,
    rule: str,
    dose: float,
    steps: int,
    k: str | None,
    radius: str | None,
    settings: tuple[str, ...],
    rule_set: tuple[str, ...],
    guard: float,
    held_out: int,
    classifier: Path | None,
    seed: int,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Let the network in SPIKING sleep on training images, and write it with a diary beside it.

    Images come as random spike trains; in every layer the first neurons to fire win, and the synapses of the
    winners change. Each layer sleeps until its weights have moved by the dose. Processes that torchrun or
    accelerate launch started share the images, and end with what one would.

    \b
    Example: sleepdefense sleep spiking.h5 --data mnist --dose 0.1 --out slept.h5
    """
    from sleepdefense.config import SleepSection
    from sleepdefense.data import load_data
    from sleepdefense.errors import ConfigError
    from sleepdefense.models import awake_from_file
    from sleepdefense.pipeline import Context, sleep_step

    chosen: dict[str, Any] = {"rho": dose, "num_steps": steps}
    chosen |= parse_settings([f"{name}={value}" for name, value in (("k", k), ("radius", radius)) if value])
    chosen |= parse_settings(settings)
    section = SleepSection(
        rule=rule, rule_settings=parse_settings(rule_set), settings=chosen, guard=guard if held_out else None
    )
    train, _ = load_data(data_name, data_dir=data_dir, limit=limit)
    if held_out >= len(train):
        raise ConfigError(f"--held-out {held_out}: expected fewer than the {len(train)} training images")
    judge = None
    if classifier is not None:
        judge = awake_from_file(classifier)
    with progress_bar() as progress:
        context = Context(
            command=options.command_line(),
            resume=resume,
            force=force,
            device=device,
            threads=threads,
            progress=progress,
        )
        slept = sleep_step(
            spiking,
            train.part(0, len(train) - held_out),
            out,
            context,
            section=section,
            seed=seed,
            held_out=train.part(len(train) - held_out, len(train)) if held_out else None,
            classifier=judge,
        )
    doses = {name: round(value, 6) for name, value in slept.diary.doses.items()}
    if as_json:
        click.echo(json.dumps({"out": str(out), "images": slept.diary.num_images, "doses": doses}))
        return
    for name, value in doses.items():
        click.echo(f"{name:<24} moved by {100 * value:.2f} %")
    for note in slept.diary.notes:
        click.echo(note)
    click.echo(f"{out}: slept on {slept.diary.num_images} images")
