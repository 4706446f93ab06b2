"""What happened during a sleep, batch by batch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.consolidation.guard import Verdict

FloatArray = NDArray[np.float64]


class BatchRow(NamedTuple):
    """One batch. Arrays hold one value for each stage that sleeps, first to last.

    Attributes:
        images: Images so far, this batch included.
        rate: Spikes of a neuron in a step, in [0, 1].
        winners: Neurons that learned, counted once for each time; 0 once the stage had its dose.
        ltp_share: Potentiations among all pairings, in [0, 1]; NaN without pairings.
        change: |W - W0| / |W0| after the batch.
        twin_change: The same of the mirror twin; NaN without twin.
        brake: The fraction of its strength that the stage used, because of `max_batch_change`.
        sign_flips: Weights that changed their sign since the beginning, as a fraction.
        std: Standard deviation of the weights.
        kurtosis: Excess kurtosis of the weights, 0 for a Gaussian.
    """

    images: int
    rate: FloatArray
    winners: NDArray[np.int64]
    ltp_share: FloatArray
    change: FloatArray
    twin_change: FloatArray
    brake: FloatArray
    sign_flips: FloatArray
    std: FloatArray
    kurtosis: FloatArray


class Measurement(NamedTuple):
    """Values of the measures after so many images, in the order of their names."""

    images: int
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SleepDiary:
    """The whole sleep.

    Attributes:
        stages: Names of the stages that slept, first to last.
        twins: Stage -> mirror twin that learned with it.
        notes: What is worth knowing: the engine, stages without twin, layers that cannot sleep and why.
        strengths: Stage -> factor on the rule.
        thresholds: Firing node -> threshold, where it was not that of the conversion.
        rows: Batch after batch.
        events: Stage -> how often each feature learned, (feature,).
        measures: Names of the measures.
        measured: Their values along the sleep, the first before it.
        doses: Layer -> |W - W0| / |W0| at the end, before any guard.
        reached: Stages that were given their whole dose.
        verdict: What the guard found, if there was one.
    """

    stages: tuple[str, ...]
    twins: Mapping[str, str]
    notes: tuple[str, ...]
    strengths: Mapping[str, float]
    thresholds: Mapping[str, float]
    rows: tuple[BatchRow, ...]
    events: Mapping[str, NDArray[np.int64]]
    measures: tuple[str, ...]
    measured: tuple[Measurement, ...]
    doses: Mapping[str, float]
    reached: tuple[str, ...]
    verdict: Verdict | None

    @classmethod
    def of_no_sleep(cls, note: str) -> "SleepDiary":
        """Return the diary of a sleep that did not take place."""
        return cls(
            stages=(),
            twins={},
            notes=(note,),
            strengths={},
            thresholds={},
            rows=(),
            events={},
            measures=(),
            measured=(),
            doses={},
            reached=(),
            verdict=None,
        )

    @property
    def num_images(self) -> int:
        """Images presented; one that came twice counts twice."""
        return self.rows[-1].images if self.rows else 0

    def column(self, name: str) -> NDArray[Any]:
        """Return a field of `BatchRow` over all batches, (batch,) or (batch, stage)."""
        return rows_to_arrays(self.rows, len(self.stages))[name]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything that is an array, by name."""
        arrays = rows_to_arrays(self.rows, len(self.stages))
        arrays |= measured_to_arrays(self.measured, len(self.measures))
        return arrays | {f"events/{i}": self.events[stage] for i, stage in enumerate(self.stages)}

    def facts(self) -> dict[str, Any]:
        """Return everything else, fit for JSON."""
        return {
            "stages": list(self.stages),
            "twins": dict(self.twins),
            "notes": list(self.notes),
            "strengths": dict(self.strengths),
            "thresholds": dict(self.thresholds),
            "measures": list(self.measures),
            "doses": dict(self.doses),
            "reached": list(self.reached),
            "verdict": None if self.verdict is None else asdict(self.verdict),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> "SleepDiary":
        """Return the diary that `arrays` and `facts` took apart, as they come back from a checkpoint."""
        found = facts["verdict"]
        verdict = None
        if found is not None:
            verdict = Verdict(
                factor=found["factor"],
                before=found["before"],
                factors=tuple(found["factors"]),
                scores=tuple(found["scores"]),
            )
        return cls(
            stages=tuple(facts["stages"]),
            twins=facts["twins"],
            notes=tuple(facts["notes"]),
            strengths=facts["strengths"],
            thresholds=facts["thresholds"],
            rows=rows_from_arrays(arrays),
            events={stage: arrays[f"events/{i}"] for i, stage in enumerate(facts["stages"])},
            measures=tuple(facts["measures"]),
            measured=measured_from_arrays(arrays),
            doses=facts["doses"],
            reached=tuple(facts["reached"]),
            verdict=verdict,
        )


def rows_to_arrays(rows: Sequence[BatchRow], num_stages: int) -> dict[str, NDArray[Any]]:
    """Return one array for each field, (batch,) or (batch, stage)."""
    arrays: dict[str, NDArray[Any]] = {}
    for name in BatchRow._fields:
        counts = name in ("images", "winners")
        values = np.array([getattr(row, name) for row in rows], dtype=np.int64 if counts else np.float64)
        arrays[name] = values if name == "images" else values.reshape(len(rows), num_stages)
    return arrays


def rows_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> tuple[BatchRow, ...]:
    """Return the rows that `rows_to_arrays` stacked."""
    names = BatchRow._fields[1:]
    return tuple(
        BatchRow(int(images), *(arrays[name][batch] for name in names))
        for batch, images in enumerate(arrays["images"])
    )


def measured_to_arrays(measured: Sequence[Measurement], num_measures: int) -> dict[str, NDArray[Any]]:
    """Return "measured_at", (measurement,), and "measured", (measurement, measure)."""
    values = np.array([each.values for each in measured], dtype=np.float64)
    return {
        "measured_at": np.array([each.images for each in measured], dtype=np.int64),
        "measured": values.reshape(len(measured), num_measures),
    }


def measured_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> tuple[Measurement, ...]:
    """Return what `measured_to_arrays` stacked."""
    return tuple(
        Measurement(int(images), tuple(float(value) for value in values))
        for images, values in zip(arrays["measured_at"], arrays["measured"], strict=True)
    )


def weight_facts(counter: FloatArray, num_weights: int) -> tuple[float, float, float]:
    """Return the fraction of signs that flipped, standard deviation and excess kurtosis of a layer's weights.

    With the means m of (w - c), and of its powers, about any c near the weights:

        variance = m2 - m1^2,    kurtosis = (m4 - 4 m1 m3 + 6 m1^2 m2 - 3 m1^4) / variance^2 - 3

    Args:
        counter: (feature, 6), from `kernels.measure_features_`.
        num_weights: In the layer.
    """
    _, flips, *means = (float(value) / num_weights for value in np.sum(counter, axis=0))
    first, second, third, fourth = means
    variance = second - first**2
    if variance <= 0.0:
        return flips, 0.0, 0.0
    central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    return flips, variance**0.5, central / variance**2 - 3.0
