"""Run the checks on systems: none of them raises, and each says what it found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError, UnfinishedError
from sleepdefense.evaluation.checks.black_box import check_random_search, check_white_beats_black
from sleepdefense.evaluation.checks.budgets import check_large_budget, check_monotone
from sleepdefense.evaluation.checks.choosing import make_subject
from sleepdefense.evaluation.checks.config import CheckConfig
from sleepdefense.evaluation.checks.finding import Finding, Verdict, make_finding, skipped
from sleepdefense.evaluation.checks.gradient_exists import check_gradient_exists
from sleepdefense.evaluation.checks.gradient_right import check_gradient_right
from sleepdefense.evaluation.checks.inner_optimisation import check_inner_optimisation
from sleepdefense.evaluation.checks.knowledge import check_knowledge_helps, check_without_defence
from sleepdefense.evaluation.checks.planted import check_planted_weakness
from sleepdefense.evaluation.checks.register import GRADIENT_CHECKS, ONCE_PER_SYSTEM
from sleepdefense.evaluation.checks.same_answer import check_same_answer
from sleepdefense.evaluation.checks.steps import check_converged, check_loss_rises, check_many_steps
from sleepdefense.evaluation.checks.subject import FAILURES, Subject
from sleepdefense.evaluation.checks.usable_logits import check_usable_logits
from sleepdefense.evaluation.checks.valid_images import check_valid_images
from sleepdefense.evaluation.systems import Model, System, make_system

Check = Callable[[Subject, str], Verdict | None]
Progress = Callable[[int, int, str], None]
"""Called with the number of finished checks, their total, and what was done last."""

RUNNERS: dict[str, Check] = {
    "G1": check_gradient_exists,
    "G2": check_gradient_right,
    "G3": check_usable_logits,
    "G4": check_same_answer,
    "G5": check_inner_optimisation,
    "S1": check_many_steps,
    "S2": check_monotone,
    "S3": check_large_budget,
    "S4": check_white_beats_black,
    "S5": check_random_search,
    "S6": check_converged,
    "S7": check_loss_rises,
    "T1": check_knowledge_helps,
    "T2": check_without_defence,
    "T3": check_planted_weakness,
    "R1": check_valid_images,
}
"""The checks that ask a model, in the order in which they are run."""

FEWEST_IMAGES = 8
"""Correctly classified images below which nothing can be said."""

MOST_DONORS = 2
"""Other systems whose adversarial images are tried on each; more say little new."""


def run_checks(
    systems: Mapping[str, Model],
    data: ImageSet,
    *,
    config: CheckConfig | None = None,
    seed: int = 0,
    which: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> tuple[Finding, ...]:
    """Check that attacks on some systems do what attacks must do, with small attacks of its own.

    Args:
        systems: Modules or callables that give logits, by name, as for `evaluate_systems`.
        data: Images and true labels; the first that all of a system's parts classify correctly are used.
        config: How much to look at, and at which budget.
        seed: Source of all randomness; the batch size plays no part.
        which: Names of checks, as in `CHECKS`; all that ask a model if left out. Those that read finished
            results are `table_checks`.
        progress: Told after every check.

    Returns:
        The findings, system by system, check by check. What cannot be carried out is a finding too.

    Raises:
        ConfigError: A check is unknown or reads finished results only, or no system is given.
    """
    names = tuple(RUNNERS) if which is None else tuple(dict.fromkeys(which))
    unknown = [name for name in names if name not in RUNNERS]
    if unknown or not systems:
        raise ConfigError(
            f"expected systems, and checks among {', '.join(RUNNERS)}; got {len(systems)} systems and "
            f"{', '.join(names)}"
        )
    config = config or CheckConfig()
    findings: list[Finding] = []
    for number, (name, model) in enumerate(systems.items()):
        others = [(other, part) for other, part in systems.items() if part is not model]
        told = _shifted(progress, number * len(names), len(systems) * len(names))
        findings += _check_system(name, model, dict(others[:MOST_DONORS]), data, config, seed, names, told)
    return tuple(findings)


def gradient_checks(
    system: System,
    data: ImageSet,
    *,
    config: CheckConfig | None = None,
    seed: int = 0,
    which: Sequence[str] = GRADIENT_CHECKS,
    progress: Progress | None = None,
) -> tuple[Finding, ...]:
    """Check the gradients of one system before it is attacked: cheap, and on every attack surface.

    Args:
        system: What is to be attacked.
        data: Images and true labels.
        config: How many images to look at.
        seed: Source of all randomness.
        which: Some of G1 to G5.
        progress: Told after every check.

    Returns:
        The findings.

    Raises:
        ConfigError: A check is not one of G1 to G5.
    """
    unknown = [name for name in which if name not in GRADIENT_CHECKS]
    if unknown:
        raise ConfigError(f"expected checks among {', '.join(GRADIENT_CHECKS)}, got {', '.join(unknown)}")
    names, told = tuple(dict.fromkeys(which)), _shifted(progress, 0, len(which))
    return tuple(_check_system(system.name, system, {}, data, config or CheckConfig(), seed, names, told))


def _check_system(
    name: str,
    model: Model | System,
    donors: Mapping[str, Model],
    data: ImageSet,
    config: CheckConfig,
    seed: int,
    names: Sequence[str],
    progress: Progress,
) -> list[Finding]:
    """Run some checks on one system."""
    try:
        system = model if isinstance(model, System) else make_system(name, model)
        subject = make_subject(system, data, config, seed=seed, donors=donors)
    except UnfinishedError:
        raise
    except FAILURES as error:
        verdict = _error(error, "The system cannot be examined")
        return [_about(verdict, check, name, "none", config) for check in names]
    findings = []
    for done, check in enumerate(names, start=1):
        findings += list(_check_surfaces(subject, check))
        progress(done, len(names), f"{check}, {name}")
    return findings


def _check_surfaces(subject: Subject, check: str) -> Iterator[Finding]:
    """Run one check, on each surface or once."""
    surfaces = (*subject.strong, *subject.weak)
    if check in ONCE_PER_SYSTEM:
        surfaces = surfaces[:1]
    for threat_model in surfaces:
        before = subject.meter.reading
        try:
            verdict = _enough(subject) or _examine(subject, check, threat_model)
        except UnfinishedError:
            raise
        except FAILURES as error:
            verdict = _error(error, "The check could not be carried out")
        if verdict is not None:
            after = subject.meter.reading
            cost = (after[0] - before[0], after[1] - before[1])
            yield _about(verdict, check, subject.system.name, threat_model, subject.config, cost)


def _examine(subject: Subject, check: str, threat_model: str) -> Verdict | None:
    """Run a check on a surface; for gradients, one that stands for several is as good as its best."""
    surface = subject.system.surfaces[threat_model]
    if check not in GRADIENT_CHECKS or not isinstance(surface, AnyOf):
        return RUNNERS[check](subject, threat_model)
    best, rank = None, len(_FROM_BEST)
    for name, member in zip(surface.names, surface.members, strict=True):
        system = replace(subject.system, surfaces={threat_model: member})
        verdict = RUNNERS[check](replace(subject, system=system), threat_model)
        if verdict is not None and _FROM_BEST.index(verdict.status) < rank:
            rank = _FROM_BEST.index(verdict.status)
            best = replace(verdict, sentence=f"Through '{name}': {verdict.sentence}")
        if rank == 0:
            break
    return best


_FROM_BEST = ("passed", "warned", "failed", "skipped", "error")


def _about(
    verdict: Verdict,
    check: str,
    system: str,
    threat_model: str,
    config: CheckConfig,
    cost: tuple[int, int] = (0, 0),
) -> Finding:
    """Say what a verdict is about; checks of gradients know no norm."""
    norm = "none" if check in GRADIENT_CHECKS else config.norm
    return make_finding(verdict, check=check, system=system, threat_model=threat_model, norm=norm, cost=cost)


def _enough(subject: Subject) -> Verdict | None:
    """Refuse to judge by a handful of images."""
    if subject.num_images >= FEWEST_IMAGES:
        return None
    return skipped(
        f"Only {subject.num_images} images are classified correctly by all parts of the system; "
        f"{FEWEST_IMAGES} are needed."
    )


def _error(error: Exception, what: str) -> Verdict:
    """Return the verdict of a check that raised."""
    words = " ".join(str(error).split()) or type(error).__name__
    return Verdict(
        status="error",
        sentence=f"{what}: {words}.",
        advice="What cannot be checked cannot be trusted: mend what the message names, and check again.",
    )


def _shifted(progress: Progress | None, start: int, total: int) -> Progress:
    """Return a progress that counts on from other systems."""

    def tell(done: int, _of: int, text: str) -> None:
        if progress is not None:
            progress(start + done, total, text)

    return tell
