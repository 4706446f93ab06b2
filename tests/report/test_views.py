"""A table as a reader looks at it."""

from report_samples import paper_table

from sleepdefense.report.threats import OBLIVIOUS, WHITE_BOX
from sleepdefense.report.views import attack_views, headline_attack


def test_both_threat_models_are_one_without_a_defence() -> None:
    view = headline_attack(attack_views(paper_table()))
    assert view is not None
    assert view.title == "FGSM 0.3, Linf"
    assert view.row("no defence", OBLIVIOUS) is view.row("no defence", WHITE_BOX)
    assert view.row("defence before sleep", OBLIVIOUS) is not view.row("defence before sleep", WHITE_BOX)
    assert view.row("nobody", WHITE_BOX) is None


def test_clean_images_count_for_both_threat_models() -> None:
    clean = attack_views(paper_table())[0]
    assert not clean.is_attack
    assert clean.models() == ()
    assert clean.row("no defence", OBLIVIOUS) is clean.row("no defence", WHITE_BOX)
