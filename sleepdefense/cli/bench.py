"""`sleepdefense bench`: how fast is it, on this machine?"""

import json
from pathlib import Path

import rich_click as click

from sleepdefense.cli import options
from sleepdefense.cli.bench_table import print_measured
from sleepdefense.cli.progress import progress_bar
from sleepdefense.cli.settings import parse_settings


@click.group(name="bench")
def command() -> None:
    """Measure this package against others that do the same work, and against its own bars.

    \b
    Example: sleepdefense bench kernels --quick
    """


@command.command(name="kernels")
@click.option("--quick", is_flag=True, help="Few rounds on few images, in about a minute; without compile.")
@click.option("--only", multiple=True, metavar="GROUP", help="Only this group of figures; may be repeated.")
@click.option(
    "--opponent",
    "opponents",
    multiple=True,
    type=options.EXISTING_FILE,
    help="Python file with another opponent, such as benchmarks/spyketorch.py; may be repeated.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that holds MNIST; else SLEEPDEFENSE_DATA, else the cache, else the embedded digits.",
)
@click.option("--out", type=options.FILE, help="JSON file to write.")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@options.as_json
def kernels(
    quick: bool,
    only: tuple[str, ...],
    opponents: tuple[Path, ...],
    data_dir: Path | None,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure the kernels of the sleep phase on the network of the paper, for some minutes.

    Times are CPU seconds of one thread; contestants take turns and the fastest round counts. How to read the
    table: docs/benchmarks.md. Groups: opponents, rates, peak, learning, steps, threads, compile, memory.

    \b
    Example: sleepdefense bench kernels --opponent benchmarks/spyketorch.py --out kernels.json
    """
    from sleepdefense.bench import bench_kernels
    from sleepdefense.checkpoint import write_text_atomic
    from sleepdefense.errors import ConfigError

    if out is not None and out.exists() and not force:
        raise ConfigError(f"'{out}' exists: overwrite it with --force")
    try:
        with progress_bar() as progress:
            measured = bench_kernels(
                groups=only or None,
                quick=quick,
                data_dir=data_dir,
                opponents=opponents,
                progress=progress,
            )
    except KeyboardInterrupt:
        raise click.ClickException("interrupted: nothing was written") from None
    text = json.dumps(measured.to_json(), indent=1)
    if out is not None:
        write_text_atomic(out, text + "\n")
    if as_json:
        click.echo(text)
    else:
        print_measured(measured.to_json())


@command.command(name="attacks")
@click.argument("model", type=options.EXISTING_FILE)
@options.data
@click.option("--attacks", help="What to measure, such as dim42 or 'L2:DDN,FGSM'; by default all there are.")
@click.option("--images", "num_images", type=click.IntRange(min=1), default=8, show_default=True)
@click.option("--dear", is_flag=True, help="Run dear attacks too, for minutes an image.")
@options.seed
@options.as_json
def attacks(
    model: Path,
    data_name: str,
    data_dir: Path | None,
    limit: int | None,
    attacks: str | None,
    num_images: int,
    dear: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Measure what attacks cost on a network, MODEL, and what they find.

    For each image: processor seconds of one core, images shown to the network, gradients taken. Without
    --dear the dearest are not run: their passes are known, and their seconds are reckoned from what a pass
    costs here, or from a twentieth of their steps. All attacks then take about four minutes of one core, half
    of it for compilation. The estimates of `sleepdefense attacks` are made so.

    \b
    Example: sleepdefense bench attacks vanilla_cnn.net --data mnist --attacks L2:DDN,L2:FMN
    """
    from dataclasses import asdict

    from sleepdefense.attacks import ATTACKS, parse_attacks
    from sleepdefense.bench.attacks import measure_attacks
    from sleepdefense.cli.tables import print_table
    from sleepdefense.data import load_data
    from sleepdefense.models.awake_file import awake_from_file

    specs = tuple(ATTACKS.values()) if attacks is None else parse_attacks(attacks)
    _, test = load_data(data_name, data_dir=data_dir, limit=limit)
    with progress_bar() as progress:
        costs = measure_attacks(
            specs,
            awake_from_file(model),
            test,
            num_images=num_images,
            seed=seed,
            dear=dear,
            progress=progress,
        )
    rows = [asdict(cost) for cost in costs]
    if as_json:
        known = [{name: None if value != value else value for name, value in row.items()} for row in rows]
        click.echo(json.dumps(known, indent=1))
        return
    print_table([{name: _shown(value) for name, value in row.items()} for row in rows])


def _shown(value: str | float) -> str:
    """Write a measured value, "-" for what is not known."""
    if isinstance(value, str):
        return value
    return "-" if value != value else f"{value:.4g}"


@command.command(name="internal-models")
@click.option("--batch-sizes", default="1,10,32,128,512", show_default=True, help="Images at once.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the model.")
@click.option("--torch-threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=10, show_default=True)
@options.seed
@options.as_json
def internal_models(
    batch_sizes: str, settings: tuple[str, ...], torch_threads: int, rounds: int, seed: int, as_json: bool
) -> None:
    """Measure DIM's internal models: all as one, and one network after the other.

    CPU seconds with one thread, seconds of the clock with more; contestants take turns and the fastest round
    counts. Beside the ratio stands the most that any program could reach: matrix products at the speed of one
    torch.mm, and in training Adam, take as long for both.

    \b
    Example: sleepdefense bench internal-models --batch-sizes 1,128
    Example: sleepdefense bench internal-models --set size=8 --set width=32 --set denoiser_width=32
    """
    from dataclasses import asdict

    from sleepdefense.bench.internal_models import measure_internal_models
    from sleepdefense.evaluation.render import text_table

    with progress_bar() as progress:
        found = measure_internal_models(
            batch_sizes=_numbers(batch_sizes),
            settings=parse_settings(settings),
            threads=torch_threads,
            rounds=rounds,
            seed=seed,
            progress=progress,
        )
    if as_json:
        more = ({"ratio": each.ratio, "ratio_alone": each.ratio_alone, "most": each.most} for each in found)
        rows = [asdict(each) | ratios for each, ratios in zip(found, more, strict=True)]
        click.echo(json.dumps({"threads": torch_threads, "rows": rows}, indent=1))
        return
    headings = (
        "batch",
        "work",
        "as one (ms)",
        "loop (ms)",
        "times faster",
        "at most",
        "than K trainings",
        "GFLOP/s",
        "of one mm",
    )
    lines = [
        [
            str(each.batch_size),
            each.work,
            f"{1000 * each.together:.2f}",
            f"{1000 * each.loop:.2f}",
            f"{each.ratio:.2f}",
            f"{each.most:.2f}",
            _shown(each.ratio_alone),
            f"{each.gflops:.1f}",
            f"{each.product_gflops:.1f}",
        ]
        for each in found
    ]
    title = f"All internal models on one batch, {torch_threads} thread(s)"
    click.echo(text_table(headings, lines, title=title))


def _numbers(text: str) -> tuple[int, ...]:
    from sleepdefense.errors import ConfigError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--batch-sizes: expected numbers with commas between, got '{text}'") from error


@command.command(name="defense-gan")
@click.option("--width", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@options.seed
@options.as_json
def defense_gan(width: int, rounds: int, seed: int, as_json: bool) -> None:
    """Measure a step of Defense-GAN's search, beside autograd and the processor's matrix product.

    CPU seconds of one thread; contestants take turns and the fastest round counts.

    \b
    Example: sleepdefense bench defense-gan --width 16
    """
    from dataclasses import asdict

    from sleepdefense.bench.defense_gan import measure_defense_gan

    with progress_bar() as progress:
        times = measure_defense_gan(width=width, rounds=rounds, seed=seed, progress=progress)
    ratios = {
        "times faster than autograd": times.autograd / times.quick,
        "minutes of one core for 1,000 images at L = 200, R = 10, extrapolated": times.minutes(1000),
    }
    if as_json:
        click.echo(json.dumps({**asdict(times), **ratios}, indent=1))
        return
    for name, value in {**asdict(times), **ratios}.items():
        click.echo(f"{name}: {value:.4g}")


@command.command(name="page")
@click.argument("measured", type=options.EXISTING_FILE)
@click.option("--out", type=options.FILE, required=True, help="Markdown file to write.")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
def page(measured: Path, out: Path, force: bool) -> None:
    """Write the figures of a benchmark, MEASURED, as a Markdown page.

    \b
    Example: sleepdefense bench page kernels.json --out kernels.md
    """
    from sleepdefense.checkpoint import write_text_atomic
    from sleepdefense.cli.bench_table import as_markdown
    from sleepdefense.errors import ConfigError

    if out.exists() and not force:
        raise ConfigError(f"'{out}' exists: overwrite it with --force")
    try:
        found = json.loads(measured.read_text())
        text = as_markdown(found, f"sleepdefense bench {found['benchmark']} --out {measured.name}")
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"'{measured}' holds no figures of a benchmark: expected a file of 'bench kernels --out', got "
            f"{type(error).__name__} {error}"
        ) from error
    write_text_atomic(out, text)
