"""`sleepdefense doctor`: is this machine fit?"""

import json

import rich_click as click
from click import get_current_context

from sleepdefense.cli import options


@click.command(name="doctor")
@options.as_json
def command(as_json: bool) -> None:
    """Check versions, processor, GPU, kernels, simulators and data; exit with 1 if something fails.

    \b
    Example: sleepdefense doctor
    """
    from sleepdefense.pipeline.doctor import examine

    findings = examine()
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        for finding in findings:
            mark = {"ok": "ok  ", "note": "note", "fail": "FAIL"}[finding.state]
            click.echo(f"{mark}  {finding.what:<18} {finding.text}")
    if any(finding.state == "fail" for finding in findings):
        get_current_context().exit(1)
