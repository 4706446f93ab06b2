"""Options that mean the same in every command."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import rich_click as click
from click import get_current_context

_F = TypeVar("_F", bound=Callable[..., Any])
FILE = click.Path(path_type=Path, dir_okay=False)
EXISTING_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
HOW = (
    *("out", "resume", "force", "as_json", "threads", "data_dir", "device"),
    *("publish", "page", "so_far"),
)
"""Parameters that say how a command runs, not what it computes: no part of a result's provenance."""


def data(function: _F) -> _F:
    """Which images."""
    for option in (
        click.option("--limit", type=click.IntRange(min=1), help="Use only the first so many images."),
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder that holds data sets; else SLEEPDEFENSE_DATA, else the cache.",
        ),
        click.option("--data", "data_name", default="digits", show_default=True, help="Data set, by name."),
    ):
        function = option(function)
    return function


def out(what: str, *, required: bool = True) -> Callable[[_F], _F]:
    """Where the result goes, and what may be overwritten."""

    def decorate(function: _F) -> _F:
        for option in (
            click.option("--force", is_flag=True, help="Overwrite what is there, but what --resume needs."),
            click.option("--resume", is_flag=True, help="Go on where an earlier run stopped."),
            click.option("--out", type=click.Path(path_type=Path), required=required, help=what),
        ):
            function = option(function)
        return function

    return decorate


seed = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything random."
)
threads = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of the sleep kernels; default one a core."
)
device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where networks train and sleep.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def command_line() -> str:
    """Return the command that gives the same result: what was chosen, without what only says how."""
    context = get_current_context()
    parts = ["sleepdefense", str(context.info_name)]
    for parameter in context.command.params:
        name = str(parameter.name)
        value = context.params.get(name)
        if name in HOW or value is None or value == parameter.default or value == ():
            continue
        shown = value.name if isinstance(value, Path) else value
        if isinstance(parameter, click.Argument):
            parts.append(quote(str(shown)))
        elif value is True:
            parts.append(parameter.opts[0])
        elif value is False:
            parts += parameter.secondary_opts[:1]
        elif isinstance(value, tuple):
            parts += [f"{parameter.opts[0]} {quote(str(item))}" for item in value]
        else:
            parts.append(f"{parameter.opts[0]} {quote(str(shown))}")
    return " ".join(parts)
