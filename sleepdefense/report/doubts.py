"""What in a table must not be taken at face value."""

from collections.abc import Iterator

from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow
from sleepdefense.report.missing_attacks import missing_attacks
from sleepdefense.report.roles import find_roles
from sleepdefense.report.threats import ADAPTIVE, OBLIVIOUS, WHITE_BOX
from sleepdefense.report.views import attack_views, known_attack
from sleepdefense.report.words import counted, percent


def warnings(table: RobustnessTable) -> list[str]:
    """Name what in a table must not be taken at face value.

    Comparisons between attacks are left to the checks of the evaluation where these have been run.

    Args:
        table: The results.

    Returns:
        One sentence for each doubt; empty if there is none that the numbers show.
    """
    found = []
    errors = [row for row in table.rows if row.is_error]
    if errors:
        found.append(
            f"{len(errors)} of {len(table.rows)} rows could not be measured; a failed attack says nothing "
            "about robustness."
        )
    doubtful = [row for row in table.rows if not row.is_error and row.status != "ok"]
    if doubtful:
        found.append(
            f"{counted(len(doubtful), 'row comes', 'rows come')} from attacks that found no gradient on some "
            "images: their accuracy is too high to be believed."
        )
    found += missing_attacks(table, find_roles(table).order)
    if not table.findings:
        found += [*_too_weak(table), *_knows_more(table)]
    return found


def _knows_more(table: RobustnessTable) -> Iterator[str]:
    """Name attacks that do less harm although they know more."""
    pairs = (
        (OBLIVIOUS, WHITE_BOX, "the attack through the whole system", "the one that ignored the defence"),
        (WHITE_BOX, ADAPTIVE, "the attack adapted to the system", "the one that was not adapted"),
    )
    for view in attack_views(table):
        for system in view.cells:
            for less, more, knowing, ignorant in pairs:
                one, other = (view.cells[system].get(model) for model in (less, more))
                if one is None or other is None or one.is_error or other.is_error:
                    continue
                if other.lower > one.upper:
                    yield (
                        f"'{system}' under {view.title}: {knowing} did less harm "
                        f"({percent(other.accuracy)} left) than {ignorant} ({percent(one.accuracy)}). That "
                        "points to masked gradients or to an attack that is too weak, not to robustness."
                    )


def _too_weak(table: RobustnessTable) -> list[str]:
    """Name attacks of many steps that do less harm than one of a single step with the same budget."""
    steps = {row.key: _is_iterative(row) for row in table.rows if row.epsilon is not None}
    found: dict[str, list[str]] = {}
    for one in table.rows:
        for many in table.rows:
            same = ("system", "threat_model", "norm", "epsilon")
            if steps.get(one.key) is not False or not steps.get(many.key) or one.is_error or many.is_error:
                continue
            if any(getattr(one, name) != getattr(many, name) for name in same):
                continue
            if many.lower > one.upper:
                found.setdefault(f"{many.attack} leaves more right than {one.attack}", []).append(one.system)
    return [
        f"{words} ({', '.join(repr(system) for system in dict.fromkeys(systems))}): with this budget many "
        "steps should do more harm than one, so the iterated attack is too weak here."
        for words, systems in found.items()
    ]


def _is_iterative(row: RobustnessRow) -> bool | None:
    """Return whether the attack takes many gradient steps; None if it takes none, or is unknown."""
    spec = known_attack(row.spec)
    return spec.is_iterative if spec is not None and spec.needs_gradient else None


CAVEATS = (
    "Every accuracy under attack is an upper bound: a stronger attack can only lower it. What counts is the "
    "worst case, image by image, over all attacks of a norm.",
    "Oblivious accuracy is what the papers on purifiers report. It holds only against an attacker who does "
    "not know of the defence. White-box and adaptive attacks are the ones to judge robustness by.",
    "Many attacks of one kind are no more evidence than one: noise, contrast and blur in several norms leave "
    "almost any network alone.",
    "Intervals are 95 % Wilson intervals over the test images. They do not cover another seed, another "
    "training or another data set: this is one run.",
    "Differences between networks are compared image by image, with the interval of Agresti and Min. Several "
    "comparisons stand side by side and are not corrected for their number.",
)
"""What a reader must know, whatever the numbers."""

CAVEAT_OF_SLEEP = (
    "A change of the weights of the same size without sleep (noise, shrinkage, shuffled time) can have "
    "effects as well. Only a difference to such controls is an effect of sleep."
)
