import io
import os
import pickle
from pathlib import Path

import pytest
import torch

from sleepdefense.checkpoint import load_checkpoint, save_checkpoint
from sleepdefense.data import load_data
from sleepdefense.errors import CheckpointError
from sleepdefense.models import awake_checkpoint, awake_from_file, build_model, public_weights
from sleepdefense.models.public_weights import (
    PICKLE_START,
    PUBLIC_WEIGHTS,
    PublicWeights,
    cnn_from_published,
    load_public_weights,
)

SHAPES = ((20, 1, 5), (70, 20, 4), (256, 70, 3), (10, 256, 5))


def published_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Tensors under the names and of the shapes of the published files."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for number, (maps, inputs, kernel) in enumerate(SHAPES):
        state[f"conv_{number}.weight"] = torch.randn(maps, inputs, kernel, kernel, generator=generator) / 20
        state[f"conv_{number}.bias"] = torch.randn(maps, generator=generator)
        if number < 3:
            for name in ("weight", "bias", "running_mean", "running_var"):
                state[f"bn_{number}.{name}"] = torch.rand(maps, generator=generator)
    return state


def write(path: Path, content: object) -> Path:
    """Write a file in torch's old format."""
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is declared to be a published one."""
    path = write(tmp_path / "weights.net", published_state())
    digest = public_weights.file_digest(path)
    monkeypatch.setitem(PUBLIC_WEIGHTS, digest, PublicWeights("my_cnn.net", "vanilla-cnn"))
    return path


def reference(state: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """The published network, layer by layer: kernels 5, 4, 3, 5, strides 1, 2, 2, 1, batch norm and ELU."""
    for number, stride in enumerate((1, 2, 2, 1)):
        images = torch.nn.functional.conv2d(
            images, state[f"conv_{number}.weight"], state[f"conv_{number}.bias"], stride=stride
        )
        if number < 3:
            names = ("running_mean", "running_var", "weight", "bias")
            images = torch.nn.functional.batch_norm(images, *(state[f"bn_{number}.{name}"] for name in names))
            images = torch.nn.functional.elu(images)
    return images.flatten(1)


def test_a_known_file_becomes_the_network_it_was_saved_from(known: Path) -> None:
    model = awake_from_file(known)
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    assert model.name == "vanilla-cnn"
    assert not model.training
    with torch.no_grad():
        torch.testing.assert_close(model(images), reference(published_state(), images))


def test_the_binary_cnn_sees_black_and_white() -> None:
    model = cnn_from_published("binary-cnn", published_state())
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(published_state(), (images >= 0.5).float())
        torch.testing.assert_close(model(images), expected)


def test_what_is_loaded_can_be_saved_as_a_checkpoint(known: Path, tmp_path: Path) -> None:
    model = awake_from_file(known)
    save_checkpoint(tmp_path / "cnn.h5", awake_checkpoint(model, provenance={}))
    again = awake_from_file(tmp_path / "cnn.h5")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_a_checkpoint_is_loaded_too_and_other_kinds_are_named(tmp_path: Path) -> None:
    model = build_model("c4", {"hidden": 2, "size": 2}, seed=0)
    checkpoint = awake_checkpoint(model, provenance={})
    save_checkpoint(tmp_path / "c4.h5", checkpoint)
    assert awake_from_file(tmp_path / "c4.h5").name == "c4"
    with pytest.raises(CheckpointError, match=r"c4\.h5' is no published weight file"):
        load_public_weights(tmp_path / "c4.h5")
    assert load_checkpoint(tmp_path / "c4.h5").kind == "awake"


@pytest.mark.parametrize("number", range(10))
def test_a_file_of_abs_is_recognised_and_asks_for_the_others(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = next(key for key, found in PUBLIC_WEIGHTS.items() if found.name == f"ABS_{number}.net")
    monkeypatch.setattr(public_weights, "file_digest", lambda path: digest)
    path = write(tmp_path / "renamed.net", {})
    with pytest.raises(CheckpointError, match=r"lacks the published files .*needs all ten"):
        awake_from_file(path)


class Harmful:
    """A pickle that runs a command when it is opened carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "mark"
    path = write(tmp_path / "harmful.net", Harmful(mark))
    with pytest.raises(
        CheckpointError, match=r"harmful\.net' is a pickle of torch and none of the published"
    ):
        awake_from_file(path)
    # and not even where its content was taken for a known one
    digest = public_weights.file_digest(path)
    monkeypatch.setitem(PUBLIC_WEIGHTS, digest, PublicWeights("my_cnn.net", "vanilla-cnn"))
    with pytest.raises(pickle.UnpicklingError):
        awake_from_file(path)
    assert not mark.exists()


@pytest.mark.parametrize("kept", [1, 14, 15, 500, 50_000])
def test_a_file_that_was_cut_off_is_refused(known: Path, kept: int) -> None:
    known.write_bytes(known.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"weights\.net' is"):
        awake_from_file(known)


@pytest.mark.parametrize("place", [0, 20, 5000, -1])
def test_a_file_with_one_other_byte_is_refused(known: Path, place: int) -> None:
    content = bytearray(known.read_bytes())
    content[place] ^= 1
    known.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=r"weights\.net' is"):
        awake_from_file(known)


def _zip_file() -> bytes:
    buffer = io.BytesIO()
    torch.save(published_state(), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"hello", pickle.dumps({}), _zip_file(), PICKLE_START], ids=range(5)
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.net"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"other\.net' is"):
        awake_from_file(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no file"):
        awake_from_file(tmp_path / "nothing.net")
    with pytest.raises(CheckpointError, match="is a folder"):
        awake_from_file(tmp_path)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_tensors_of_another_network_are_refused(change: str) -> None:
    state = published_state()
    match change:
        case "missing":
            del state["bn_1.running_mean"]
        case "extra":
            state["conv_4.weight"] = torch.zeros(1)
        case "shape":
            state["conv_0.bias"] = torch.zeros(21)
    with pytest.raises(CheckpointError, match="the tensors are not those of a published 'vanilla-cnn'"):
        cnn_from_published("vanilla-cnn", state)


@pytest.mark.long
@pytest.mark.skipif("SLEEPDEFENSE_DATA" not in os.environ, reason="needs MNIST and the published files")
@pytest.mark.parametrize(
    ("file", "binarised", "correct"),
    [("vanilla_cnn", False, 9935), ("vanilla_cnn", True, 9882), ("binary_cnn", False, 9871)],
)
def test_published_networks_classify_mnist(file: str, binarised: bool, correct: int) -> None:
    path = Path(os.environ["SLEEPDEFENSE_DATA"]) / "abs" / f"{file}.net"
    if not path.exists():
        pytest.skip(f"no file '{path}'")
    model: torch.nn.Module = awake_from_file(path)
    _, test = load_data("mnist", limit=1)
    found = 0
    with torch.no_grad():
        for images, labels in zip(test.images.split(500), test.labels.split(500), strict=True):
            seen = (images >= 0.5).float() if binarised else images
            found += int((model(seen).argmax(1) == labels).sum())
    assert found == correct
