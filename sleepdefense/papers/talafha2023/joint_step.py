"""The step that trains a purifier and its classifier together, from checkpoint to checkpoint."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sleepdefense.attacks.pairs import adversarial_pairs
from sleepdefense.attacks.parse import parse_attacks
from sleepdefense.checkpoint import file_digest
from sleepdefense.config import ModelConfig, PairsConfig
from sleepdefense.data.image_set import ImageSet
from sleepdefense.data.pairs import PairSet
from sleepdefense.errors import ConfigError
from sleepdefense.models import awake_from_file
from sleepdefense.models.base import AbstractClassifier
from sleepdefense.models.saving import load_state_arrays_
from sleepdefense.models.vae import AbstractVAE
from sleepdefense.pipeline import Context
from sleepdefense.pipeline.context import fixed_arithmetic
from sleepdefense.pipeline.provenance import fingerprint, finished, provenance, versions
from sleepdefense.pipeline.steps import new_model
from sleepdefense.training import EndToEndConfig, TrainConfig, save_end_to_end, train_end_to_end


@dataclass(frozen=True, slots=True, kw_only=True)
class JointFiles:
    """Where both networks of an end-to-end training lie."""

    purifier: Path
    classifier: Path


@fixed_arithmetic()
def joint_step(
    purifier: ModelConfig,
    classifier: ModelConfig,
    data: ImageSet,
    out: JointFiles,
    context: Context,
    *,
    options: EndToEndConfig,
    pairs: PairsConfig,
    target: Path,
    cache: Path,
    seed: int,
    images: int | None = None,
    start: JointFiles | None = None,
) -> tuple[AbstractVAE, AbstractClassifier]:
    """Train a purifier and a classifier together by Eq. 10.

    Args:
        purifier: The autoencoder, and how long and how fast both train.
        classifier: What classifies its reconstructions; only its architecture counts.
        data: Training images.
        out: Checkpoints to write.
        context: How to run.
        options: How the three losses are put together.
        pairs: Which attacks both learn from.
        target: Checkpoint of the classifier that is attacked to make them.
        cache: File for the attacked images.
        seed: Of weights, order and noise.
        images: How many of the images to learn from, the first so many; None: all.
        start: Trained networks to begin with; None: random weights, as in the paper.

    Returns:
        Both networks, in evaluation mode.
    """
    if start is None:
        first, behind = new_model(purifier, data, seed=seed), new_model(classifier, data, seed=seed + 1)
    else:
        first, behind = awake_from_file(start.purifier), awake_from_file(start.classifier)
    if not isinstance(first, AbstractVAE) or not isinstance(behind, AbstractClassifier):
        raise ConfigError(
            "end-to-end training takes a variational autoencoder and a classifier, "
            f"got '{first.name}' and '{behind.name}'"
        )
    step = fingerprint(
        purifier=asdict(purifier),
        classifier=[classifier.model, dict(classifier.settings)],
        data=data.digest,
        options=asdict(options),
        pairs=asdict(pairs),
        target=file_digest(target),
        images=images,
        start=None if start is None else [file_digest(start.purifier), file_digest(start.classifier)],
        seed=seed,
        versions=versions(),
    )
    done = [
        finished(path, step, resume=context.resume, force=context.force)
        for path in (out.purifier, out.classifier)
    ]
    if done[0] is not None and done[1] is not None:
        load_state_arrays_(first, done[0].arrays)
        load_state_arrays_(behind, done[1].arrays)
        return first.eval(), behind.eval()
    material = adversarial_pairs(
        data,
        awake_from_file(target),
        parse_attacks(pairs.attacks),
        seed=seed,
        cache=cache,
        progress=context.progress,
    )
    result = train_end_to_end(
        first,
        behind,
        material if images is None else _first(material, images),
        TrainConfig(
            epochs=purifier.epochs,
            batch_size=purifier.batch_size,
            learning_rate=purifier.learning_rate,
            seed=seed,
            device=context.device,
            pairing=pairs.pairing,
        ),
        options=options,
        checkpoint=out.purifier.with_name(f"{out.purifier.stem}.training.h5"),
        resume=context.resume,
        force=context.force,
        progress=context.progress,
    )
    origin = provenance(
        context.command, seed=seed, step=step, data=data.digest, classifier=file_digest(target)
    )
    save_end_to_end(result, out.purifier, out.classifier, provenance=origin)
    return result.purifier.cpu().eval(), result.classifier.cpu().eval()


def _first(pairs: PairSet, images: int) -> PairSet:
    """Return the pairs of the first so many images."""
    return replace(
        pairs, noisy=pairs.noisy[:, :images], clean=pairs.clean[:images], labels=pairs.labels[:images]
    )
