"""What comes out of a recipe."""

from dataclasses import dataclass
from pathlib import Path

from sleepdefense.papers.side_by_side import SideBySide


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Tables, figures, and what they say.

    Attributes:
        tables: Printed beside measured.
        figures: PNG files in the folder of the job.
        findings: Sentences that were computed from the numbers, the most important one first.
    """

    tables: tuple[SideBySide, ...] = ()
    figures: tuple[Path, ...] = ()
    findings: tuple[str, ...] = ()
