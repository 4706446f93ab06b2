"""Where a result comes from: command, seed, versions, digests. No dates: the same work, the same bytes."""

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from sleepdefense.checkpoint import Checkpoint, load_checkpoint
from sleepdefense.errors import CheckpointError, ConfigError

LIBRARIES = ("sleepdefense", "torch", "numpy", "numba", "snntorch", "norse", "foolbox")


def versions() -> dict[str, str]:
    """Return the versions of this package and of the libraries that decide its numbers."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def fingerprint(**facts: Any) -> str:
    """Return a SHA-256 over plain values: what a step depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def provenance(command: str, *, seed: int, step: str, **digests: str | None) -> dict[str, Any]:
    """Describe where a file comes from.

    Args:
        command: What the user ran, or would run, to make it.
        seed: Of everything random.
        step: Fingerprint of what it depends on.
        digests: Data set and parent checkpoints by role; None is left out.
    """
    known = {role: digest for role, digest in digests.items() if digest is not None}
    return {"command": command, "seed": seed, "step": step, "digests": known, "versions": versions()}


def finished(path: Path, step: str, *, resume: bool, force: bool) -> Checkpoint | None:
    """Return the finished result of an earlier run of the same step, if there is one and it may be used.

    Args:
        path: Where the step writes.
        step: Fingerprint of what it depends on now.
        resume: Use a result that is there.
        force: Overwrite whatever is there.

    Raises:
        ConfigError: A result is there and neither `resume` nor `force` is given, or it is another one's.
        CheckpointError: It is damaged.
    """
    if not path.exists() or (force and not resume):
        return None
    if not resume:
        raise ConfigError(f"'{path}' exists: go on with --resume, or start anew with --force")
    checkpoint = load_checkpoint(path)
    if checkpoint.provenance.get("step") == step:
        return checkpoint
    if force:
        return None
    raise ConfigError(
        f"'{path}' was made with other settings, data or versions of its parents: "
        "give another --out, or start anew with --force"
    )


def require(checkpoint: Checkpoint, path: Path, kind: str) -> Mapping[str, Any]:
    """Return the settings of a checkpoint that must be of one kind.

    Raises:
        CheckpointError: It is of another kind.
    """
    if checkpoint.kind != kind:
        raise CheckpointError(f"'{path}' is a checkpoint of kind '{checkpoint.kind}', expected '{kind}'")
    return checkpoint.settings
