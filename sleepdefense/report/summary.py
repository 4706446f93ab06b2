"""What a run found, in words: every sentence is made from the numbers of its table."""

from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.report.changes import Change, change_between
from sleepdefense.report.findings import checks_in_words
from sleepdefense.report.roles import Roles, find_roles
from sleepdefense.report.summary_level import level_in_words
from sleepdefense.report.threats import ADAPTIVE, OBLIVIOUS, WHITE_BOX
from sleepdefense.report.views import AttackView, attack_views, headline_attack
from sleepdefense.report.words import points


def summary_paragraphs(table: RobustnessTable) -> list[str]:
    """Say what the table says.

    Args:
        table: The results.

    Returns:
        Which checks failed, if any did; what the networks get right without an attack, under one attack in
        each threat model, and under all together; what sleep changed; and what its controls changed.
    """
    views, roles = attack_views(table), find_roles(table)
    clean = next((view for view in views if view.key == CLEAN), None)
    attacked = headline_attack(views)
    paragraphs = [checks_in_words(table), level_in_words(table, views, roles)]
    if roles.before is not None and roles.after is not None:
        asked = _asked(clean, attacked, roles.before)
        paragraphs.append(_what_sleep_changed(table, asked, roles.before, roles.after))
        paragraphs.append(_what_controls_changed(table, asked, roles))
    elif roles.undefended is not None and not roles.controls:
        paragraphs.append("There is no network after sleep to compare with.")
    return [words for words in paragraphs if words]


Asked = list[tuple[AttackView, str, str]]
"""Attack, threat model, and what its accuracy is called."""


def _asked(clean: AttackView | None, attacked: AttackView | None, before: str) -> Asked:
    asked = [] if clean is None else [(clean, WHITE_BOX, "clean accuracy")]
    if attacked is not None:
        models = [
            model for model in (OBLIVIOUS, WHITE_BOX, ADAPTIVE) if model in attacked.cells.get(before, {})
        ]
        for model in models or [WHITE_BOX]:
            kind = f"{model} " if len(models) > 1 or model != WHITE_BOX else ""
            asked.append((attacked, model, f"{kind}accuracy under {attacked.label}"))
    return asked


def _what_sleep_changed(table: RobustnessTable, asked: Asked, before: str, after: str) -> str:
    words = [
        f"{what} by {change_in_words(change)}"
        for view, model, what in asked
        if (change := change_between(table, view, before, after, model)) is not None
    ]
    if not words:
        return "What sleep changed is not known: a network has no result."
    return "Sleep changed " + "; ".join(words) + "."


def _what_controls_changed(table: RobustnessTable, asked: Asked, roles: Roles) -> str:
    """Compare sleep with changes of the weights of the same size that are no sleep."""
    if not roles.controls or roles.after is None:
        return (
            "No control was run along with it, so nothing here says that sleep, and not any change of the "
            "weights of this size, made the difference."
        )
    words = []
    for name in roles.controls:
        parts = []
        for view, model, what in asked:
            change = change_between(table, view, name, roles.after, model)
            if change is not None:
                chance = " (within chance)" if change.is_within_chance else ""
                parts.append(f"{what} {points(change.difference)}{chance}")
        if parts:
            words.append(f"Sleep against '{name}': {', '.join(parts)}.")
    return " ".join(words)


def change_in_words(change: Change) -> str:
    """Return a change with its interval and what it is worth.

    >>> change_in_words(Change(3, 13, -0.01, -0.0174, -0.0026))
    '-1.0 points (-1.7 to -0.3; 3 images won, 13 lost)'
    """
    low, high = 100 * change.lower, 100 * change.upper
    chance = ", within chance" if change.is_within_chance else ""
    return (
        f"{points(change.difference)} ({low:+.1f} to {high:+.1f}{chance}; {change.gained} images won, "
        f"{change.lost} lost)"
    )
