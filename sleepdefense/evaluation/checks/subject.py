"""One system under examination: its images, its attack surfaces, and the small attacks made so far."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int
from numpy import ndarray
from torch import Tensor, nn

from sleepdefense.attacks.attack_spec import AttackSpec
from sleepdefense.attacks.build import attack_batch
from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.noise import derive_seed
from sleepdefense.errors import EvaluationError, UnfinishedError
from sleepdefense.evaluation.checks.config import CheckConfig
from sleepdefense.evaluation.checks.metering import Meter, metered
from sleepdefense.evaluation.checks.trace import LossTrace, side_by_side
from sleepdefense.evaluation.metrics import within
from sleepdefense.evaluation.systems import Model, System, device_of, logits_of
from sleepdefense.shapes import Images, Labels, Logits

STRONG = ("white-box", "adaptive")
"""Threat models in which the attack knows all of the system."""

QUERY = "black-box-query"
"""The threat model of attacks that see the answers of the whole system."""

FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a foreign model may raise and a finding can bear; a full disk or an interrupt goes on."""

Mask = Bool[ndarray, " image"]
"""Which images, (image,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What one attack through one surface did.

    Attributes:
        images: Attacked images, (image, channel, height, width); unchanged where there was no attack.
        fools_surface: Where the attacked module is wrong afterwards, within epsilon, (image,).
        fools_system: Where the whole system is wrong afterwards, within epsilon, (image,).
        moved: How far each image was moved, in the attack's norm, (image,).
        losses: Cross-entropy at each pass of the attack, (step, attacked image); no step if not to be seen.
    """

    images: Images
    fools_surface: Mask
    fools_system: Mask
    moved: Float64[ndarray, " image"]
    losses: Float64[Tensor, "step attacked"]


@dataclass(slots=True, kw_only=True, eq=False)
class Subject:
    """A system, the images on which it is examined, and what was found so far.

    Attributes:
        system: What is examined.
        config: How much to look at, and at which budget.
        seed: Source of all randomness.
        images: Images that the system and every surface classify correctly, (image, ...).
        labels: Their true classes, (image,).
        index: Their numbers in the data set, (image,).
        num_classes: Classes of the data set.
        donors: Other systems, whose adversarial images are tried here, by name.
        meter: What was asked of the system's parts so far.
    """

    system: System
    config: CheckConfig
    seed: int
    images: Images
    labels: Labels
    index: Int[Tensor, " image"]
    num_classes: int
    donors: Mapping[str, Model]
    meter: Meter
    _outcomes: dict[object, Outcome] = field(default_factory=dict)

    @property
    def num_images(self) -> int:
        """How many images are looked at."""
        return len(self.images)

    @property
    def strong(self) -> tuple[str, ...]:
        """The threat models that this system has and in which the attack knows all of it."""
        return tuple(model for model in self.system.surfaces if model in STRONG)

    @property
    def weak(self) -> tuple[str, ...]:
        """The threat models in which an attack with gradients knows less."""
        return tuple(model for model in self.system.surfaces if model not in (*STRONG, QUERY))

    def surface(self, threat_model: str) -> nn.Module:
        """Return what an attack differentiates in a threat model, counted."""
        return metered(self._attackable(threat_model), self.meter)

    def attack(
        self, threat_model: str, spec: AttackSpec, *, run: int = 0, among: Mask | None = None
    ) -> Outcome:
        """Attack the images through a surface; what was done before is not done again.

        Args:
            threat_model: Which surface; `QUERY` asks the whole system, the name of a donor attacks that.
            spec: The attack.
            run: Number of the restart: another one draws other random numbers.
            among: Which images to attack, (image,); all if left out.

        Returns:
            What came of it.

        Raises:
            EvaluationError: The surface cannot be attacked.
        """
        surface = self._attackable(threat_model)
        attacked = np.ones(self.num_images, bool) if among is None else among
        key = (id(surface), spec.norm, spec.key, run, attacked.tobytes())
        if key not in self._outcomes:
            images, losses = self.attacked(surface, spec, run=run, among=attacked)
            moved = distances(self.images, images, spec.norm).numpy()
            valid = attacked & within(moved, spec.epsilon)
            self._outcomes[key] = Outcome(
                images=images,
                fools_surface=self._is_fooled(surface, images, valid),
                fools_system=self._is_fooled(self.system.model, images, valid),
                moved=moved,
                losses=losses,
            )
        return self._outcomes[key]

    def attack_strongly(self, spec: AttackSpec, *, among: Mask | None = None) -> list[Outcome]:
        """Attack through every surface that knows the whole system, as far as they can be attacked.

        Raises:
            EvaluationError: None of them can.
        """
        outcomes, errors = [], []
        for threat_model in self.strong:
            try:
                outcomes.append(self.attack(threat_model, spec, among=among))
            except EvaluationError as error:
                errors.append(error)
        if errors and not outcomes:
            raise errors[0]
        return outcomes

    def transfer(self, name: str, spec: AttackSpec, *, among: Mask | None = None) -> Outcome | None:
        """Attack through a surface that knows less, or another system; None if that cannot be attacked."""
        try:
            return self.attack(name, spec, among=among)
        except UnfinishedError:
            raise
        except FAILURES:
            return None

    def attacked(
        self, surface: Model, spec: AttackSpec, *, run: int = 0, among: Mask | None = None
    ) -> tuple[Images, Float64[Tensor, "step attacked"]]:
        """Return attacked images, and the losses that the attack saw, both on the CPU.

        Args:
            surface: What to attack; it need not be one of the system's.
            spec: The attack.
            run: Number of the restart.
            among: Which images to attack; the others come back as they are.

        Raises:
            EvaluationError: The surface cannot be attacked.
        """
        chosen = np.ones(self.num_images, bool) if among is None else among
        images, traces = self.images.clone(), []
        for part in torch.from_numpy(np.flatnonzero(chosen)).split(self.config.batch_size):
            if not len(part):
                continue
            trace = LossTrace(self.labels[part])
            model = metered(surface, self.meter, trace.listen)
            device = device_of(model)
            with own_randomness(self.seed, f"{spec.norm}/{spec.key}/{run}"):
                outcome = attack_batch(
                    spec,
                    model,
                    self.images[part].to(device),
                    self.labels[part].to(device),
                    index=self.index[part],
                    seed=self.seed if run == 0 else derive_seed(self.seed, f"restart {run}"),
                )
            images[part] = outcome.images.cpu()
            traces.append(trace.losses)
        return images, side_by_side(traces)

    def logits(self, model: Model, images: Images, *, draw: int = 0) -> Logits:
        """Show images to a model, counted and batch by batch; (batch, class), on the CPU.

        Raises:
            EvaluationError: What comes back is no batch of finite logits.
        """
        counted = metered(model, self.meter)
        with own_randomness(self.seed, f"logits {draw}"):
            parts = images.split(self.config.batch_size)
            return torch.cat([logits_of(counted, part).cpu() for part in parts])

    def _attackable(self, threat_model: str) -> Model:
        """Find what a threat model attacks."""
        return {**self.donors, QUERY: self.system.model, **self.system.surfaces}[threat_model]

    def _is_fooled(self, model: Model, images: Images, among: Mask) -> Mask:
        """Tell which of some images a model gets wrong."""
        fooled = np.zeros(self.num_images, bool)
        if among.any():
            chosen = torch.from_numpy(among)
            predicted = self.logits(model, images[chosen]).argmax(1)
            fooled[among] = (predicted != self.labels[chosen]).numpy()
        return fooled


@contextmanager
def own_randomness(seed: int, purpose: str) -> Iterator[None]:
    """Seed torch's global generators for models that draw from them, and put them back afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derive_seed(seed, f"check/{purpose}"))
        yield
