"""`sleepdefense attacks`: what there is."""

import json

import rich_click as click

from sleepdefense.cli import options
from sleepdefense.cli.tables import print_table


@click.command(name="attacks")
@options.as_json
def command(as_json: bool) -> None:
    r"""List the attacks, their usual strength, and the profiles that name several.

    \b
    Example: sleepdefense attacks
    """
    from sleepdefense.attacks import ATTACKS, PROFILES

    rows = [
        {
            "name": spec.name,
            "norm": spec.norm,
            "usual": str(spec.label),
            "settings": ", ".join(spec.adjustable),
            "gradient": "yes" if spec.needs_gradient else "no",
            "what it does": spec.description,
        }
        for spec in ATTACKS.values()
    ]
    profiles = {name: [str(spec) for spec in specs] for name, specs in PROFILES.items()}
    if as_json:
        click.echo(json.dumps({"attacks": rows, "profiles": profiles}, indent=1))
        return
    print_table(rows)
    click.echo()
    for name, specs in profiles.items():
        click.echo(f"profile {name}: {', '.join(specs)}")
