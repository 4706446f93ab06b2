"""The page as a whole: valid, self-contained, escaped, complete, and always the same."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_samples import small_record

from sleepdefense.errors import CheckpointError
from sleepdefense.report import RunRecord, render_page, write_page
from sleepdefense.report.page import SECTIONS

VOID = {"br", "img", "meta", "wbr"}


class Checker(HTMLParser):
    """Collects what is wrong with a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.loads += [given[name] or "" for name in ("src", "srcset", "poster", "data") if name in given]
        if "href" in given:
            (self.links if tag == "a" else self.loads).append(given["href"] or "")
        if tag == "img" and not given.get("alt"):
            self.wrong.append("an image without words")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert not checker.wrong
    assert not checker.open
    assert len(checker.ids) == len(set(checker.ids))
    return checker


@pytest.mark.slow
def test_page_is_balanced_and_loads_nothing(page: str) -> None:
    checker = checked(page)
    assert checker.loads
    assert all(source.startswith("data:image/png;base64,") for source in checker.loads)
    assert all(link.startswith("#") for link in checker.links)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert "://" not in page


def test_contents_lead_to_every_section(page: str) -> None:
    checker = checked(page)
    assert checker.ids == [anchor for anchor, _, _ in SECTIONS]
    assert checker.links == [f"#{anchor}" for anchor, _, _ in SECTIONS]


def test_finished_run_misses_nothing(page: str) -> None:
    assert 'class="missing"' not in page


def test_empty_run_says_what_is_missing() -> None:
    page = render_page(RunRecord(absent={"results.h5": "not there yet", "slept.h5": "is damaged"}))
    checker = checked(page)
    words = "".join(checker.words)
    for section in re.findall(r"<section.*?</section>", page, re.DOTALL):
        assert 'class="missing"' in section or section.count('class="todo"') == 5
    assert "No evaluation yet: results.h5: not there yet" in words
    assert "No weights after sleep: slept.h5: is damaged" in words
    assert checker.ids == [anchor for anchor, _, _ in SECTIONS]


@pytest.mark.parametrize("part", ["table", "conversion", "config"])
def test_any_part_may_be_missing(part: str) -> None:
    empty = RunRecord(**{part: getattr(small_record(), part)})
    page = render_page(empty)
    checked(page)


@pytest.mark.slow
def test_same_record_gives_the_same_page() -> None:
    pages = [render_page(small_record(naps=(), weights=(), rasters={})) for _ in range(2)]
    assert pages[0] == pages[1]


def test_foreign_text_is_escaped(tmp_path: Path) -> None:
    nasty = "<script>alert('&')</script>"
    record = RunRecord(
        name=nasty,
        config={nasty: nasty},
        absent={nasty: nasty},
        files=(),
        timings={nasty: 1.0},
    )
    page = render_page(record)
    checked(page)
    assert nasty not in page
    assert page.count("&lt;script&gt;") >= 5
    assert page.count("<script>") == 1


def test_status_of_a_failed_row_is_shown(page: str) -> None:
    assert "error: out of &lt;memory&gt;" in page
    assert "no gradient: 4 of 40 images" in page


def test_page_is_written_whole(tmp_path: Path) -> None:
    write_page(RunRecord(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent/report\.html"):
        write_page(RunRecord(), tmp_path / "absent" / "report.html")


def test_sleep_of_dose_zero_is_told_from_one_that_is_missing() -> None:
    config = {"sleep": {"settings": {"rho": 0}}}
    assert "No sleep: </strong>the settings ask for a dose of 0" in render_page(RunRecord(config=config))
    assert "No sleep: </strong>this run has no such part" in render_page(RunRecord())
