"""Weights that others have published, from the shell."""

import json
from pathlib import Path

import pytest
import torch

from sleepdefense.cli.main import main
from sleepdefense.config import ConversionConfig
from sleepdefense.data import ImageSet
from sleepdefense.errors import ConversionError
from sleepdefense.models import awake_from_file, build_model, public_weights
from sleepdefense.models.public_weights import PUBLIC_WEIGHTS, PublicWeights
from sleepdefense.pipeline import Context, convert_step


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in torch's old format, under the published names, that is declared to be a published one."""
    state = {}
    for name, value in build_model("vanilla-cnn", {}, seed=0).state_dict().items():
        _, number, rest = name.split(".")
        if rest != "num_batches_tracked":
            state[f"{'bn' if int(number) % 3 else 'conv'}_{int(number) // 3}.{rest}"] = value
    path = tmp_path / "cnn.net"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    digest = public_weights.file_digest(path)
    monkeypatch.setitem(PUBLIC_WEIGHTS, digest, PublicWeights("cnn.net", "vanilla-cnn"))
    return path


def call(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return exit status, and stdout and stderr in one."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out + err


def test_published_weights_become_a_checkpoint(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cnn.h5"
    assert call("convert", weights, "--to", "awake", "--out", out, capsys=capsys) == (0, f"{out}: awake\n")
    found, expected = awake_from_file(out), build_model("vanilla-cnn", {}, seed=0)
    assert found.name == "vanilla-cnn"
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in expected.state_dict().items())
    first = out.read_bytes()
    assert call("convert", weights, "--to", "awake", "--out", out, capsys=capsys)[0] == 1
    assert call("convert", weights, "--to", "awake", "--out", out, "--resume", capsys=capsys)[0] == 0
    assert out.read_bytes() == first
    code, output = call("convert", out, "--to", "awake", "--out", tmp_path / "again.h5", capsys=capsys)
    assert code == 1
    assert "is awake already" in output


def test_a_network_of_elus_does_not_spike(weights: Path, tmp_path: Path) -> None:
    images = ImageSet(
        name="grey", images=torch.full((2, 1, 28, 28), 0.5), labels=torch.tensor([0, 1]), num_classes=10
    )
    with pytest.raises(ConversionError, match=r"'layers\.2' is a ELU, which has no spiking counterpart"):
        convert_step(weights, images, tmp_path / "spiking.h5", Context(), config=ConversionConfig())
    assert not (tmp_path / "spiking.h5").exists()


def test_published_weights_are_evaluated_in_black_and_white(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("eval", weights, "--limit", 4, "--attacks", "FGSM", "--no-checks", "--json")
    code, output = call(*arguments, "--binarise", 0.5, capsys=capsys)
    assert code == 0
    rows = json.loads(output)["rows"]
    assert [row["threat_model"] for row in rows] == ["none", "white-box", "adaptive"]
    assert len(rows[-1]["winners"]) == 7


def test_an_evaluation_is_written_as_a_page(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "r.h5", tmp_path / "page.md"
    attacks = ("--limit", 4, "--attacks", "FGSM,L2:BIM(steps=2)", "--no-checks", "--printed", "dim2022:CNN")
    arguments = ("eval", weights, *attacks, "--out", out, "--page", page)
    assert call(*arguments, capsys=capsys)[0] == 0
    text = page.read_text()
    assert text.startswith("# dim2022, column CNN: printed and measured\n")
    command = "sleepdefense eval cnn.net --limit 4 --attacks 'FGSM,L2:BIM(steps=2)' --no-checks --printed"
    assert f"{command} dim2022:CNN\n" in text
    assert "| Linf:FGSM | 7 % |" in text
    results = out.read_bytes()
    code, output = call(*arguments, "--resume", capsys=capsys)
    assert code == 1
    assert "page.md' exists: overwrite it with --force" in output
    assert call(*arguments, "--resume", "--force", "--so-far", capsys=capsys)[0] == 0
    assert page.read_text() == text
    assert out.read_bytes() == results
    code, output = call("eval", weights, *attacks, "--so-far", capsys=capsys)
    assert code == 1
    assert "name its --out" in output


def test_an_estimate_is_of_what_is_left(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.h5"
    arguments = ("eval", weights, "--limit", 4, "--attacks", "FGSM", "--no-checks")
    code, output = call(*arguments, "--out", out, "--estimate", "--json", capsys=capsys)
    assert code == 0
    before = json.loads(output)
    assert before["seconds"] == before["costs"][0]["seconds"] > 0
    assert not out.exists()
    assert call(*arguments, "--out", out, capsys=capsys)[0] == 0
    code, output = call(*arguments, "--out", out, "--estimate", "--resume", capsys=capsys)
    assert code == 0
    assert "finished" in output
    assert "all together: 0 s" in output
    code, output = call(*arguments, "--out", out, "--estimate", "--json", capsys=capsys)
    assert json.loads(output)["seconds"] > 0  # it would begin anew


def test_an_unknown_pickle_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.net"
    torch.save({}, path, _use_new_zipfile_serialization=False)
    code, output = call("convert", path, "--to", "awake", "--out", tmp_path / "mine.h5", capsys=capsys)
    assert code == 1
    assert output.count("\n") == 1
    assert "is a pickle of torch and none of the published files" in output
