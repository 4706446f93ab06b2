"""Which system is which."""

import pytest
from report_samples import attacked, clean, judged, paper_table, table_of

from sleepdefense.report.roles import find_roles


def test_lines_of_the_paper_are_found() -> None:
    roles = find_roles(paper_table())
    assert roles.undefended == "no defence"
    assert roles.before == "defence before sleep"
    assert roles.after == "defence after sleep"
    assert roles.controls == ("control: anti",)
    assert roles.order[:3] == ("no defence", "defence before sleep", "defence after sleep")


@pytest.mark.parametrize("names", [("before sleep", "after sleep"), ("awake", "woken")])
def test_network_without_purifier_has_no_undefended_line(names: tuple[str, str]) -> None:
    roles = find_roles(table_of(*(judged(name, "clean", "none", 9) for name in (*names, "control: x"))))
    assert (roles.undefended, roles.before, roles.after) == (None, *names)
    assert roles.controls == ("control: x",)


def test_names_count_more_than_the_order() -> None:
    rows = [judged(name, "clean", "none", 9) for name in ("x", "after sleep", "before sleep")]
    roles = find_roles(table_of(*rows))
    assert (roles.before, roles.after, roles.controls) == ("before sleep", "after sleep", ("x",))


def test_networks_that_are_merely_compared_have_not_slept() -> None:
    rows = [clean(name) for name in ("CNN", "DIM", "ABS")]
    roles = find_roles(table_of(*rows))
    assert (roles.undefended, roles.before, roles.after) == (None, "CNN", None)
    assert roles.controls == ("DIM", "ABS")


@pytest.mark.parametrize("name", ["woken", "vae before sleep", "x"])
def test_one_network_alone_has_nothing_before_it(name: str) -> None:
    roles = find_roles(table_of(clean(name), *attacked(name, "FGSM", "oblivious")))
    assert (roles.undefended, roles.before, roles.after, roles.controls) == (None, name, None, ())


@pytest.mark.parametrize(
    ("others", "undefended"), [((), "DIM"), (("CNN",), None), (("no defence",), "no defence")]
)
def test_undefended_is_one_that_is_alone_or_says_so(others: tuple[str, ...], undefended: str | None) -> None:
    rows = [clean(name) for name in ("DIM", *others, "purifier")]
    roles = find_roles(table_of(*rows, *attacked("purifier", "FGSM", "oblivious")))
    assert (roles.undefended, roles.before) == (undefended, "purifier")
