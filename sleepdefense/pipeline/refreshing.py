"""A few mini-batches of training between two naps."""

from pathlib import Path

from torch import nn

from sleepdefense.attacks import parse_attacks
from sleepdefense.attacks.pairs import adversarial_pairs
from sleepdefense.checkpoint import file_digest, load_checkpoint
from sleepdefense.config import ModelConfig, PairsConfig
from sleepdefense.consolidation.ranks import joined_ranks
from sleepdefense.data.image_set import ImageSet
from sleepdefense.data.pairs import PairSet, undisturbed_pairs
from sleepdefense.models.base import AbstractAwakeModel
from sleepdefense.models.saving import awake_checkpoint, model_from_checkpoint
from sleepdefense.pipeline.context import Context, fixed_arithmetic
from sleepdefense.pipeline.provenance import fingerprint, finished, provenance, versions
from sleepdefense.pipeline.saving import save_once
from sleepdefense.training import TrainConfig, train

REFRESH_RATE = 3e-4
"""Learning rate of Adam between naps."""


@fixed_arithmetic()
def refresh(
    awake: Path,
    out: Path,
    data: ImageSet,
    context: Context,
    *,
    config: ModelConfig,
    pairs: PairsConfig | None,
    cache: Path | None,
    classifier: nn.Module | None,
    num_batches: int,
    part: int,
    seed: int,
) -> AbstractAwakeModel:
    """Train an awake checkpoint for a few mini-batches, between two naps.

    Args:
        awake: Checkpoint of the woken network.
        out: Checkpoint of kind "awake" to write.
        data: Training images.
        context: How to run.
        config: Batch size and learning rate.
        pairs: Purifiers: which attacks.
        cache: Purifiers: file with the attacked images.
        classifier: Purifiers: what was attacked.
        num_batches: How many mini-batches; 0 copies the network.
        part: Which nap came before: each refresh takes the next images.
        seed: Of the order.
    """
    parent = file_digest(awake)
    step = fingerprint(
        parent=parent, num_batches=num_batches, part=part, seed=seed, data=data.digest, versions=versions()
    )
    done = finished(out, step, resume=context.resume, force=context.force)
    if done is not None:
        return model_from_checkpoint(done)
    model = model_from_checkpoint(load_checkpoint(awake, kind="awake"))
    if num_batches > 0:
        material = undisturbed_pairs(data)
        if classifier is not None and pairs is not None:
            attacks = parse_attacks(pairs.attacks)

            def attack() -> PairSet:
                return adversarial_pairs(data, classifier, attacks, seed=seed, cache=cache)

            with joined_ranks() as ranks:
                material = ranks.main_first(attack)
        count = min(num_batches * config.batch_size, len(data))
        first = part * count % (len(data) - count + 1)
        chosen = slice(first, first + count)
        training = TrainConfig(
            epochs=1, batch_size=config.batch_size, learning_rate=REFRESH_RATE, seed=seed + part, device="cpu"
        )
        material = PairSet(
            variants=material.variants,
            noisy=material.noisy[:, chosen],
            clean=material.clean[chosen],
            labels=material.labels[chosen],
        )
        model = train(model, material, training, progress=context.progress).model.eval()
    origin = provenance(context.command, seed=seed, step=step, data=data.digest, parent=parent)
    save_once(out, awake_checkpoint(model, provenance=origin))
    return model
