"""The group of commands, each loaded when it is asked for."""

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from typing import Any

import rich_click as click

from sleepdefense.errors import SleepDefenseError

COMMANDS = {
    "run": "run",
    "train": "train",
    "convert": "convert",
    "sleep": "sleep",
    "eval": "evaluate",
    "reproduce": "reproduce",
    "report": "report",
    "attacks": "attacks",
    "models": "models",
    "data": "data",
    "bench": "bench",
    "doctor": "doctor",
}
"""Name of a command -> module of this package that holds it."""


class _Commands(click.RichGroup):
    """A group whose commands are imported one at a time, so that help and errors come at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"sleepdefense.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="sleepdefense")
def group() -> None:
    """Train a network, let it sleep as a spiking network, wake it, and measure honestly what changed.

    \b
    Example: sleepdefense run --out demo
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Threads of torch that wait for each other do so asleep: spinning, as is their default, makes every step
    many times slower as soon as another process wants the same core.

    Of several processes that a launcher started, the first alone writes to stdout.

    Exits with 0; with 1 after an error of ours, or an interruption, told in one line; with 2 after a wrong
    usage. Anything else is a bug and keeps its traceback.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded
    rank = _rank()
    who = f"process {rank}: " if rank else ""
    try:
        with nullcontext() if rank == 0 else redirect_stdout(StringIO()):
            status: Any = group.main(args=arguments, prog_name="sleepdefense", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SleepDefenseError as error:
        click.echo(f"{who}error: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"{who}error: {error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted: what is finished is kept; go on with --resume", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _rank() -> int:
    """Return the number that torchrun or accelerate launch gave this process; 0 if there is one only."""
    rank = os.environ.get("RANK", "0")
    is_shared = {"WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= set(os.environ)
    return int(rank) if is_shared and rank.isdigit() else 0
