"""How much the networks get right, in words: without an attack, under one, and under all together."""

from collections.abc import Sequence

from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow, WorstCase
from sleepdefense.evaluation.views import norm_summary
from sleepdefense.report.missing_attacks import missing_attacks
from sleepdefense.report.roles import Roles
from sleepdefense.report.threats import OBLIVIOUS, WHITE_BOX, in_order, threat_of
from sleepdefense.report.views import AttackView, headline_attack
from sleepdefense.report.words import budgets_in_words, counted, listed, percent


def level_in_words(table: RobustnessTable, views: Sequence[AttackView], roles: Roles) -> str:
    """Say what the networks get right, and which attacks are missing before that can be believed."""
    clean = next((view for view in views if view.key == CLEAN), None)
    attacked = headline_attack(views)
    sentences = [] if clean is None else [_without_attack(table, clean, roles)]
    if attacked is not None:
        sentences.append(_under_attack(attacked, roles))
    sentences.append(_worst_case(table, roles))
    sentences += missing_attacks(table, [name for name, _ in _subjects(roles)])
    return " ".join(words for words in sentences if words)


def _subjects(roles: Roles) -> list[tuple[str, str]]:
    """Return the systems that sentences are about, and what a sentence calls each of them."""
    if roles.after is not None and roles.before is not None:
        return [(roles.before, "before sleep"), (roles.after, "after it")]
    names = [name for name in (roles.before, *roles.controls) if name is not None]
    if not names and roles.undefended is not None:
        names = [roles.undefended]
    return [(name, f"for '{name}'" if len(names) > 1 else "") for name in names]


def _without_attack(table: RobustnessTable, clean: AttackView, roles: Roles) -> str:
    """Say what is right on clean images."""
    images = f"On {len(table.labels)} images of '{table.provenance.get('data', 'unknown data')}', "
    if roles.after is None and roles.undefended is None:
        names = [name for name in (roles.before, *roles.controls) if name is not None]
        shares = [f"'{name}' is right on {_share(clean.row(name, WHITE_BOX))}" for name in names]
        return f"{images}{listed(shares)} without an attack."
    name = roles.undefended or roles.before
    who = "the undefended network" if roles.undefended else "the network before sleep"
    words = f"{images}{who} is right on {_share(clean.row(name, WHITE_BOX))} without an attack"
    if roles.undefended is not None and roles.before is not None:
        words += f", and on {_share(clean.row(roles.before, WHITE_BOX))} behind the defence"
    return words + "."


def _under_attack(view: AttackView, roles: Roles) -> str:
    """Say what one attack leaves, in each threat model."""
    name = f"{view.label} ({view.norm})" if view.norm else view.label
    parts = []
    if roles.undefended is not None and (row := view.row(roles.undefended, WHITE_BOX)) is not None:
        parts.append(f"the undefended network keeps {_share(row)}")
    behind = _behind_the_defence(view, roles.before)
    if behind:
        parts += behind
    else:
        shares = [
            f"{_share(row)}{' are right' if place == 0 else ''}{f' {words}' if words else ''}"
            for place, (system, words) in enumerate(_subjects(roles))
            if system != roles.undefended and (row := view.row(system, WHITE_BOX)) is not None
        ]
        parts += [listed(shares)] if shares else []
    if not parts:
        return ""
    return f"Under {name} " + (", ".join([*parts[:-1], f"and {parts[-1]}"]) if parts[1:] else parts[0]) + "."


def _behind_the_defence(view: AttackView, system: str | None) -> list[str]:
    """Say what is left of a system that attacks see in several ways, threat model by threat model."""
    cells = view.cells.get(system or "", {})
    models = view.models(system or "")
    if OBLIVIOUS not in models and len(models) < 2:
        return []
    clauses = []
    for place, model in enumerate(models):
        head = "behind the defence " if place == 0 and OBLIVIOUS in models else ""
        are = " are right" if place == 0 else ""
        clauses.append(f"{head}{_share(cells[model])}{are} {threat_of(model).condition}")
    return clauses


def _worst_case(table: RobustnessTable, roles: Roles) -> str:
    """Say what all attacks of a norm leave together, where there are several."""
    lines = {(line.system, line.norm): line for line in norm_summary(table)}
    subjects = _subjects(roles)
    first = next((name for name, _ in subjects if any(system == name for system, _ in lines)), None)
    norms = [
        norm
        for system, norm in lines
        if system == first and norm != "any" and len(set(lines[system, norm].attacks)) > 1
    ]
    if first is None or not norms:
        return ""
    if len(norms) == 1:
        line = lines[first, norms[0]]
        kinds = _kinds(table, line)
        one = f"{kinds[0]} " if len(kinds) == 1 else ""
        several = f" ({listed(kinds)})" if len(kinds) > 1 else ""
        return (
            f"All {len(set(line.attacks))} {one}attacks in {line.norm} together{several}, image by image, "
            f"leave {_left(lines, subjects, line.norm)}{_left_out(table, line)}{_budgets(table, line)}."
        )
    parts = [
        f"{_left(lines, subjects, norm)} in {norm} "
        f"({counted(len(set(lines[first, norm].attacks)), 'attack')}{_left_out(table, lines[first, norm])}"
        f"{_budgets(table, lines[first, norm])})"
        for norm in norms
    ]
    words = f"All attacks of a norm together, image by image, leave {listed(parts)}"
    if (first, "any") in lines:
        words += f"; {_left(lines, subjects, 'any')} stand against all attacks of all norms"
    return words + "."


def _left(lines: dict[tuple[str, str], WorstCase], subjects: Sequence[tuple[str, str]], norm: str) -> str:
    """Say what is left of each system in a norm."""
    return listed(
        [
            f"{percent(lines[name, norm].accuracy)}{f' {words}' if words else ''}"
            for name, words in subjects
            if (name, norm) in lines
        ]
    )


def _kinds(table: RobustnessTable, line: WorstCase) -> tuple[str, ...]:
    """Return the threat models of the rows that a worst case takes together."""
    models = in_order(
        row.threat_model
        for row in table.rows
        if row.system == line.system and row.norm == line.norm and not row.is_error
    )
    return tuple(threat_of(model).short for model in models)


def _budgets(table: RobustnessTable, line: WorstCase) -> str:
    """Warn where attacks of different budgets are taken together."""
    found = {row.epsilon for row in table.rows if row.system == line.system and row.norm == line.norm}
    return f"; budgets {budgets_in_words(found)}" if len(found) > 1 else ""


def _left_out(table: RobustnessTable, line: WorstCase) -> str:
    """Name attacks that failed and are not in a worst case."""
    names = [
        f"{row.attack} ({threat_of(row.threat_model).short})"
        for row in table.rows
        if row.is_error and (row.system, row.norm) == (line.system, line.norm)
    ]
    return f"; without {listed(names)}, which failed" if names else ""


def _share(row: RobustnessRow | None) -> str:
    if row is None:
        return "unknown"
    if row.is_error:
        return "unknown (the attack failed)"
    doubt = "" if row.status == "ok" else f" ({row.status})"
    return f"{percent(row.accuracy)}{doubt}"
