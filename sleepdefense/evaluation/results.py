"""The outcome of an evaluation: every prediction and distance, with tables as views of them."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32
from numpy import ndarray
from numpy.typing import NDArray

from sleepdefense.errors import EvaluationError
from sleepdefense.evaluation.checks.finding import Finding
from sleepdefense.evaluation.checks.render import findings_markdown, findings_text
from sleepdefense.evaluation.metrics import robust_distance, within
from sleepdefense.evaluation.render import (
    WINNER_HEADINGS,
    markdown_table,
    text_table,
    to_csv,
    to_latex,
    to_markdown,
    to_text,
    winner_cells,
)
from sleepdefense.evaluation.rows import RobustnessRow, WorstCase, count_standing
from sleepdefense.evaluation.views import HEADINGS, norm_summary, summary_cells
from sleepdefense.evaluation.worst import worst_cases

CLEAN = "clean"
WINNERS = "Which of several stand-ins brought images down; where several did, the nearest counts"
WORST = "All attacks of a norm together, image by image"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RobustnessTable:
    """What an evaluation found.

    Attributes:
        rows: One for each system, attack and threat model; the clean images of a system come first.
        labels: True class of each image, (image,).
        predicted: Predicted class, (row, image); -1 where a row failed, -2 where an image was not attacked,
            because it was wrong anyway or, in a cascade, down already.
        distance: How far each image had to be moved to be misclassified, (row, image): 0 if it is wrong
            anyway, infinity if the attack failed, NaN where a row failed. In a cascade the least of the row
            and of those above it that have the same system, threat model and norm.
        sample_images: The first few attacked images of each row, (row, sample, channel, height, width), in
            [0, 1]; zeros where a row failed.
        provenance: Seed, versions, digests of data and systems, batch size; JSON values.
        note: What a reader must know of the scale, such as "1000 of 10000 test images".
        findings: What the checks of the evaluation found.
    """

    rows: tuple[RobustnessRow, ...]
    labels: Int32[ndarray, " image"]
    predicted: Int32[ndarray, "row image"]
    distance: Float64[ndarray, "row image"]
    sample_images: Float32[ndarray, "row sample channel height width"]
    provenance: dict[str, Any]
    note: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def title(self) -> str:
        """One line above the table: the data, how many images, the seed, the note."""
        data = self.provenance.get("data", "images")
        words = [f"Robustness on {len(self.labels)} images of '{data}', seed {self.provenance.get('seed')}"]
        if self.provenance.get("cascade"):
            words.append("each row counts the attacks of its norm above it too")
        return "; ".join(words + ([self.note] if self.note else []))

    def number(self, system: str, attack: str, threat_model: str | None = None) -> int:
        """Find a row.

        Args:
            system: Name of the system.
            attack: Label or key of the attack, or "clean".
            threat_model: May be left out if it is clear from the rest.

        Returns:
            Index of the row, for `rows`, `predicted`, `distance` and `sample_images`.

        Raises:
            EvaluationError: No row fits, or more than one.
        """
        fits = [
            number
            for number, row in enumerate(self.rows)
            if row.system == system
            and attack in (row.attack, row.key)
            and threat_model in (None, row.threat_model)
        ]
        if len(fits) != 1:
            known = ", ".join(f"'{row.system}' / '{row.attack}' / '{row.threat_model}'" for row in self.rows)
            count = "no row fits" if not fits else f"{len(fits)} rows fit"
            asked = " / ".join(f"'{part}'" for part in (system, attack, threat_model) if part is not None)
            raise EvaluationError(f"{count} {asked}; there are {known}")
        return fits[0]

    def row(self, system: str, attack: str, threat_model: str | None = None) -> RobustnessRow:
        """Return the one row that fits, as `number` finds it."""
        return self.rows[self.number(system, attack, threat_model)]

    def standing(self, number: int) -> Bool[ndarray, " image"]:
        """Tell which images a row counts as correct, (image,); none where it failed."""
        return _standing(
            asdict(self.rows[number]), self.predicted[number], self.labels, self.distance[number]
        )

    def worst_case(self, threat_model: str, *, epsilon: float | None = None) -> tuple[WorstCase, ...]:
        """Take all attacks of a threat model together, image by image: it stands if it stands against each.

        A mean of minima, not a minimum of means: no attack of the set can do more to an image. Attacks of
        different norms are kept apart, and an image that is wrong without an attack is wrong here too.

        Args:
            threat_model: Such as "white-box"; "all" takes everything together that has a norm.
            epsilon: A budget to count at; None counts each attack at its own.

        Returns:
            One line for each system and norm, in the order of the rows; empty if no row is of that threat
            model.
        """
        return worst_cases(self, threat_model, epsilon=epsilon)

    def __str__(self) -> str:
        """The table, what stands in the worst case and what the checks found, for a terminal."""
        parts = [to_text(self.rows, title=self.title)]
        if lines := [summary_cells(line) for line in norm_summary(self)]:
            parts.append(text_table(HEADINGS, lines, title=WORST))
        if lines := [winner_cells(row) for row in self.rows if row.winners]:
            parts.append(text_table(WINNER_HEADINGS, lines, title=WINNERS))
        if self.findings:
            parts.append(findings_text(self.findings))
        return "\n\n".join(parts)

    def markdown(self) -> str:
        """Return the table, what stands in the worst case and what the checks found, in Markdown."""
        parts = [to_markdown(self.rows, title=self.title)]
        if lines := [summary_cells(line) for line in norm_summary(self)]:
            parts.append(markdown_table(HEADINGS, "llrrrlrl", lines, title=WORST))
        if lines := [winner_cells(row) for row in self.rows if row.winners]:
            parts.append(markdown_table(WINNER_HEADINGS, "lllrl", lines, title=WINNERS))
        if self.findings:
            parts.append(findings_markdown(self.findings))
        return "\n".join(parts)

    def csv(self) -> str:
        """Return all fields of all rows as CSV."""
        return to_csv(self.rows)

    def latex(self) -> str:
        """Return the table in LaTeX."""
        return to_latex(self.rows, title=self.title)

    def summary(self) -> dict[str, Any]:
        """Return rows, worst cases, findings and provenance as JSON values.

        Numbers stay numbers. What is unknown is null, and so is an infinite median distance: the attack
        failed on more than half of the images.
        """
        models = dict.fromkeys(row.threat_model for row in self.rows if row.attack != CLEAN)
        worst = [asdict(line) for model in models for line in self.worst_case(model)]
        return {
            "title": self.title,
            "note": self.note,
            "rows": [_json(asdict(row)) for row in self.rows],
            "worst_case": [_json(line) for line in worst],
            "findings": [finding.to_json() for finding in self.findings],
            "provenance": self.provenance,
        }

    def with_findings(self, findings: Sequence[Finding]) -> "RobustnessTable":
        """Return the table with what checks found."""
        return replace(self, findings=tuple(findings))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What was recorded of one row: its description, and what the system said to each image.

    Attributes:
        description: The fields of `RobustnessRow` that are not counted.
        predicted: (image,); -1 where the row failed, -2 where an image was not attacked.
        moved: How far the attack moved each image, (image,).
        sample_images: (sample, channel, height, width).
        winner: Number of the member of the surface that brought an image down, (image,); -1 where none did.
        members: Names of the members.
        done: Which images are finished, (image,); None: all.
    """

    description: dict[str, Any]
    predicted: Int32[ndarray, " image"]
    moved: Float64[ndarray, " image"]
    sample_images: Float32[ndarray, "sample channel height width"]
    winner: Int32[ndarray, " image"] | None = None
    members: tuple[str, ...] = ()
    done: Bool[ndarray, " image"] | None = None


def make_table(
    judged: Sequence[Judged], labels: Int32[ndarray, " image"], *, provenance: dict[str, Any], note: str
) -> RobustnessTable:
    """Count what was recorded.

    Args:
        judged: All rows, each system's clean one included.
        labels: True class of each image, (image,).
        provenance: Where the results come from; JSON values. If "cascade" is true there, a row counts what
            the rows of its norm above it found too.
        note: What a reader must know of the scale.

    Returns:
        The table.
    """
    clean = {row.description["system"]: row for row in judged if row.description["attack"] == CLEAN}
    nearest: dict[tuple[str, str, str], NDArray[np.float64]] = {}
    rows, distance = [], []
    for row in judged:
        failed = _failed(row.description)
        before = clean[row.description["system"]]
        far = np.full(len(labels), math.nan)
        if not failed and not _failed(before.description):
            is_right = (row.predicted == labels) | (row.predicted < 0)
            far = robust_distance(before.predicted == labels, is_right, row.moved)
            if row.done is not None:
                far[~row.done] = math.nan
            if provenance.get("cascade") and row.description["norm"] != "none":
                chain = tuple(row.description[name] for name in ("system", "threat_model", "norm"))
                far = nearest[chain] = np.minimum(far, nearest.get(chain, far))
        distance.append(far)
        standing = _standing(row.description, row.predicted, labels, far)
        done = np.full(len(labels), not failed) if row.done is None else row.done & (not failed)
        count = count_standing(standing[done], far if done.all() or failed else far[done])
        winners = _winners(row, ~standing & done)
        rows.append(RobustnessRow(**row.description, **asdict(count), winners=winners))
    return RobustnessTable(
        rows=tuple(rows),
        labels=labels,
        predicted=np.stack([row.predicted for row in judged]),
        distance=np.stack(distance),
        sample_images=np.stack([row.sample_images for row in judged]),
        provenance=provenance,
        note=note,
    )


def _winners(row: Judged, has_fallen: NDArray[np.bool_]) -> dict[str, int]:
    """Count for each member of a surface the images that it brought down."""
    if row.winner is None:
        return {}
    won = row.winner[has_fallen]
    return {name: int((won == number).sum()) for number, name in enumerate(row.members)}


def _failed(description: dict[str, Any]) -> bool:
    return str(description["status"]).startswith("error")


def _standing(
    description: dict[str, Any],
    predicted: NDArray[np.int32],
    labels: NDArray[np.int32],
    distance: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Tell which images count as correct; where a system's clean row failed, the predictions decide."""
    if description["norm"] == "none" or bool(np.isnan(distance).all()):
        return np.equal(predicted, labels)
    return ~within(distance, description["epsilon"])


def _json(fields: dict[str, Any]) -> dict[str, Any]:
    """Replace what JSON cannot say by null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in fields.items()
    }
