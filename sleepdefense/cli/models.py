"""`sleepdefense models`: what there is."""

import json

import rich_click as click

from sleepdefense.cli import options
from sleepdefense.cli.tables import print_table


@click.command(name="models")
@options.as_json
def command(as_json: bool) -> None:
    """List the models that can be trained, with their settings.

    \b
    Example: sleepdefense models
    """
    from sleepdefense.models import MODELS, AbstractPurifier, build_model

    rows = []
    for name, kind in MODELS.items():
        model = build_model(name, {}, seed=0)
        rows.append(
            {
                "name": name,
                "kind": "purifier" if issubclass(kind, AbstractPurifier) else "classifier",
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
                "settings": ", ".join(f"{key}={value}" for key, value in model.settings.items()),
                "what it is": (kind.__doc__ or "").splitlines()[0],
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        print_table(rows)
