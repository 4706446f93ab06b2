"""Which system is which."""

import pytest
from report_samples import judged, paper_table, table_of

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
