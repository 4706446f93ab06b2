"""Where everything comes from: settings, commands, versions, digests."""

import json
from collections.abc import Mapping
from typing import Any

from sleepdefense.report.markup import Html, element, folded, join, missing, table
from sleepdefense.report.record import RunRecord


def provenance_section(record: RunRecord) -> Html:
    """Return all that is needed to do the run again."""
    return join(_commands(record), _settings(record), _versions(record), _files(record), _timings(record))


def _commands(record: RunRecord) -> Html:
    commands = dict.fromkeys(
        str(file.provenance["command"]) for file in record.files if "command" in file.provenance
    )
    seeds = dict.fromkeys(str(file.provenance["seed"]) for file in record.files if "seed" in file.provenance)
    if not commands and record.is_evaluation:
        return Html()
    if not commands:
        return missing("No command", "no file of this run says how it was made")
    plural = "s" if len(seeds) > 1 else ""
    return join(
        element("p", f"Made by, with seed{plural} {', '.join(seeds)}:" if seeds else "Made by:"),
        *(element("pre", element("code", command)) for command in commands),
    )


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as dotted names and JSON values.

    >>> flatten({"data": {"name": "digits", "limit": None}})
    [('data.name', '"digits"'), ('data.limit', 'null')]
    """
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += flatten(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", json.dumps(value)))
    return rows


def _settings(record: RunRecord) -> Html:
    if record.config is None:
        return missing("No settings", record.why_absent("config.json"))
    what = "evaluation" if record.is_evaluation else "run"
    return folded(f"Settings of the {what}", table(("setting", "value"), flatten(record.config)))


def _versions(record: RunRecord) -> Html:
    found: dict[str, dict[str, None]] = {}
    for file in record.files:
        versions = file.provenance.get("versions")
        for name, version in versions.items() if isinstance(versions, Mapping) else ():
            found.setdefault(str(name), {})[str(version)] = None
    if not found:
        return Html()
    rows = [(name, ", ".join(found[name])) for name in sorted(found)]
    return folded("Versions", table(("library", "version"), rows))


def _files(record: RunRecord) -> Html:
    if not record.files:
        return missing("No files", "the folder of this run was not read")
    rows = [
        (file.name, file.kind, element("code", file.digest), element("code", _parents(file.provenance)))
        for file in record.files
    ]
    caption = "SHA-256 of every file, and of what it was made from. The same command gives the same digests."
    return folded("Files", table(("file", "kind", "digest", "made from"), rows, caption=caption))


def _parents(provenance: Mapping[str, Any]) -> str:
    digests = provenance.get("digests")
    if not isinstance(digests, Mapping):
        return ""
    return ", ".join(f"{role} {str(digest)[:12]}" for role, digest in sorted(digests.items()))


def _timings(record: RunRecord) -> Html:
    if not record.timings:
        return Html()
    rows = [(step, f"{seconds:.1f}") for step, seconds in record.timings.items()]
    return folded("Time it took", table(("step", "seconds"), rows, numbers=(1,)))
