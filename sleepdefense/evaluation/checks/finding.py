"""What a check found: a verdict in numbers and in plain words."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from sleepdefense.errors import EvaluationError

Status = Literal["passed", "failed", "warned", "skipped", "error"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one check says of one attack surface.

    Attributes:
        status: "passed"; "failed": numbers measured this way cannot be trusted; "warned": they must be read
            with care; "skipped": the check does not apply; "error": it could not be carried out.
        sentence: What was found, in a sentence a reader of the table understands.
        advice: What to do about it; empty if nothing.
        value: What was measured, or None.
        limit: Where that begins to be a fault, or None.
    """

    status: Status
    sentence: str
    advice: str = ""
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check says of one attack surface of one system.

    Attributes:
        check: "S1" to "S7", "G1" to "G5", "T1" to "T3" or "R1" to "R3".
        system: Name of the system.
        threat_model: What the attack saw of it; "none" where that plays no part.
        norm: Of the attacks concerned; "none" where that plays no part.
        status: As in `Verdict`.
        value: What was measured, or None.
        limit: Where that begins to be a fault, or None.
        sentence: What was found.
        advice: What to do about it.
        forward: Images shown to the system for this check, those of earlier checks that it used left out.
        backward: Images whose gradient was taken.
    """

    check: str
    system: str
    threat_model: str
    norm: str
    status: Status
    value: float | None
    limit: float | None
    sentence: str
    advice: str
    forward: int = 0
    backward: int = 0

    @property
    def is_flag(self) -> bool:
        """Whether a reader must be told: the check failed, warned, or could not be carried out."""
        return self.status in ("failed", "warned", "error")

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Finding":
        """Return the finding that `to_json` wrote.

        Raises:
            EvaluationError: A field is missing, unknown, or of the wrong type.
        """
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in values]
        unknown = [name for name in values if name not in names]
        if missing or unknown:
            wrong = f"lacks {', '.join(missing)}" if missing else f"has unknown fields {', '.join(unknown)}"
            raise EvaluationError(f"a finding {wrong}; expected {', '.join(names)}")
        for name in names:
            _check(name, values[name])
        return cls(**values)


def make_finding(
    verdict: Verdict, *, check: str, system: str, threat_model: str, norm: str, cost: tuple[int, int] = (0, 0)
) -> Finding:
    """Say which check, system and surface a verdict is about.

    Args:
        verdict: What was found.
        check: Which check.
        system: Name of the system.
        threat_model: What the attack saw.
        norm: Of the attacks concerned.
        cost: Images shown and gradients taken.

    Returns:
        The finding; numbers that are not finite become None.
    """
    return Finding(
        check=check,
        system=system,
        threat_model=threat_model,
        norm=norm,
        status=verdict.status,
        value=_finite(verdict.value),
        limit=_finite(verdict.limit),
        sentence=verdict.sentence,
        advice=verdict.advice,
        forward=cost[0],
        backward=cost[1],
    )


def skipped(reason: str) -> Verdict:
    """Return the verdict of a check that does not apply."""
    return Verdict(status="skipped", sentence=reason)


def tolerance(num_images: int) -> float:
    """Return how far two accuracies on the same images may differ without meaning anything.

        d = 1/n + 0.01

    Args:
        num_images: n, >= 1.

    Returns:
        A difference of accuracies.

    Source:
        One image and one point; Croce and Hein 2020 look at single points too.
    """
    return 1.0 / num_images + 0.01


def percent(share: float) -> str:
    """Write a share as a sentence says it: "12.5 %"."""
    return f"{100 * share:.1f} %"


def _finite(number: float | None) -> float | None:
    """Return a number that JSON can write."""
    return float(number) if number is not None and math.isfinite(number) else None


def _check(name: str, value: object) -> None:
    """Refuse a field of a finding that `to_json` cannot have written."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    match name:
        case "status":
            is_fine, expected = value in STATUSES, f"one of {', '.join(STATUSES)}"
        case "value" | "limit":
            is_fine, expected = value is None or is_number, "a finite number or null"
        case "forward" | "backward":
            is_whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            is_fine, expected = is_whole, "a whole number >= 0"
        case _:
            is_fine, expected = isinstance(value, str), "a text"
    if not is_fine:
        raise EvaluationError(f"a finding's '{name}' must be {expected}, got {value!r}")
