"""Recognise the same work again: the content of a model, and which settings of two runs differ."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn


def module_digest(module: nn.Module) -> str:
    """Return the SHA-256 of a module: its parts, their settings as printed, and all weights and buffers.

    Two modules with equal parts and weights have the same digest, wherever they live. Code is not part of it:
    a `forward` that was edited in between goes unnoticed.

    Args:
        module: Any module.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, part in module.named_modules():
        digest.update(f"{name}|{type(part).__qualname__}|{part.extra_repr()}\n".encode())
    for name, value in module.state_dict().items():
        if isinstance(value, Tensor):
            digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            digest.update(f"{name}|{value!r}\n".encode())
    return digest.hexdigest()


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Say in words what the settings of finished work have otherwise than those of the work wanted.

    Args:
        found: Settings stored with the finished work.
        wanted: Settings of the work wanted.

    Returns:
        Such as "seed 0 instead of 1; another classifier", or None where they agree.
    """
    words = []
    for name in sorted(wanted.keys() | found.keys()):
        if found.get(name) == wanted.get(name):
            continue
        is_short = all(isinstance(side.get(name), (int, float)) for side in (found, wanted))
        words.append(f"{name} {found[name]} instead of {wanted[name]}" if is_short else f"other {name}")
    return "; ".join(words) or None


def versions() -> dict[str, str]:
    """Return the versions of everything that takes part in an attack."""
    return {name: version(name) for name in ("sleepdefense", "torch", "foolbox", "numpy")}
