"""A robustness table as a reader looks at it: attack by attack, norm by norm."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.attacks.parse import parse_attack
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow
from sleepdefense.evaluation.views import NORMS
from sleepdefense.report.threats import GRADIENT, NO_MODEL, OBLIVIOUS, WHITE_BOX, in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackView:
    """All rows of one attack.

    Attributes:
        key: The attack's key.
        label: The attack as a table calls it; "no attack" for clean images.
        measure: What its distances are measured in; "none" without a norm.
        spec: The text that stands for it; "" for clean images.
        cells: System -> threat model -> row.
    """

    key: str
    label: str
    measure: str
    spec: str
    cells: Mapping[str, Mapping[str, RobustnessRow]]

    @property
    def norm(self) -> str:
        """What its size is measured in; "" where the label says so, or there is nothing to say."""
        return "" if self.measure == "none" or self.measure in self.label else self.measure

    @property
    def title(self) -> str:
        """Label and norm."""
        return f"{self.label}, {self.norm}" if self.norm else self.label

    @property
    def name(self) -> str:
        """The label for a place that speaks of one norm only: "PGD 1.5" instead of "L2:PGD 1.5"."""
        return self.label.removeprefix(f"{self.measure}:")

    def row(self, system: str | None, threat_model: str) -> RobustnessRow | None:
        """Return the row of a system, or None.

        To a system that is attacked as a whole and has no purifier to be oblivious of, oblivious and
        white-box are one; corruptions and clean images, which need no model, count for each.
        """
        cells = self.cells.get(system or "", {})
        if threat_model in cells:
            return cells[threat_model]
        if not self.is_attack:
            return cells.get(NO_MODEL)
        return cells.get(WHITE_BOX) if threat_model == OBLIVIOUS else None

    def models(self, *systems: str) -> tuple[str, ...]:
        """Return the threat models in which the systems (all, if none is named) were attacked with it."""
        if not self.is_attack:
            return ()
        asked = systems or tuple(self.cells)
        return in_order(model for system in asked for model in self.cells.get(system, {}))

    @property
    def is_attack(self) -> bool:
        """Whether it has a norm to be measured in, unlike clean images and corruptions."""
        return self.measure != "none"

    @property
    def follows_gradient(self) -> bool:
        """Whether it follows gradients, of the system or of one in its place."""
        return any(model in GRADIENT for model in self.models())


def attack_views(table: RobustnessTable) -> tuple[AttackView, ...]:
    """Group the rows by attack, the clean images first, in the order of the table."""
    groups: dict[str, dict[str, dict[str, RobustnessRow]]] = {}
    first: dict[str, RobustnessRow] = {}
    for row in table.rows:
        groups.setdefault(row.key, {}).setdefault(row.system, {})[row.threat_model] = row
        first.setdefault(row.key, row)
    ordered = sorted(groups, key=lambda key: key != CLEAN)
    return tuple(
        AttackView(
            key=key,
            label="no attack" if key == CLEAN else first[key].attack,
            measure=first[key].norm,
            spec=first[key].spec,
            cells=groups[key],
        )
        for key in ordered
    )


def by_norm(views: Sequence[AttackView]) -> dict[str, list[AttackView]]:
    """Sort attacks by norm: first what has none, then in the order of the tables."""
    groups: dict[str, list[AttackView]] = {}
    for view in views:
        groups.setdefault(view.measure, []).append(view)
    known = ("none", *NORMS)
    return {norm: groups[norm] for norm in sorted(groups, key=lambda norm: (*known, norm).index(norm))}


def headline_attack(views: Sequence[AttackView]) -> AttackView | None:
    """Return the attack that the summary speaks of: FGSM if it is there, else the first with a gradient."""
    strong = [view for view in views if view.follows_gradient]
    return next((view for view in strong if view.label.startswith("FGSM")), strong[0] if strong else None)


def valid_numbers(table: RobustnessTable, system: str, norm: str) -> list[int]:
    """Return the numbers of a system's rows of a norm in which every image has a distance."""
    return [
        number
        for number, row in enumerate(table.rows)
        if row.system == system
        and row.norm == norm
        and row.key != CLEAN
        and not row.is_error
        and not bool(np.isnan(table.distance[number]).any())
    ]


def known_attack(spec: str) -> AttackSpec | None:
    """Return the attack that a row names; None for one that this release does not know."""
    try:
        return parse_attack(spec)
    except ConfigError:
        return None


def minimises(row: RobustnessRow) -> bool:
    """Whether a row's attack looks for the nearest wrong image, at whatever distance."""
    spec = known_attack(row.spec)
    return spec is not None and spec.minimises


def distance_in_words(distance: float) -> str:
    """Return a median distance.

    >>> distance_in_words(0.08123), distance_in_words(float("inf")), distance_in_words(float("nan"))
    ('0.0812', 'not reached', '')
    """
    if math.isnan(distance):
        return ""
    return "not reached" if math.isinf(distance) else f"{distance:.3g}"


def budgets(rows: Iterable[RobustnessRow]) -> tuple[float, ...]:
    """Return the budgets of rows, ascending."""
    return tuple(sorted({row.epsilon for row in rows if row.epsilon is not None}))
