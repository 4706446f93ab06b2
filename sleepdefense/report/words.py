"""Numbers and lists as words."""

import math
from collections.abc import Iterable, Sequence


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


def interval(lower: float, upper: float) -> str:
    """Return two shares in [0, 1] as the ends of an interval, in percent.

    >>> interval(0.0123, 0.5)
    '1.2 to 50.0'
    """
    return f"{100 * lower:.1f} to {100 * upper:.1f}"


def listed(parts: Sequence[str], *, last: str = "and") -> str:
    """Return a list as a sentence says it.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number of things.

    >>> counted(1, "check"), counted(2, "check"), counted(2, "query", "queries")
    ('1 check', '2 checks', '2 queries')
    """
    return f"{number} {one if number == 1 else several or one + 's'}"


def budgets_in_words(epsilons: Iterable[float | None]) -> str:
    """Return the budgets of several attacks.

    >>> budgets_in_words([0.3, 0.3]), budgets_in_words([0.1, None, 0.3]), budgets_in_words([None])
    ('0.3', '0.1, 0.3 or none', 'none')
    """
    found = set(epsilons)
    known = [f"{epsilon:g}" for epsilon in sorted(epsilon for epsilon in found if epsilon is not None)]
    return listed(known + (["none"] if None in found else []), last="or")
