import copy
import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from sleepdefense.checkpoint import file_digest, load_checkpoint, save_checkpoint
from sleepdefense.data import ImageSet, PairSet, to_8_bit
from sleepdefense.errors import CheckpointError, ConfigError, SleepDefenseError
from sleepdefense.models import AbstractAwakeModel, AbstractClassifier, build_model
from sleepdefense.training import TrainConfig, train, train_classifier


@pytest.fixture
def pairs() -> PairSet:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(19, 1, 8, 8, generator=generator).round()
    noise = 0.3 * torch.randn(3, *clean.shape, generator=generator)
    return PairSet(
        variants=("a", "b", "c"),
        noisy=to_8_bit((clean + noise).clamp(0, 1)),
        clean=clean,
        labels=torch.arange(19) % 10,
    )


@pytest.fixture
def images(pairs: PairSet) -> ImageSet:
    return ImageSet(name="noise", images=pairs.clean, labels=pairs.labels, num_classes=10)


def _vae() -> AbstractAwakeModel:
    return build_model("defense-vae", {"width": 4, "size": 8, "latent": 4}, seed=1)


def _c2() -> AbstractClassifier:
    model = build_model("c2", {"width": 4, "size": 8}, seed=1)
    assert isinstance(model, AbstractClassifier)
    return model


def _config(**changes: Any) -> TrainConfig:
    return dataclasses.replace(TrainConfig(epochs=3, batch_size=8, device="cpu", seed=5), **changes)


def _state(model: torch.nn.Module) -> dict[str, bytes]:
    return {name: value.contiguous().numpy().tobytes() for name, value in model.state_dict().items()}


def _stop_after(epochs: int, length: int) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, text: str) -> None:
        if done > epochs * length:
            raise KeyboardInterrupt

    return progress


def test_training_reduces_the_loss(pairs: PairSet) -> None:
    model = build_model("fc-vae", {"hidden": 16, "size": 8, "latent": 4}, seed=1)
    result = train(model, pairs, _config(epochs=30, learning_rate=1e-2))
    assert len(result.losses) == 30
    assert result.losses[-1] < 0.9 * result.losses[0]


def test_a_classifier_learns_its_images(images: ImageSet) -> None:
    model = build_model("c4", {"hidden": 32, "size": 8}, seed=1)
    assert isinstance(model, AbstractClassifier)
    result = train_classifier(model, images, _config(epochs=40, learning_rate=1e-2))
    with torch.no_grad():
        assert torch.equal(result.model(images.images).argmax(1), images.labels)


def test_the_given_model_and_the_global_state_stay(pairs: PairSet) -> None:
    model = _vae().eval()
    before, random = _state(model), torch.random.get_rng_state()
    result = train(model, pairs, _config(epochs=1))
    assert _state(model) == before
    assert not model.training
    assert not result.model.training
    assert _state(result.model) != before
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(weight.grad is None for weight in [*model.parameters(), *result.model.parameters()])
    assert all(weight.is_contiguous() for weight in result.model.parameters())


def test_the_same_seed_gives_the_same_bytes_whatever_the_global_state(pairs: PairSet) -> None:
    first = train(_vae(), pairs, _config())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = train(_vae(), pairs, _config())
    other = train(_vae(), pairs, _config(seed=6))
    assert _state(again.model) == _state(first.model)
    assert again.losses == first.losses
    assert _state(other.model) != _state(first.model)


@pytest.mark.parametrize(
    ("pairing", "epochs"),
    [
        *(("sample", 1), ("all", 2)),
        *(pytest.param(*case, marks=pytest.mark.long) for case in (("sample", 0), ("sample", 2))),
        *(pytest.param(*case, marks=pytest.mark.long) for case in (("all", 0), ("all", 1))),
    ],
)
def test_resuming_gives_the_same_bytes(pairs: PairSet, tmp_path: Path, pairing: str, epochs: int) -> None:
    """Convolutions, batch norms and the reparametrisation."""
    config = _config(pairing=pairing)
    whole = train(_vae(), pairs, config, checkpoint=tmp_path / "whole.h5")
    length = 19 if pairing == "sample" else 57
    with pytest.raises(KeyboardInterrupt):
        train(_vae(), pairs, config, checkpoint=tmp_path / "parts.h5", progress=_stop_after(epochs, length))
    parts = train(_vae(), pairs, config, checkpoint=tmp_path / "parts.h5", resume=True)
    assert parts.losses == whole.losses
    assert _state(parts.model) == _state(whole.model)
    assert file_digest(tmp_path / "parts.h5") == file_digest(tmp_path / "whole.h5")
    assert {path.name for path in tmp_path.iterdir()} == {"whole.h5", "parts.h5"}


def test_resuming_with_dropout_gives_the_same_bytes(images: ImageSet, tmp_path: Path) -> None:
    whole = train_classifier(_c2(), images, _config())
    with pytest.raises(KeyboardInterrupt):
        train_classifier(_c2(), images, _config(), checkpoint=tmp_path / "c2.h5", progress=_stop_after(2, 19))
    parts = train_classifier(_c2(), images, _config(), checkpoint=tmp_path / "c2.h5", resume=True)
    assert _state(parts.model) == _state(whole.model)


def test_a_finished_training_can_be_read_again_and_extended(pairs: PairSet, tmp_path: Path) -> None:
    path = tmp_path / "vae.h5"
    whole = train(_vae(), pairs, _config(epochs=3))
    short = train(_vae(), pairs, _config(epochs=2), checkpoint=path)
    before = file_digest(path)
    again = train(_vae(), pairs, _config(epochs=2), checkpoint=path, resume=True)
    assert (_state(again.model), again.losses) == (_state(short.model), short.losses)
    assert file_digest(path) == before
    longer = train(_vae(), pairs, _config(epochs=3), checkpoint=path, resume=True)
    assert _state(longer.model) == _state(whole.model)
    with pytest.raises(CheckpointError, match=r"vae.h5' has 3 epochs behind it: expected at most 2"):
        train(_vae(), pairs, _config(epochs=2), checkpoint=path, resume=True)


def test_a_file_is_not_lost_by_accident(pairs: PairSet, tmp_path: Path) -> None:
    path = tmp_path / "vae.h5"
    train(_vae(), pairs, _config(epochs=1), checkpoint=path)
    before = file_digest(path)
    with pytest.raises(CheckpointError, match=r"vae.h5' is there already: .*--resume.*--force"):
        train(_vae(), pairs, _config(epochs=1, seed=7), checkpoint=path)
    assert file_digest(path) == before
    train(_vae(), pairs, _config(epochs=1, seed=7), checkpoint=path, force=True)
    assert file_digest(path) != before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 6}, "seed was 5, now 6"),
        (
            {"batch_size": 6, "learning_rate": 0.01},
            "batch_size was 8, now 6; learning_rate was 0.001, now 0.01",
        ),
        ({"pairing": "all"}, "pairing was sample, now all"),
        ({"precision": "bf16"}, "precision was no, now bf16"),
    ],
)
def test_resuming_with_other_settings_names_them(
    pairs: PairSet, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "vae.h5"
    train(_vae(), pairs, _config(epochs=1), checkpoint=path)
    with pytest.raises(CheckpointError, match=rf"vae.h5' holds another training: {message}\. Resume it"):
        train(_vae(), pairs, _config(**changes), checkpoint=path, resume=True)


def test_resuming_with_other_data_or_another_start_names_it(pairs: PairSet, tmp_path: Path) -> None:
    path = tmp_path / "vae.h5"
    train(_vae(), pairs, _config(epochs=1), checkpoint=path)
    other = dataclasses.replace(pairs, labels=pairs.labels.flip(0))
    with pytest.raises(CheckpointError, match=r"another training: data was .{8}\.\.\., now"):
        train(_vae(), other, _config(), checkpoint=path, resume=True)
    start = build_model("defense-vae", _vae().settings, seed=2)
    with pytest.raises(CheckpointError, match=r"another training: first weights was"):
        train(start, pairs, _config(), checkpoint=path, resume=True)
    with pytest.raises(
        CheckpointError, match=r"model was defense-vae, now c2; model_settings was .*'width': 4"
    ):
        train(_c2(), pairs, _config(), checkpoint=path, resume=True)


def test_arrays_that_do_not_fit_are_named(pairs: PairSet, tmp_path: Path) -> None:
    path = tmp_path / "vae.h5"
    train(_vae(), pairs, _config(epochs=1), checkpoint=path)
    good = load_checkpoint(path)
    for name in ("model/mean.bias", "adam/mean.bias/exp_avg"):
        arrays = {key: value for key, value in good.arrays.items() if key != name}
        save_checkpoint(path, dataclasses.replace(good, arrays=arrays))
        with pytest.raises(CheckpointError, match=r"vae.h5' is malformed: .*mean.bias"):
            train(_vae(), pairs, _config(), checkpoint=path, resume=True)
    save_checkpoint(
        path, dataclasses.replace(good, arrays={**good.arrays, "adam/x": good.arrays["model/mean.bias"]})
    )
    with pytest.raises(CheckpointError, match=r"vae.h5' is malformed: it holds other arrays"):
        train(_vae(), pairs, _config(), checkpoint=path, resume=True)


def test_a_loss_that_is_not_finite_stops_with_advice(pairs: PairSet, tmp_path: Path) -> None:
    path = tmp_path / "vae.h5"
    train(_vae(), pairs, _config(epochs=1), checkpoint=path)
    before = file_digest(path)
    model = _vae()
    with torch.no_grad():
        model.log_variance.bias.fill_(float("inf"))
    with pytest.raises(
        SleepDefenseError, match=r"the loss became (nan|inf) in epoch 1 of 3: lower the learning"
    ):
        train(model, pairs, _config(), checkpoint=tmp_path / "other.h5")
    assert not (tmp_path / "other.h5").exists()
    assert file_digest(path) == before


def test_progress_counts_images(pairs: PairSet) -> None:
    told: list[tuple[int, int, str]] = []
    train(_vae(), pairs, _config(epochs=2), progress=lambda *what: told.append(what))
    assert [done for done, _, _ in told] == [8, 16, 19, 27, 35, 38]
    assert {total for _, total, _ in told} == {38}
    assert told[0][2] == "epoch 1 of 2"
    assert told[-1][2].startswith("epoch 2 of 2, loss ")


@pytest.mark.parametrize("pairing", ["sample", "all"])
def test_every_image_is_shown(pairs: PairSet, pairing: str) -> None:
    """A model that only listens: once an epoch each image, or each pair."""
    seen: list[tuple[int, int]] = []

    class Listener(_Linear):
        def loss(
            self, noisy: torch.Tensor, clean: torch.Tensor, label: torch.Tensor, *, generator: torch.Generator
        ) -> torch.Tensor:
            for one, target in zip(noisy, clean, strict=True):
                image = int((pairs.clean == target).flatten(1).all(1).nonzero()[0])
                levels = (one * 255).round().to(torch.uint8)
                seen.append((int((pairs.noisy[:, image] == levels).flatten(1).all(1).nonzero()[0]), image))
            return self.layer(noisy.flatten(1)).square().mean()

    train(Listener(), pairs, _config(epochs=2, pairing=pairing))
    epochs = [seen[: len(seen) // 2], seen[len(seen) // 2 :]]
    assert epochs[0] != epochs[1]
    for epoch in epochs:
        if pairing == "all":
            assert sorted(epoch) == [(variant, image) for variant in range(3) for image in range(19)]
        else:
            assert sorted(image for _, image in epoch) == list(range(19))
            assert {variant for variant, _ in epoch} == {0, 1, 2}


class _Linear(AbstractAwakeModel):
    name = "linear"

    def __init__(self) -> None:
        super().__init__({})
        self.layer = torch.nn.Linear(64, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layer(image.flatten(1))


def test_a_rest_of_one_image_joins_the_batch_before(pairs: PairSet) -> None:
    """17 images in batches of 8: a batch of one would break the batch norm of a 1x1 map."""
    few = PairSet(
        variants=pairs.variants, noisy=pairs.noisy[:, :17], clean=pairs.clean[:17], labels=pairs.labels[:17]
    )
    told: list[int] = []
    train(_vae(), few, _config(epochs=1), progress=lambda done, total, text: told.append(done))
    assert told == [8, 17]


def test_too_few_images_are_an_error(pairs: PairSet) -> None:
    one = PairSet(
        variants=pairs.variants, noisy=pairs.noisy[:, :1], clean=pairs.clean[:1], labels=pairs.labels[:1]
    )
    with pytest.raises(ConfigError, match="1 images in a batch are too few: expected 2 or more"):
        train(_vae(), one, _config())


def test_precision_of_one_call_does_not_leak_into_the_next(pairs: PairSet) -> None:
    mine = Accelerator(cpu=True)
    plain = train(_vae(), pairs, _config())
    mixed = train(_vae(), pairs, _config(precision="bf16"))
    again = train(_vae(), pairs, _config())
    assert _state(mixed.model) != _state(plain.model)
    assert _state(again.model) == _state(plain.model)
    assert mine.mixed_precision == "no"
    assert Accelerator().state.device.type == "cpu"


def test_what_the_machine_cannot_do_is_an_error(pairs: PairSet) -> None:
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"train.device is 'cuda', but torch finds no GPU here"):
            train(_vae(), pairs, _config(device="cuda"))
    with pytest.raises(ConfigError, match=r"train.precision 'fp16' needs a GPU: use 'bf16' or 'no'"):
        train(_vae(), pairs, _config(precision="fp16", device="cpu"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "train.epochs must be >= 1, got 0"),
        ({"batch_size": 1}, "train.batch_size must be >= 2, got 1"),
        ({"seed": -1}, "train.seed must be >= 0, got -1"),
        ({"learning_rate": 0.0}, "train.learning_rate must be > 0, got 0.0"),
        ({"learning_rate": float("nan")}, "train.learning_rate must be > 0, got nan"),
        ({"device": "tpu"}, "train.device must be one of auto, cpu, cuda, got 'tpu'"),
        ({"precision": "half"}, "train.precision must be one of no, bf16, fp16, got 'half'"),
        ({"pairing": "some"}, "train.pairing must be one of sample, all, got 'some'"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _config(**changes)


def test_resume_needs_a_file_and_excludes_force(pairs: PairSet, tmp_path: Path) -> None:
    for keywords in ({}, {"checkpoint": tmp_path / "x.h5", "force": True}):
        with pytest.raises(ConfigError, match="resume needs a checkpoint to go on from, and excludes force"):
            train(_vae(), pairs, _config(), resume=True, **keywords)


SHARED = """
import sys
from pathlib import Path
from sleepdefense.checkpoint import load_checkpoint, save_checkpoint
from sleepdefense.data import ImageSet
from sleepdefense.models import awake_checkpoint, build_model
from sleepdefense.training import TrainConfig, train_classifier
import torch

images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
data = ImageSet(name="noise", images=images, labels=torch.arange(20) % 10, num_classes=10)
start = build_model("c4", {"hidden": 8, "size": 8}, seed=1)
config = TrainConfig(epochs=2, batch_size=8, device="cpu", learning_rate=0.01)
result = train_classifier(start, data, config)
save_checkpoint(Path(sys.argv[1]), awake_checkpoint(result.model, provenance={"losses": result.losses}))
"""


@pytest.mark.long  # two interpreters load torch
def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    script = tmp_path / "shared.py"
    script.write_text(SHARED)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / f"{rank}.h5")],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=120)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    namespace: dict[str, Any] = {}
    exec(SHARED.replace("sys.argv[1]", repr(str(tmp_path / "one.h5"))), namespace)
    assert file_digest(tmp_path / "0.h5") == file_digest(tmp_path / "1.h5")
    one, two = load_checkpoint(tmp_path / "one.h5"), load_checkpoint(tmp_path / "0.h5")
    assert two.provenance["losses"] == pytest.approx(one.provenance["losses"], rel=1e-5)
    for name, array in one.arrays.items():
        # Sums in another order, and Adam divides tiny gradients by tiny gradients.
        np.testing.assert_allclose(two.arrays[name], array, atol=1e-3)


def test_training_continues_from_a_trained_model(pairs: PairSet) -> None:
    """A result is a model like any other: it can be trained again, and copied."""
    first = train(_vae(), pairs, _config(epochs=1)).model
    second = train(copy.deepcopy(first), pairs, _config(epochs=1)).model
    assert _state(second) != _state(first)
