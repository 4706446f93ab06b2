"""The sleep phase: from a spiking network to one that slept, with a diary."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from sleepdefense.consolidation.choose_engine import choose_engine
from sleepdefense.consolidation.config import SleepConfig
from sleepdefense.consolidation.diary import SleepDiary
from sleepdefense.consolidation.dreaming import with_masters
from sleepdefense.consolidation.guard import Guard, Verdict, cut_back, part_of_the_way
from sleepdefense.consolidation.plan import settle
from sleepdefense.consolidation.ranked_engine import RankedEngine
from sleepdefense.consolidation.ranks import joined_ranks
from sleepdefense.consolidation.rules import AbstractRule, MirroredSTDP
from sleepdefense.consolidation.run import Measure, Progress, SleepRun
from sleepdefense.consolidation.state import images_digest, network_digest
from sleepdefense.errors import ConfigError, SleepError
from sleepdefense.spiking.backend import AbstractBackend
from sleepdefense.spiking.network import SpikingNetwork

_RULE = MirroredSTDP()
_CONFIG = SleepConfig()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slept:
    """The result of a sleep; `conversion.to_awake` takes it as it is.

    Attributes:
        network: The spiking network after the sleep, a new one.
        diary: What happened.
    """

    network: SpikingNetwork
    diary: SleepDiary


def sleep(
    network: SpikingNetwork,
    images: Float[Tensor, " image *unit"],
    rule: AbstractRule = _RULE,
    *,
    config: SleepConfig = _CONFIG,
    guard: Guard | None = None,
    measures: Mapping[str, Measure] | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    threads: int | None = None,
    backend: AbstractBackend | None = None,
) -> Slept:
    """Let a spiking network sleep: replay images as spikes, and let local plasticity change its weights.

    Batch after batch, images are presented as Bernoulli trains; who learns is decided by a competition, and
    how often each synapse was potentiated and depressed is counted, in integers. After each batch

        W <- confine(W + strength / images * direction(W, counts))

    until every stage has had its dose. The same images, settings and seed give the same bytes, whatever the
    engine, the number of threads and of processes, or the interruptions.

    Where torchrun or accelerate launch started several processes, all must call this with the same arguments.
    Each presents its share of every batch, and all return the same result. The main one alone evaluates
    measures and guard, tells the progress and writes the checkpoint.

    Args:
        network: From `conversion.to_spiking`. It is not changed.
        images: What is replayed, in this order, (image, *unit), in [0, 1]. When all were presented they come
            again, with other spikes.
        rule: What the counts do to the weights.
        config: Everything else.
        guard: Cuts the sleep back, at its end, to what the awake network can bear.
        measures: Numbers to be followed along the sleep, such as the bound of an autoencoder.
        checkpoint: File that holds the state every few batches, when the sleep is interrupted, and at the end
            with the diary.
        resume: Go on from `checkpoint` if it is there.
        force: Replace a checkpoint that is there, or with `resume` one of another sleep.
        progress: Told after every batch.
        threads: Workers of the fused engine; None: one for each core, shared with other processes of this
            sleep.
        backend: Simulator for the reference engine; None: snntorch.

    Returns:
        The new network and the diary. With a dose of 0 it is `network` itself.

    Raises:
        SleepError: No stage can sleep, one is silent, a fast engine was asked for in vain, the images do not
            fit, the checkpoint is of another sleep, or another process of this sleep is gone or was given
            something else.
        ConfigError: Settings contradict each other or the network, or the checkpoint is there and neither
            `resume` nor `force` is given.
        CheckpointError: The checkpoint is damaged or cannot be written.

    Source:
        Talafha et al. 2023, sections 3.3 to 3.5; docs/decisions.md, "Sleep".
    """
    measures = dict(measures or {})
    with joined_ranks() as ranks:
        ranks.on_main(lambda: _check_file(checkpoint, resume=resume, force=force))
        if config.rho == 0:
            return Slept(network=network, diary=SleepDiary.of_no_sleep("dose 0: no sleep"))
        plan = settle(network, rule, config)
        _check_images(network, images)
        workers = ranks.threads() if threads is None else threads
        engine = choose_engine(plan, images.device, threads=workers, backend=backend)
        if ranks.count > 1:
            engine = RankedEngine(engine, plan, ranks)
        identity = {
            "config": config.to_json(),
            "rule": rule.to_json(),
            "network": network_digest(network),
            "images": images_digest(images),
            "measures": list(measures),
        }
        for what, value in identity.items():
            ranks.check_same(what, value)
        run = SleepRun(
            plan,
            rule,
            engine,
            images,
            measures=measures,
            checkpoint=checkpoint,
            identity=identity,
            ranks=ranks,
        )
        _start(run, checkpoint, resume=resume, force=force)
        run.sleep(progress)
        slept = with_masters(network, run.state.course.masters)
        verdict: Verdict | None = None
        if guard is not None:
            verdict = ranks.on_main(lambda: cut_back(network, slept, guard)[1])
            slept = part_of_the_way(network, slept, verdict.factor)
        diary = run.diary(verdict)
        ranks.on_main(lambda: run.save(diary))
    return Slept(network=slept, diary=diary)


def _start(run: SleepRun, checkpoint: Path | None, *, resume: bool, force: bool) -> None:
    """Go on from the checkpoint, or begin."""
    is_there = run.ranks.on_main(lambda: resume and checkpoint is not None and checkpoint.exists())
    if not is_there or checkpoint is None:
        run.begin()
        return
    try:
        run.go_on(checkpoint)
    except SleepError:
        if not force:
            raise
        run.begin()


def _check_file(checkpoint: Path | None, *, resume: bool, force: bool) -> None:
    if checkpoint is None:
        if resume:
            raise ConfigError("'resume' needs a 'checkpoint' to go on from")
        return
    if checkpoint.exists() and not resume and not force:
        raise ConfigError(f"'{checkpoint}' exists: go on with resume, or start anew with force")


def _check_images(network: SpikingNetwork, images: Tensor) -> None:
    expected = network.nodes[0].shape
    if len(images) == 0:
        raise SleepError("there are no images to sleep on, expected some hundred")
    if tuple(images.shape[1:]) != expected:
        raise SleepError(
            f"the network was converted for images of shape {expected}, got {tuple(images.shape[1:])}"
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise SleepError(
            f"the images must lie in [0, 1], as probabilities of a spike, got values from {low} to {high}"
        )
