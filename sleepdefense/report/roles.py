"""Which system of a table plays which part."""

from collections.abc import Sequence
from dataclasses import dataclass

from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.report.threats import OBLIVIOUS

_UNDEFENDED = ("no defence", "undefended")
_BEFORE = ("before", "awake")
_AFTER = ("after", "woken", "slept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which system is which.

    Attributes:
        undefended: The bare classifier, or None.
        before: The defended system before sleep, or None; in a table without sleep the first system.
        after: The defended system after sleep, or None.
        controls: All others, in the order of the table.
    """

    undefended: str | None
    before: str | None
    after: str | None
    controls: tuple[str, ...]

    @property
    def order(self) -> tuple[str, ...]:
        """All systems: the three of the paper first."""
        main = tuple(name for name in (self.undefended, self.before, self.after) if name is not None)
        return main + self.controls


def find_roles(table: RobustnessTable) -> Roles:
    """Tell by its rows and its name which part each system plays.

    Systems that some attack sees only in part have a purifier; the one without, if there is one only or its
    name says so, is undefended. Among those with a purifier (or, if there are none, among all), names that
    speak of "before" or "awake" and of "after", "woken" or "slept" tell which one has slept. Without such a
    name nothing has slept: the first is then `before`, and the others are what it is compared with.
    """
    names = list(dict.fromkeys(row.system for row in table.rows))
    seen_in_part = {row.system for row in table.rows if row.threat_model == OBLIVIOUS}
    guarded = [name for name in names if name in seen_in_part]
    bare = [name for name in names if name not in seen_in_part]
    undefended = _named(bare, _UNDEFENDED)
    if undefended is None and guarded and len(bare) == 1:
        undefended = bare[0]
    candidates = [name for name in (guarded or names) if name != undefended]
    after = _named(candidates, _AFTER) if len(candidates) > 1 else None
    before = _named([name for name in candidates if name != after], _BEFORE)
    if before is None:
        before = next((name for name in candidates if name != after), None)
    main = (undefended, before, after)
    return Roles(
        undefended=undefended,
        before=before,
        after=after,
        controls=tuple(name for name in names if name not in main),
    )


def _named(names: Sequence[str], words: Sequence[str]) -> str | None:
    return next((name for word in words for name in names if word in name.lower()), None)
