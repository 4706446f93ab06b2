"""What a run found, in words: every sentence is made from the numbers of its table."""

import math

from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow
from sleepdefense.report.views import (
    OBLIVIOUS,
    WHITE_BOX,
    AttackView,
    Change,
    Roles,
    attack_views,
    change_between,
    find_roles,
    headline_attack,
)


def percent(share: float) -> str:
    """Return a share in [0, 1] as text.

    >>> percent(0.1234), percent(float("nan"))
    ('12.3 %', 'no result')
    """
    return f"{100 * share:.1f} %" if math.isfinite(share) else "no result"


def points(difference: float) -> str:
    """Return a difference of shares as text, in percentage points, with its sign.

    >>> points(-0.0042), points(0.0)
    ('-0.4 points', '0.0 points')
    """
    value = round(100 * difference, 1)
    return f"{value:+.1f} points" if value else "0.0 points"


def summary_paragraphs(table: RobustnessTable) -> list[str]:
    """Say what the table says.

    Args:
        table: The results.

    Returns:
        What the networks get right without an attack and under one attack, in both threat models; what sleep
        changed; and what its controls changed.
    """
    views, roles = attack_views(table), find_roles(table)
    clean = next((view for view in views if view.key == CLEAN), None)
    attacked = headline_attack(views)
    paragraphs = [_level(table, clean, attacked, roles)]
    if roles.before is None or roles.after is None:
        paragraphs.append("There is no network after sleep to compare with.")
    else:
        asked = _asked(clean, attacked, roles)
        paragraphs.append(_what_sleep_changed(table, asked, roles.before, roles.after))
        paragraphs.append(_what_controls_changed(table, asked, roles))
    return [words for words in paragraphs if words]


def _level(
    table: RobustnessTable, clean: AttackView | None, attacked: AttackView | None, roles: Roles
) -> str:
    """Say what the networks get right."""
    name = roles.undefended or roles.before
    who = "the undefended network" if roles.undefended else "the network before sleep"
    sentences = []
    if clean is not None:
        images = f"{len(table.labels)} images of '{table.provenance.get('data', 'unknown data')}'"
        words = f"On {images}, {who} is right on {_share(clean.row(name, WHITE_BOX))} without an attack"
        if roles.undefended is not None and roles.before is not None:
            words += f", and on {_share(clean.row(roles.before, WHITE_BOX))} behind the defence"
        sentences.append(words + ".")
    if attacked is not None:
        sentences.append(_under_attack(attacked, roles))
    return " ".join(sentences + _worst_case(table, roles))


def _worst_case(table: RobustnessTable, roles: Roles) -> list[str]:
    """Say what all white-box attacks of a norm leave together, where there are several."""
    words = []
    lines = {(line.system, line.norm): line for line in table.worst_case(WHITE_BOX)}
    for norm in dict.fromkeys(norm for _, norm in lines):
        before, after = lines.get((roles.before or "", norm)), lines.get((roles.after or "", norm))
        if before is None or len(before.attacks) < 2:
            continue
        slept = "" if after is None else f" before sleep and {percent(after.accuracy)} after it"
        words.append(
            f"All {len(before.attacks)} white-box attacks in {norm} together, image by image, leave "
            f"{percent(before.accuracy)}{slept}."
        )
    return words


def _under_attack(view: AttackView, roles: Roles) -> str:
    if roles.undefended is None or roles.before is None:
        parts = [f"{_share(view.row(roles.undefended or roles.before, WHITE_BOX))} are right"]
        if roles.undefended is None and roles.after is not None:
            parts = [f"{parts[0]} before sleep and {_share(view.row(roles.after, WHITE_BOX))} after it"]
    else:
        parts = [
            f"the undefended network keeps {_share(view.row(roles.undefended, WHITE_BOX))}",
            f"behind the defence {_share(view.row(roles.before, OBLIVIOUS))} are right if the attacker "
            "ignores it",
            f"and {_share(view.row(roles.before, WHITE_BOX))} if the attack goes through it",
        ]
    return f"Under {_name(view)} " + ", ".join(parts) + "."


def _name(view: AttackView) -> str:
    return f"{view.label} ({view.norm})" if view.norm else view.label


Asked = list[tuple[AttackView, str, str]]
"""Attack, threat model, and what its accuracy is called."""


def _asked(clean: AttackView | None, attacked: AttackView | None, roles: Roles) -> Asked:
    asked = [] if clean is None else [(clean, WHITE_BOX, "clean accuracy")]
    if attacked is not None:
        models = (OBLIVIOUS, WHITE_BOX) if OBLIVIOUS in attacked.cells.get(roles.before or "", {}) else ("",)
        for model in models:
            kind = f"{model} " if model else ""
            asked.append((attacked, model or WHITE_BOX, f"{kind}accuracy under {attacked.label}"))
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


def _share(row: RobustnessRow | None) -> str:
    if row is None:
        return "unknown"
    if row.is_error:
        return "unknown (the attack failed)"
    doubt = "" if row.status == "ok" else f" ({row.status})"
    return f"{percent(row.accuracy)}{doubt}"
