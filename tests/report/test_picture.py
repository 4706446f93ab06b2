"""The picture for a README."""

from pathlib import Path

import pytest
from report_samples import small_record

from sleepdefense.errors import CheckpointError
from sleepdefense.report import RunRecord, write_picture


@pytest.mark.slow
def test_svg_needs_nothing_else_and_is_always_the_same(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        write_picture(small_record(), tmp_path / name)
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "two.svg").read_text(encoding="utf-8")
    assert "<dc:date>" not in text
    assert 'href="http' not in text


def test_picture_of_nothing(tmp_path: Path) -> None:
    write_picture(RunRecord(), tmp_path / "empty.png")
    assert (tmp_path / "empty.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.png"]


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"must end in \.svg or \.png"):
        write_picture(RunRecord(), tmp_path / "picture.gif")


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot write"):
        write_picture(RunRecord(), tmp_path / "absent" / "picture.png")
