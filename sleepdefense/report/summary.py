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


def summary_sentences(table: RobustnessTable) -> list[str]:
    """Say what the table says.

    Args:
        table: The results.

    Returns:
        Sentences for a paragraph: the systems without an attack, under one attack in both threat models, and
        what sleep changed.
    """
    views, roles = attack_views(table), find_roles(table)
    clean, attacked = views[0] if views and views[0].key == CLEAN else None, headline_attack(views)
    images = f"{len(table.labels)} images of '{table.provenance.get('data', 'unknown data')}'"
    sentences = []
    first = roles.undefended or roles.before
    if clean is not None and first is not None:
        row = clean.row(first, WHITE_BOX)
        bare = "the undefended network" if roles.undefended else "the network before sleep"
        sentences.append(f"On {images}, {bare} is right on {_share(row)} without an attack.")
    if attacked is not None and first is not None:
        sentences.append(_under_attack(attacked, roles))
    sentences += _what_sleep_changed(table, views, roles, attacked)
    return sentences


def _under_attack(view: AttackView, roles: Roles) -> str:
    parts = []
    if roles.undefended is not None:
        parts.append(f"without a defence {_share(view.row(roles.undefended, WHITE_BOX))}")
    if roles.before is not None and roles.undefended is not None:
        oblivious, white = view.row(roles.before, OBLIVIOUS), view.row(roles.before, WHITE_BOX)
        parts.append(f"behind the defence, if the attacker ignores it, {_share(oblivious)}")
        parts.append(f"and if the attack goes through the defence, {_share(white)}")
    elif roles.before is not None:
        parts.append(f"before sleep {_share(view.row(roles.before, WHITE_BOX))}")
        if roles.after is not None:
            parts.append(f"after sleep {_share(view.row(roles.after, WHITE_BOX))}")
    return f"Under {view.title} this much is left: " + ", ".join(parts) + "."


def _what_sleep_changed(
    table: RobustnessTable, views: tuple[AttackView, ...], roles: Roles, attacked: AttackView | None
) -> list[str]:
    if roles.before is None or roles.after is None:
        return ["There is no network after sleep to compare with."]
    models = (OBLIVIOUS, WHITE_BOX) if roles.undefended is not None else (WHITE_BOX,)
    asked = [(view, WHITE_BOX, "clean accuracy") for view in views[:1] if view.key == CLEAN]
    if attacked is not None:
        asked += [(attacked, model, f"accuracy under {attacked.title} ({model})") for model in models]
    words = []
    for view, model, what in asked:
        change = change_between(table, view, roles.before, roles.after, model)
        if change is not None:
            words.append(f"{what} by {change_in_words(change)}")
    if not words:
        return ["What sleep changed is not known: a network has no result."]
    sentences = ["Sleep changed " + "; ".join(words) + "."]
    if not roles.controls:
        sentences.append(
            "No control slept along with it, so nothing here says that sleep, and not any change of the "
            "weights of this size, made the difference."
        )
    return sentences


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
