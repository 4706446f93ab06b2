"""`NAME=VALUE` on the command line."""

import json
from collections.abc import Iterable
from typing import Any

import rich_click as click


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Read settings such as width=16, rho=0.1, engine=fused, k=5,5,8,1.

    Numbers, true, false and null are taken as such, several numbers with commas as a list, all else as text.

    >>> parse_settings(["width=16", "engine=fused", "k=5,5,8,1"])
    {'width': 16, 'engine': 'fused', 'k': [5, 5, 8, 1]}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.UsageError(f"--set {text!r}: expected NAME=VALUE")
        found[name.strip()] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(f"[{text}]" if "," in text else text)
    except json.JSONDecodeError:
        return text
