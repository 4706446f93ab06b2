"""A robustness table as a reader looks at it: attack by attack, and which system plays which part."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow

OBLIVIOUS, WHITE_BOX, NO_MODEL = "oblivious", "white-box", "none"
_Z = 1.959963984540054  # half of the 95 percent interval of the normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which system is which.

    Attributes:
        undefended: The bare classifier, or None.
        before: The defended system before sleep, or None.
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
    """Tell by its rows, its name and its place which part each system plays.

    Systems that some attack sees only in part have a purifier; the first one without is undefended. Among
    those with a purifier (or, if there are none, among all), the one whose name speaks of "before" is the
    one before sleep, "after" the one after it; else they are the first and the second.
    """
    names = list(dict.fromkeys(row.system for row in table.rows))
    guarded = [
        name
        for name in names
        if any(row.system == name and row.threat_model == OBLIVIOUS for row in table.rows)
    ]
    undefended = next((name for name in names if name not in guarded), None) if guarded else None
    candidates = [name for name in (guarded or names) if name != undefended]
    before = _named(candidates, "before")
    after = _named(candidates, "after")
    rest = [name for name in candidates if name not in (before, after)]
    if before is None and rest:
        before = rest.pop(0)
    if after is None and rest:
        after = rest.pop(0)
    main = (undefended, before, after)
    return Roles(
        undefended=undefended,
        before=before,
        after=after,
        controls=tuple(name for name in names if name not in main),
    )


def _named(names: Sequence[str], word: str) -> str | None:
    return next((name for name in names if word in name.lower()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackView:
    """All rows of one attack.

    Attributes:
        key: The attack's key.
        label: The attack as a table calls it; "no attack" for clean images.
        norm: What its size is measured in; "" where that says nothing new.
        cells: System -> threat model -> row.
    """

    key: str
    label: str
    norm: str
    cells: Mapping[str, Mapping[str, RobustnessRow]]

    @property
    def title(self) -> str:
        """Label and norm."""
        return f"{self.label}, {self.norm}" if self.norm else self.label

    def row(self, system: str | None, threat_model: str) -> RobustnessRow | None:
        """Return the row of a system, or None.

        To a system that is attacked as a whole and has no purifier to be oblivious of, both threat models
        are one; corruptions and clean images, which need no model, count for each.
        """
        cells = self.cells.get(system or "", {})
        if threat_model in cells:
            return cells[threat_model]
        if NO_MODEL in cells:
            return cells[NO_MODEL]
        return cells.get(WHITE_BOX) if threat_model == OBLIVIOUS else None

    @property
    def needs_model(self) -> bool:
        """Whether the attack follows a gradient."""
        return any(NO_MODEL not in cells for cells in self.cells.values())


def attack_views(table: RobustnessTable) -> tuple[AttackView, ...]:
    """Group the rows by attack, the clean images first, in the order of the table."""
    groups: dict[str, dict[str, dict[str, RobustnessRow]]] = {}
    names: dict[str, tuple[str, str]] = {}
    for row in table.rows:
        groups.setdefault(row.key, {}).setdefault(row.system, {})[row.threat_model] = row
        norm = "" if row.norm == "none" or row.norm in row.attack else row.norm
        names[row.key] = ("no attack" if row.key == CLEAN else row.attack, norm)
    ordered = sorted(groups, key=lambda key: key != CLEAN)
    return tuple(
        AttackView(key=key, label=names[key][0], norm=names[key][1], cells=groups[key]) for key in ordered
    )


def headline_attack(views: Sequence[AttackView]) -> AttackView | None:
    """Return the attack that the summary speaks of: FGSM if it is there, else the first with a gradient."""
    strong = [view for view in views if view.needs_model and view.key != CLEAN]
    return next((view for view in strong if view.label.startswith("FGSM")), strong[0] if strong else None)


@dataclass(frozen=True, slots=True)
class Change:
    """How sleep changed the accuracy on the same images.

    Attributes:
        gained: Images right after sleep only.
        lost: Images right before sleep only.
        difference: (gained - lost) / n, in [-1, 1].
        lower: Lower end of its 95 percent interval.
        upper: Upper end of it.
    """

    gained: int
    lost: int
    difference: float
    lower: float
    upper: float

    @property
    def is_within_chance(self) -> bool:
        """Whether the interval holds zero."""
        return self.lower <= 0.0 <= self.upper


def paired_change(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Change:
    """Compare two systems image by image.

        d = (gained - lost) / (n + 2),
        d -+ 1.96 sqrt(((gained + lost + 1) - (gained - lost)^2 / (n + 2)) / (n + 2)^2)

    Args:
        before: Whether each image is classified correctly by the first system, (image,).
        after: The same for the second, (image,).

    Returns:
        The plain difference and the interval; without images NaN and an interval from -1 to 1.

    Source:
        Agresti and Min 2005: the interval of paired proportions with half an image added to each of the four
        cells, which stays honest where few images change.

    >>> change = paired_change(np.array([True, True, False]), np.array([True, False, False]))
    >>> change.gained, change.lost, change.is_within_chance
    (0, 1, True)
    """
    n = len(before)
    if n == 0:
        return Change(0, 0, math.nan, -1.0, 1.0)
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    total = n + 2
    centre = (gained - lost) / total
    half = _Z * math.sqrt(max((gained + lost + 1) - (gained - lost) ** 2 / total, 0.0)) / total
    return Change(gained, lost, (gained - lost) / n, max(centre - half, -1.0), min(centre + half, 1.0))


def change_between(
    table: RobustnessTable, view: AttackView, first: str, second: str, threat_model: str
) -> Change | None:
    """Compare two systems under one attack, or return None where one has no result."""
    rows = [view.row(name, threat_model) for name in (first, second)]
    if any(row is None or row.is_error or row.n == 0 for row in rows):
        return None
    right = [table.predicted[table.rows.index(row)] == table.labels for row in rows if row is not None]
    return paired_change(right[0], right[1])
