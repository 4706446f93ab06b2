"""How a network sleeps: steps, images, dose, competition, thresholds."""

from dataclasses import asdict, dataclass
from typing import Any

from sleepdefense.errors import ConfigError

PerStage = int | tuple[int, ...] | None

CHOICES: dict[str, tuple[str, ...]] = {
    "competition": ("image", "step", "none"),
    "engine": ("auto", "fused", "torch", "reference"),
    "weight_type": ("i16", "f32", "i8"),
    "threshold_mode": ("unit", "calibrated", "absolute"),
    "outside": ("skip", "depress"),
    "order": ("visible-first", "as-printed"),
}
"""What each of these settings may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepConfig:
    """Settings of one sleep. What a layer learns from is decided here, how its weights move by the rule.

    Attributes:
        num_steps: Length of each image's spike train, in steps, >= 1.
        batch_size: Images between two changes of the weights, >= 1.
        max_images: The sleep ends after so many images, even short of its dose, >= 1. Where there are
            fewer, they come again with other spikes.
        rho: The dose: each layer sleeps until |W - W0| / |W0| is exactly this. 0: no sleep at all. None: no
            dose, all `max_images` are slept.
        max_batch_change: The most that a batch may move a layer, as a fraction of |W0|. None: no limit.
        target_batches: The strength of the rule is chosen so that about so many batches make the dose, >= 1.
        strength: Factor on a_plus and a_minus of all layers, > 0; None: found for each layer on the first
            batches, before anything changes.
        competition: "image": `k` winners an image and layer learn, once; "step": `k` winners at every step;
            "none": every neuron learns at every spike, from the spikes of the same step.
        k: Most winners, >= 1: one number, or one for each stage that can sleep, first to last. None: those of
            the paper for an encoder of four convolutions, else see `competition.py`.
        radius: Reach of the inhibition, in pixels, >= 0, given like `k`.
        stages: The stages that sleep, by name; None: all that can.
        threshold_mode: "unit": the threshold of the conversion. "calibrated": the thresholds keep the
            ratio of `thresholds`, on the largest scale at which `firing_share` of each stage still fires.
            "absolute": `thresholds` as they are, on weights mapped to [0, 1] and without biases.
        thresholds: One > 0 for each stage that can sleep; None: 36 for the first and the last, 23 between.
        firing_share: For "calibrated": neurons that fire at least once an image, as a fraction in (0, 1).
        outside: Synapses that reach into the rim around the image are left alone ("skip") or count as silent
            ("depress").
        order: "visible-first": a visible spike before the hidden one, or with it, potentiates.
            "as-printed": after the hidden one, or with it.
        engine: "fused": compiled from pixels to counts, for plain chains; "torch": the same chains on the
            device of the images, many steps at once; "reference": the spiking simulator, step by step, for
            any network; "auto": for a plain chain "fused" on the processor, "torch" elsewhere. Equal results.
        weight_type: Of the fused engine. "i16": 16 bits, exact. "f32": floats, the same sleep, as far as
            floats are exact. "i8": weights, biases and thresholds rounded to 8 bits a layer while spikes are
            counted: faster, and not the same sleep; see docs/benchmarks.md.
        seed: Of the spike trains, in [0, 2**63).
        measure_every: Batches between two evaluations of the measures, >= 1.
        save_every: Batches between two writings of the state, >= 1. Without influence on the result.
        chunk_bytes: About how much memory the torch engine works in, in bytes, >= 1. Without influence on the
            result.

    Raises:
        ConfigError: A value is out of range, or contradicts another one.

    Source:
        docs/decisions.md, "Sleep"; k, radius, thresholds: Talafha et al. 2023, Table 3.
    """

    num_steps: int = 32
    batch_size: int = 64
    max_images: int = 4096
    rho: float | None = 0.1
    max_batch_change: float | None = 0.02
    target_batches: int = 16
    strength: float | None = None
    competition: str = "image"
    k: PerStage = None
    radius: PerStage = None
    stages: tuple[str, ...] | None = None
    threshold_mode: str = "unit"
    thresholds: tuple[float, ...] | None = None
    firing_share: float = 0.15
    outside: str = "skip"
    order: str = "visible-first"
    engine: str = "auto"
    weight_type: str = "i16"
    seed: int = 0
    measure_every: int = 8
    save_every: int = 8
    chunk_bytes: int = 2**30

    def __post_init__(self) -> None:
        for name in (
            "num_steps",
            "batch_size",
            "max_images",
            "target_batches",
            "measure_every",
            "save_every",
            "chunk_bytes",
        ):
            _check(name, getattr(self, name), getattr(self, name) >= 1, "must be >= 1")
        _check("rho", self.rho, self.rho is None or 0 <= self.rho < float("inf"), "must be >= 0, or None")
        for name in ("max_batch_change", "strength"):
            value = getattr(self, name)
            _check(name, value, value is None or 0 < value < float("inf"), "must be > 0, or None")
        _check("seed", self.seed, 0 <= self.seed < 2**63, "must be in [0, 2**63)")
        _check("firing_share", self.firing_share, 0 < self.firing_share < 1, "must be in (0, 1)")
        _check("k", self.k, all(value >= 1 for value in _values(self.k)), "must be >= 1")
        _check("radius", self.radius, all(value >= 0 for value in _values(self.radius)), "must be >= 0")
        positive = all(0 < value < float("inf") for value in self.thresholds or ())
        _check("thresholds", self.thresholds, positive, "must be > 0")
        _check(
            "stages", self.stages, self.stages is None or len(self.stages) > 0, "must name a stage, or None"
        )
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            _check(name, value, value in choices, f"must be one of {', '.join(choices)}")
        if self.competition == "none" and self.order == "as-printed":
            raise ConfigError(
                "sleep.order is 'as-printed', which compares first spikes; without competition only spikes "
                "of the same step count. Take competition 'image' or 'step'."
            )
        if self.weight_type != "i16" and self.engine != "fused":
            raise ConfigError(
                f"sleep.weight_type {self.weight_type!r} is known to the fused engine only: set sleep.engine "
                f"to 'fused', got {self.engine!r}"
            )
        if self.rho is None and self.max_batch_change is None and self.strength is None:
            raise ConfigError(
                "sleep has neither 'rho' nor 'max_batch_change' to find a strength by: give 'strength'"
            )

    @classmethod
    def paper_literal(cls, *, max_images: int = 1000, seed: int = 0) -> "SleepConfig":
        """Return the printed settings taken literally: weights in [0, 1], thresholds 36, 23, 23, 36, no dose.

        To be used with the rule `MirroredSTDP(weight_dependence="affine")`. A reproduction, not a
        recommendation: nearly every neuron fires at every step, and the more images, the worse the network.

        Source:
            Talafha et al. 2023, Eqs. 6-7 and Table 3; docs/decisions.md, "Sleep".
        """
        return cls(
            threshold_mode="absolute",
            rho=None,
            max_batch_change=None,
            strength=1.0,
            batch_size=1,
            save_every=64,
            max_images=max_images,
            seed=seed,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the settings that decide the result, fit for JSON."""
        found = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }
        del found["save_every"], found["chunk_bytes"]
        return found


def _values(value: PerStage) -> tuple[int, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _check(name: str, value: object, is_good: bool, expected: str) -> None:
    if not is_good:
        raise ConfigError(f"sleep.{name} {expected}, got {value!r}")
