"""Which attacked images have to be made, and which rows of the table each of them fills."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.evaluation.results import CLEAN
from sleepdefense.evaluation.rows import OK
from sleepdefense.evaluation.surfaces import QUERY as QUERY
from sleepdefense.evaluation.systems import Model, System

NO_ATTACKER = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One row of the table to be filled."""

    system: System
    threat_model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One set of attacked images, and all rows that are judged on it.

    Attributes:
        key: Name for a file, unique within a plan.
        attack: What to do; None for clean images.
        surface: What is attacked: what the gradient goes through, or what is asked for its decisions.
        cells: Whose rows these images fill. Systems that share a surface share its images.
    """

    key: str
    attack: AttackSpec | None
    surface: Model
    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        """How progress calls it."""
        models = dict.fromkeys(cell.threat_model for cell in self.cells)
        return CLEAN if self.attack is None else f"{self.attack.label}, {'/'.join(models)}"

    @property
    def norm(self) -> str:
        """What the attack is measured in; "none" where it has no budget."""
        return "none" if self.attack is None else self.attack.norm


def plan_work(systems: Sequence[System], attacks: Sequence[AttackSpec]) -> tuple[Work, ...]:
    """List the attacked images that the table needs, each once.

    Two systems get the same images where the same module is attacked: the classifier that stands alone and
    behind every purifier is attacked once. What only asks for decisions asks the whole system; what asks for
    nothing makes the same images for all.

    Args:
        systems: What to evaluate.
        attacks: What to attack with.

    Returns:
        First the clean images, then attack by attack.
    """
    everywhere = tuple(Cell(system=system, threat_model=NO_ATTACKER) for system in systems)
    work = [Work(key=CLEAN, attack=None, surface=systems[0].model, cells=everywhere)]
    for attack in attacks:
        if attack.access == "none":
            work.append(Work(key=attack.key, attack=attack, surface=systems[0].model, cells=everywhere))
            continue
        surfaces: dict[int, tuple[Model, list[Cell]]] = {}
        for system in systems:
            for threat_model, surface in _surfaces(system, attack).items():
                cells = surfaces.setdefault(id(surface), (surface, []))[1]
                cells.append(Cell(system=system, threat_model=threat_model))
        for number, (surface, cells) in enumerate(surfaces.values()):
            key = f"{attack.key}.{number}"
            work.append(Work(key=key, attack=attack, surface=surface, cells=tuple(cells)))
    return tuple(work)


def _surfaces(system: System, attack: AttackSpec) -> Mapping[str, Model]:
    """Return what an attack sees of a system, by threat model."""
    if attack.access == "query":
        return {QUERY: system.surfaces.get(QUERY, system.model)}
    return {name: surface for name, surface in system.surfaces.items() if name != QUERY}


def describe(work: Work, cell: Cell, status: str = OK) -> dict[str, Any]:
    """Return the fields of a row that say what was done."""
    attack = work.attack
    return {
        "system": cell.system.name,
        "attack": CLEAN if attack is None else attack.label,
        "key": CLEAN if attack is None else attack.key,
        "spec": "" if attack is None else str(attack),
        "norm": work.norm,
        "epsilon": None if attack is None else attack.epsilon,
        "threat_model": cell.threat_model,
        "status": status,
    }
