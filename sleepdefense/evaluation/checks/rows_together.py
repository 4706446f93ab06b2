"""Rows of a robustness table that belong together: one system, norm and budget."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from sleepdefense.attacks.attack_spec import AttackSpec
from sleepdefense.attacks.parse import parse_attack
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.checks.subject import QUERY, STRONG
from sleepdefense.evaluation.metrics import within
from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow

Mask = Bool[ndarray, " image"]

BLIND = "none"
"""The threat model of attacks that ask nothing of the model."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttackRow:
    """A row with a result, and which images its attack broke.

    Attributes:
        row: The row.
        number: Its place in the table.
        spec: The attack; None if this release does not know it.
        broken: Where the system is wrong within the row's budget, those wrong anyway included, (image,).
    """

    row: RobustnessRow
    number: int
    spec: AttackSpec | None
    broken: Mask

    @property
    def follows_gradient(self) -> bool:
        """Whether the attack went through a surface with a gradient."""
        return self.row.threat_model not in (QUERY, BLIND)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """All attacks on one system with one budget.

    Attributes:
        system: Name of the system.
        norm: Of the budget.
        epsilon: The budget.
        rows: In the order of the table.
    """

    system: str
    norm: str
    epsilon: float
    rows: tuple[AttackRow, ...]

    @property
    def budget(self) -> str:
        """How a sentence says it: "Linf 0.3"."""
        return f"{self.norm} {self.epsilon:g}"

    def broken(self, *threat_models: str) -> Mask | None:
        """Return what the gradient attacks of some threat models broke together; None without any."""
        masks = [
            one.broken for one in self.rows if one.row.threat_model in threat_models and one.follows_gradient
        ]
        return np.any(masks, axis=0) if masks else None

    @property
    def broken_by_strong(self) -> Mask | None:
        """What gradient attacks that know the whole system broke; None without any."""
        return self.broken(*STRONG)


def attack_rows(table: RobustnessTable) -> tuple[AttackRow, ...]:
    """Return the rows that have a result, a norm and a budget."""
    found = []
    for number, row in enumerate(table.rows):
        distance = table.distance[number]
        if row.attack == CLEAN or row.is_error or row.norm == "none" or row.epsilon is None:
            continue
        if not np.isnan(distance).any():
            broken = within(distance, row.epsilon)
            found.append(AttackRow(row=row, number=number, spec=_spec_of(row), broken=broken))
    return tuple(found)


def groups_of(table: RobustnessTable) -> tuple[Group, ...]:
    """Return the rows with a result, grouped by system, norm and budget, in the order of the table."""
    together: dict[tuple[str, str, float], list[AttackRow]] = {}
    for one in attack_rows(table):
        together.setdefault((one.row.system, one.row.norm, float(one.row.epsilon or 0.0)), []).append(one)
    return tuple(
        Group(system=system, norm=norm, epsilon=epsilon, rows=tuple(rows))
        for (system, norm, epsilon), rows in together.items()
    )


def num_right(table: RobustnessTable, system: str) -> int:
    """Return how many images a system classifies correctly without an attack."""
    return int((table.predicted[table.number(system, CLEAN)] == table.labels).sum())


def _spec_of(row: RobustnessRow) -> AttackSpec | None:
    """Return the attack of a row, or None for one that this release does not know."""
    try:
        return parse_attack(row.spec)
    except ConfigError:
        return None
