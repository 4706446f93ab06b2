"""The step that trains a substitute, from checkpoint to checkpoint."""

from dataclasses import asdict
from pathlib import Path

from torch import nn

from sleepdefense.checkpoint import file_digest, save_checkpoint
from sleepdefense.config import ModelConfig
from sleepdefense.data import ImageSet
from sleepdefense.evaluation import SubstituteConfig, train_substitute
from sleepdefense.models import awake_checkpoint, awake_from_file, model_from_checkpoint
from sleepdefense.models.base import AbstractAwakeModel
from sleepdefense.pipeline import Context
from sleepdefense.pipeline.context import fixed_arithmetic
from sleepdefense.pipeline.provenance import fingerprint, finished, provenance, versions
from sleepdefense.pipeline.steps import new_model


@fixed_arithmetic()
def substitute_step(
    target: Path, config: ModelConfig, data: ImageSet, out: Path, context: Context, *, how: SubstituteConfig
) -> nn.Module:
    """Train a network to label images as a classifier does, or load it.

    Args:
        target: Checkpoint of the classifier that is asked.
        config: The substitute; only its architecture counts.
        data: Images to begin with; their labels are not looked at.
        out: Checkpoint to write.
        context: How to run.
        how: How the substitute is trained; its seed is that of the first weights, too.

    Returns:
        The substitute, in evaluation mode.
    """
    step = fingerprint(
        target=file_digest(target),
        model=[config.model, dict(config.settings)],
        data=data.digest,
        how=asdict(how),
        versions=versions(),
    )
    done = finished(out, step, resume=context.resume, force=context.force)
    if done is not None:
        return model_from_checkpoint(done)
    start = new_model(config, data, seed=how.seed)
    trained = train_substitute(awake_from_file(target), data.images, start, how, progress=context.progress)
    assert isinstance(trained, AbstractAwakeModel)
    origin = provenance(
        context.command, seed=how.seed, step=step, data=data.digest, parent=file_digest(target)
    )
    save_checkpoint(out, awake_checkpoint(trained, provenance=origin))
    return trained
