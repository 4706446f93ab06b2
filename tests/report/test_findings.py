"""Flags come first, in plain words, with what to do."""

import re

from report_samples import evaluation_table, finding

from sleepdefense.report.checks_section import checks_section
from sleepdefense.report.findings import checks_in_words, sort_findings, where
from sleepdefense.report.page import render_page
from sleepdefense.report.record import RunRecord
from sleepdefense.report.summary import summary_paragraphs

MIXED = (
    finding("R1", "passed", sentence="All images are valid."),
    finding("S6", "warned", norm="L2"),
    finding("G4", "skipped", sentence="Nothing is drawn."),
    finding("S1", "failed"),
    finding("T3", "error", system="", threat_model="none", norm="none", value=None, limit=None, advice=""),
    finding("S1", "failed", threat_model="black-box-query", norm="none"),
)


def test_flags_are_sorted_by_weight() -> None:
    found = sort_findings(evaluation_table(*MIXED))
    assert [each.status for each in found.flags] == ["failed", "failed", "error", "warned"]
    assert [each.status for each in found.harmless] == ["passed", "skipped"]


def test_place_names_what_there_is() -> None:
    assert where(MIXED[3]) == "'cnn', white-box, Linf"
    assert where(MIXED[5]) == "'cnn', queries only"
    assert where(MIXED[4]) == ""


def test_failed_checks_are_the_first_thing_said() -> None:
    table = evaluation_table(*MIXED)
    assert (
        summary_paragraphs(table)[0]
        == checks_in_words(table)
        == (
            "2 checks failed: S1 'many steps beat one' (for 'cnn', white-box, Linf; 'cnn', queries only). "
            "What they find is told below; until it is cleared up, the accuracies under attack are not to be "
            "trusted: they may be far too high. 1 check could not be run: T3 'a planted weakness is found'. "
            "1 check warns: S6 'attack has converged' (for 'cnn', white-box, L2)."
        )
    )
    page = render_page(RunRecord(table=table, is_evaluation=True))
    assert re.search(r'<p class="summary alarm">2 checks failed: S1', page)


def test_passed_checks_need_no_words() -> None:
    table = evaluation_table(*MIXED[:1])
    assert checks_in_words(table) == ""
    assert summary_paragraphs(table)[0].startswith("On 40 images")


def test_section_shows_flags_with_advice_and_folds_the_rest() -> None:
    html = checks_section(evaluation_table(*MIXED))
    shown, folded = html.split("<details>")
    assert [name for name in re.findall(r"<strong[^>]*>(\w+),", shown)] == ["S1", "S1", "T3", "S6"]
    assert "Take more steps." in shown
    assert "measured 0.25, limit 0.1" in shown
    assert "<summary>1 check passed, 1 did not apply</summary>" in folded
    assert "All images are valid." in folded


def test_table_without_checks_says_so() -> None:
    assert "nothing was done to find out" in checks_section(evaluation_table())


def test_warnings_alone_do_not_alarm() -> None:
    page = render_page(RunRecord(table=evaluation_table(finding("S6", "warned")), is_evaluation=True))
    assert '<p class="summary">1 check warns: S6' in page
