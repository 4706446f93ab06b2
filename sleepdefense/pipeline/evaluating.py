"""From a checkpoint to a robustness table."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from sleepdefense.data import load_data
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation import RobustnessTable, evaluate
from sleepdefense.models import AbstractPurifier, Purified, awake_from_file
from sleepdefense.pipeline.context import Progress, fixed_arithmetic

THREAT_MODELS = ("all", "oblivious", "white-box")


class _Seen(nn.Module):
    """A system whose attacks are limited to one threat model."""

    def __init__(self, system: Purified, threat_model: str) -> None:
        super().__init__()
        self.system = system
        self.threat_model = threat_model

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.system(image)
        return logits

    def attack_surfaces(self) -> Mapping[str, nn.Module]:
        return {self.threat_model: self.system.attack_surfaces()[self.threat_model]}


@fixed_arithmetic()
def evaluate_step(
    checkpoint: Path,
    *,
    attacks: str,
    data_name: str,
    classifier: Path | None = None,
    out: Path | None = None,
    threat_model: str = "all",
    data_dir: Path | None = None,
    limit: int | None = None,
    batch_size: int = 250,
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> RobustnessTable:
    """Attack the network of a checkpoint on test images.

    Args:
        checkpoint: Of kind "awake".
        attacks: Names with commas between, or a profile.
        data_name: Data set.
        classifier: For a purifier: checkpoint of what classifies its images.
        out: File for the results; None keeps them in memory only.
        threat_model: "all", or "oblivious" or "white-box" alone.
        data_dir: Where data sets lie.
        limit: Test images, the first so many.
        batch_size: Images attacked at once.
        seed: Of the random parts.
        resume: Go on from `out`.
        force: Overwrite `out`.
        progress: Told after every batch.

    Returns:
        The table.

    Raises:
        ConfigError: A purifier without classifier, a classifier with one, or `out` exists.
        CheckpointError: A checkpoint is damaged or of another kind.
    """
    model = awake_from_file(checkpoint)
    system: nn.Module = model
    if isinstance(model, AbstractPurifier):
        if classifier is None:
            raise ConfigError(
                f"'{checkpoint}' holds a purifier ({model.name}), which classifies nothing: add --classifier"
            )
        behind = awake_from_file(classifier)
        purified = Purified(model, behind)
        system = purified if threat_model == "all" else _Seen(purified, threat_model)
    elif classifier is not None:
        raise ConfigError(f"'{checkpoint}' holds a classifier ({model.name}): leave out --classifier")
    elif threat_model == "oblivious":
        raise ConfigError(
            f"'{checkpoint}' holds a classifier ({model.name}): nothing stands before it that an "
            "attack could be oblivious of"
        )
    if out is not None and out.exists() and not resume:
        if not force:
            raise ConfigError(f"'{out}' exists: go on with --resume, or start anew with --force")
        out.unlink()
    _, test = load_data(data_name, data_dir=data_dir, limit=1, test_limit=limit)
    return evaluate(
        system,
        test,
        attacks,
        seed=seed,
        batch_size=batch_size,
        resume=out,
        name=checkpoint.stem,
        progress=progress,
    )
