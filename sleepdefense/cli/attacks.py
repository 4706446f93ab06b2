"""`sleepdefense attacks`: what there is."""

import json
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from sleepdefense.cli import options

if TYPE_CHECKING:
    from sleepdefense.attacks import AttackSpec

_NARROWEST, _USUAL = 80, 100


@click.command(name="attacks")
@click.option(
    "--norm",
    type=click.Choice(["Linf", "L2", "L1", "L0", "none"], case_sensitive=False),
    help="Only those measured in this norm.",
)
@click.option("--profile", "profile", metavar="NAME", help="Only those of this profile, in its order.")
@options.as_json
def command(norm: str | None, profile: str | None, as_json: bool) -> None:
    """List the attacks, what they need, what they cost an image, and the profiles that name several.

    Cost: processor seconds of one core, images passed forward and backward, for each image, on the published
    CNN of Schott et al. on MNIST; what stops on success is counted on images that withstand.

    \b
    Example: sleepdefense attacks --profile standard
    """
    from sleepdefense.attacks import ATTACKS, PROFILES, parse_attacks
    from sleepdefense.errors import ConfigError

    if profile is not None and profile.lower() not in PROFILES:
        raise ConfigError(f"unknown profile '{profile}'; known: {', '.join(PROFILES)}")
    specs = tuple(ATTACKS.values()) if profile is None else parse_attacks(profile)
    specs = tuple(spec for spec in specs if norm is None or spec.norm.lower() == norm.lower())
    profiles = {name: [str(spec) for spec in chosen] for name, chosen in PROFILES.items()}
    if as_json:
        click.echo(json.dumps({"attacks": [_row(spec) for spec in specs], "profiles": profiles}, indent=1))
        return
    _print(specs)
    if profile is None and norm is None:
        click.echo("\nprofiles (sleepdefense attacks --profile NAME):")
        for name, chosen in PROFILES.items():
            seconds = sum(spec.seconds for spec in chosen)
            click.echo(f"  {name:<15} {len(chosen):>2} attacks, about {_number(seconds)} s an image")


def _row(spec: "AttackSpec") -> dict[str, Any]:
    """Return everything about an attack that a program may want to know."""
    return {
        "name": spec.title,
        "text": str(spec),
        "norm": spec.norm,
        "epsilon": spec.epsilon,
        "settings": dict(spec.settings),
        "access": spec.access,
        "needs_start": spec.needs_start,
        "is_random": spec.is_random,
        "is_iterative": spec.is_iterative,
        "minimises": spec.minimises,
        "seconds": spec.seconds,
        "forward": spec.forward,
        "backward": spec.backward,
        "description": spec.description,
        "source": spec.source,
        "paper_name": spec.paper_name,
    }


def _print(specs: Sequence["AttackSpec"]) -> None:
    """Print a table that fits the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = max(shutil.get_terminal_size((_USUAL, 24)).columns, _NARROWEST)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("attack", overflow="fold", ratio=1)
    table.add_column("norm", no_wrap=True)
    table.add_column("asks for", width=9)
    for name in ("seconds", "forward", "backward"):
        table.add_column(name, justify="right", no_wrap=True)
    for spec in specs:
        needs = (
            spec.access,
            *(["start"] if spec.needs_start else []),
            *(["random"] if spec.is_random else []),
        )
        costs = (_number(spec.seconds), str(spec.forward), str(spec.backward))
        told = Text.assemble(spec.label, "\n", (spec.description, "dim"))
        table.add_row(told, spec.norm, ", ".join(needs), *costs)
    Console(width=width, highlight=False, markup=False).print(table)


def _number(value: float) -> str:
    """Show two digits.

    >>> _number(0.00034), _number(0.137), _number(36.2), _number(412.0)
    ('0.0003', '0.14', '36', '412')
    """
    return f"{value:.0f}" if value >= 10 else f"{value:.1g}" if value < 0.01 else f"{value:.2g}"
