"""Parts of a run, made up of small numbers, for the tests of the report."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sleepdefense.attacks.parse import parse_attacks
from sleepdefense.consolidation.diary import BatchRow, Measurement, SleepDiary
from sleepdefense.consolidation.guard import Verdict
from sleepdefense.conversion.report import ConversionReport, LayerReport
from sleepdefense.evaluation.checks.finding import Finding, Status
from sleepdefense.evaluation.results import Judged, RobustnessTable, make_table
from sleepdefense.report import RunRecord
from sleepdefense.report.record import ImageRow, RunFile, SampleStrip, Training, WeightChange

NUM_IMAGES = 40
LAYERS = ("encoder.1", "encoder.3")


def judged(
    system: str, attack: str, threat_model: str, right: int, *, status: str = "ok", spec: str = ""
) -> Judged:
    """One row of a table: the first `right` images are classified correctly."""
    labels = np.arange(NUM_IMAGES, dtype=np.int32) % 10
    predicted = np.where(np.arange(NUM_IMAGES) < right, labels, (labels + 1) % 10).astype(np.int32)
    needs_budget = threat_model != "none"
    return Judged(
        description={
            "system": system,
            "attack": attack,
            "key": attack.replace(" ", "_"),
            "spec": spec or ("" if attack == "clean" else attack.replace(" ", ":")),
            "norm": "Linf" if needs_budget else "none",
            "epsilon": 0.3 if needs_budget else None,
            "threat_model": threat_model,
            "status": status,
        },
        predicted=np.full(NUM_IMAGES, -1, np.int32) if status.startswith("error") else predicted,
        moved=np.full(NUM_IMAGES, 0.3),
        sample_images=np.linspace(0, 1, 2 * 64, dtype=np.float32).reshape(2, 1, 8, 8),
    )


def table_of(*rows: Judged) -> RobustnessTable:
    """A table of such rows."""
    labels = np.arange(NUM_IMAGES, dtype=np.int32) % 10
    return make_table(rows, labels, provenance={"data": "digits", "seed": 3}, note="40 of 360 images")


def paper_table() -> RobustnessTable:
    """The four lines of the paper and a control, with a failed row and a doubtful one."""
    rows = [judged("no defence", "clean", "none", 38), judged("no defence", "FGSM 0.3", "white-box", 2)]
    rows += [judged("no defence", "PGD 0.3", "white-box", 0)]
    for system, extra in (("defence before sleep", 0), ("defence after sleep", 1), ("control: anti", -2)):
        rows += [
            judged(system, "clean", "none", 36 + extra),
            judged(system, "FGSM 0.3", "oblivious", 30 + extra),
            judged(system, "FGSM 0.3", "white-box", 3),
            judged(system, "PGD 0.3", "oblivious", 28, status="no gradient: 4 of 40 images"),
            judged(system, "PGD 0.3", "white-box", 0, status="error: out of <memory>"),
        ]
    return table_of(*rows)


def small_report(*, error: float = 0.1) -> ConversionReport:
    """What became of a network with two firing layers."""
    steps = (4, 16)
    layers = tuple(
        LayerReport(
            name=name,
            fate="integrate-and-fire neurons" if fires else "synapses, 'norm' folded in",
            scale=2.5,
            clipped=0.001 if fires else None,
            rate=0.1 if fires else None,
            correlation={4: 0.9, 16: 0.99},
            error={each: error / each for each in steps},
        )
        for name, fires in (("encoder.0", False), (LAYERS[0], True), (LAYERS[1], True), ("mean", False))
    )
    return ConversionReport(layers=layers, removed=(("dropout", "no effect"),), num_steps=steps, num_images=8)


def small_diary(*, stages: tuple[str, ...] = LAYERS, num_batches: int = 3) -> SleepDiary:
    """A sleep of a few batches."""
    count = len(stages)
    rows = tuple(
        BatchRow(
            images=64 * (batch + 1),
            rate=np.full(count, 0.1),
            winners=np.full(count, 5 + batch, dtype=np.int64),
            ltp_share=np.full(count, np.nan if batch == 0 else 0.4),
            change=np.full(count, 0.04 * (batch + 1)),
            twin_change=np.full(count, np.nan),
            brake=np.ones(count),
            sign_flips=np.zeros(count),
            std=np.full(count, 0.2 + 0.01 * batch),
            kurtosis=np.full(count, 0.5),
        )
        for batch in range(num_batches)
    )
    return SleepDiary(
        stages=stages,
        twins={},
        notes=("engine: reference",),
        strengths=dict.fromkeys(stages, 4.0),
        thresholds={},
        rows=rows,
        events={stage: np.arange(4, dtype=np.int64) for stage in stages},
        measures=("ELBO",),
        measured=(Measurement(0, (-200.0,)), Measurement(192, (-190.0,))),
        doses=dict.fromkeys(stages, 0.1),
        reached=stages[:1],
        verdict=Verdict(factor=0.5, before=0.95, factors=(1.0, 0.5), scores=(0.9, 0.949)),
    )


def small_rasters() -> dict[str, dict[str, NDArray[np.uint8]]]:
    generator = np.random.default_rng(0)
    return {
        when: {layer: (generator.random((12, 9)) < 0.2).astype(np.uint8) for layer in LAYERS}
        for when in ("before", "after")
    }


def small_record(**changes: object) -> RunRecord:
    """A run with every part; `changes` replace some."""
    generator = np.random.default_rng(1)
    images = generator.random((3, 1, 8, 8)).astype(np.float32)
    labels, seen = np.array([1, 2, 3]), np.array([1, 2, 7])
    strip = SampleStrip(
        title="FGSM 0.3, aimed at the classifier alone",
        labels=labels,
        rows=tuple(
            ImageRow(title=name, images=images, predicted=seen) for name in ("clean", "attacked", "purified")
        ),
    )
    weight = generator.normal(size=(6, 5)).astype(np.float32)
    parts: dict[str, object] = {
        "name": "small",
        "config": {"seed": 3, "data": {"name": "digits", "limit": None}},
        "table": paper_table().with_findings([finding("S1", "passed")]),
        "strips": (strip,),
        "conversion": small_report(),
        "rasters": small_rasters(),
        "weights": (
            WeightChange(name=LAYERS[0], before=weight, after=weight * np.float32(1.1)),
            WeightChange(name=LAYERS[1], before=weight, after=weight),
        ),
        "naps": (small_diary(),),
        "dose": 0.1,
        "trainings": (Training(name="awake: fc-vae", losses=(3.0, 2.0, 1.5)),),
        "files": (
            RunFile(
                name="awake.h5",
                kind="awake",
                digest="ab" * 32,
                provenance={
                    "command": "sleepdefense run --out demo",
                    "seed": 3,
                    "versions": {"torch": "2.13.0"},
                    "digests": {"data": "cd" * 32},
                },
            ),
        ),
        "timings": {"sleep": 1.5},
    }
    return RunRecord(**{**parts, **changes})


def finding(check: str, status: Status, **changes: object) -> Finding:
    """What a check found."""
    fields: dict[str, object] = {
        "system": "cnn",
        "threat_model": "white-box",
        "norm": "Linf",
        "value": 0.25,
        "limit": 0.1,
        "sentence": "PGD leaves more right than FGSM.",
        "advice": "Take more steps.",
    }
    return Finding.from_json(
        {"check": check, "status": status, "forward": 0, "backward": 0, **fields, **changes}
    )


def attacked(
    system: str, attacks: str, threat_model: str, *, reach: float = 1.0, status: str = "ok"
) -> list[Judged]:
    """Rows of attacks of the catalogue: the n-th image needs n / 40 of twice the budget, times `reach`.

    Every tenth image is wrong without an attack, and not attacked. What minimises finds each image at its
    distance; what has a budget of its own finds those within it, at the budget.
    """
    labels = np.arange(NUM_IMAGES, dtype=np.int32) % 10
    rows = []
    for spec in parse_attacks(attacks):
        budget = 1.0 if spec.epsilon is None else spec.epsilon
        needed = 2 * reach * budget * (1 + np.arange(NUM_IMAGES)) / NUM_IMAGES
        found = np.ones(NUM_IMAGES, bool) if spec.minimises else needed <= budget
        predicted = np.where(found, (labels + 1) % 10, labels)
        predicted[labels == 9] = -2
        description = {
            "system": system,
            "attack": spec.label,
            "key": spec.key,
            "spec": str(spec),
            "norm": spec.norm,
            "epsilon": spec.epsilon,
            "threat_model": threat_model,
            "status": status,
            "num_attacked": 36,
        }
        moved = np.where(found, needed if spec.minimises else budget, 0.0)
        rows.append(
            Judged(
                description=description,
                predicted=predicted.astype(np.int32),
                moved=moved,
                sample_images=np.linspace(0, 1, 2 * 64, dtype=np.float32).reshape(2, 1, 8, 8),
            )
        )
    return rows


def clean(system: str) -> Judged:
    """The clean images of a system: every tenth is wrong."""
    row = judged(system, "clean", "none", NUM_IMAGES)
    labels = np.arange(NUM_IMAGES, dtype=np.int32) % 10
    return replace(row, predicted=np.where(labels == 9, 0, labels).astype(np.int32))


def evaluation_table(*findings: Finding) -> RobustnessTable:
    """One network under attacks of two norms and every kind of access."""
    rows = [clean("cnn"), *attacked("cnn", "FGSM:0.3,PGD:0.3,DDN", "white-box")]
    rows += [*attacked("cnn", "DDN", "adaptive", reach=0.5), *attacked("cnn", "Square", "black-box-query")]
    rows += [
        *attacked("cnn", "ContrastReduction", "none", reach=3.0),
        judged("cnn", "GaussianNoise 0.3", "none", 30),
    ]
    return table_of(*rows).with_findings(findings)
