"""What in a table must not be taken at face value."""

from sleepdefense.attacks.parse import parse_attack
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow
from sleepdefense.report.summary import percent
from sleepdefense.report.views import OBLIVIOUS, WHITE_BOX, attack_views


def warnings(table: RobustnessTable) -> list[str]:
    """Name what in a table must not be taken at face value.

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
            f"{len(doubtful)} rows come from attacks that found no gradient on some images: their accuracy "
            "is too high to be believed."
        )
    found += _too_weak(table)
    for view in attack_views(table):
        for system in view.cells:
            oblivious, white = (view.cells[system].get(model) for model in (OBLIVIOUS, WHITE_BOX))
            if oblivious is None or white is None or oblivious.is_error or white.is_error:
                continue
            if white.lower > oblivious.upper:
                found.append(
                    f"'{system}' under {view.title}: the attack through the whole system did less harm "
                    f"({percent(white.accuracy)} left) than the one that ignored the defence "
                    f"({percent(oblivious.accuracy)}). That points to masked gradients or to an attack that "
                    "is too weak, not to robustness."
                )
    return found


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
    """Return whether the attack takes many steps; None for one that this release does not know."""
    try:
        return parse_attack(row.spec).is_iterative
    except ConfigError:
        return None


CAVEATS = (
    "Oblivious accuracy is what the papers on purifiers report. It holds only against an attacker who does "
    "not know of the defence. The white-box column is the one to judge robustness by, and even it is an "
    "upper bound: a stronger attack can only lower it.",
    "Intervals are 95 % Wilson intervals over the test images. They do not cover another seed, another "
    "training or another data set: this is one run.",
    "Differences made by sleep are compared image by image, with the interval of Agresti and Min. Several "
    "comparisons stand side by side and are not corrected for their number.",
    "A change of the weights of the same size without sleep (noise, shrinkage, shuffled time) can have "
    "effects as well. Only a difference to such controls is an effect of sleep.",
)
"""What a reader must know, whatever the numbers."""
