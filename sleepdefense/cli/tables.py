"""Plain tables for the terminal."""

from collections.abc import Mapping, Sequence

import rich_click as click


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows with the same keys, in columns as wide as their widest entry."""
    if not rows:
        return
    names = list(rows[0])
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in names}
    for line in ({name: name for name in names}, {name: "-" * widths[name] for name in names}, *rows):
        click.echo("  ".join(f"{line[name]!s:<{widths[name]}}" for name in names).rstrip())
