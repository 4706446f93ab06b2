"""Weights that others have published, recognised by the SHA-256 of their file.

The file is a pickle, of which only tensors are read (`weights_only`). Even that happens to known files only:
one that was changed, cut off or merely looks like them is refused before torch sees it. And two of the known
files hold tensors of the same names and shapes for different networks, which only their content tells apart.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from sleepdefense.checkpoint import file_digest
from sleepdefense.errors import CheckpointError
from sleepdefense.models.base import AbstractAwakeModel
from sleepdefense.models.registry import build_model
from sleepdefense.models.synthesis import ABS

PICKLE_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How every file of torch's old format begins: the pickled number that names the format."""


class PublicWeights(NamedTuple):
    """One published file.

    Attributes:
        name: Its name where it was published.
        model: A key of `MODELS`, or "abs", of whose network each file is a tenth.
    """

    name: str
    model: str


_ABS_DIGESTS = (
    "7e824714475516ff59ceec4b864fd8cd49a3346e12eba3b5bd51ef4dbc3777fc",
    "84d13bf9f97194c26b68eefbd7cd4db14b8e7532e164c01a15cce7c4f5e015cb",
    "206904c278bb4255bff6a249586627a29371232d086636abb6f897ae81ef733c",
    "144cafe539b528de4c8108ba69506839bb29af1603f19e8a62ec64596df4202c",
    "7e2c626b8b52f5459c384d2d1f266c03ccc5ea8b4450d8078bc819b6b488682f",
    "41ed13bfc331965e057b4833cd644f9734a8177077e5dd419e490f7c4b5fb583",
    "f8b8a6e440ee99e0f132b1ffc02794a02b49f19d27eca849e1bfca5206695b13",
    "02135d7215afa1a1f4bce5f0407249da402674ba0a5559e132b47a28b7937737",
    "cccd26a1d64ed713dc8812417db57a0e1eb32637a1fd653c59ab606b4aa622a6",
    "bb45e988ba1e33cdcdf75a25763d15d1fe849f38a5098f5fca5b3741a599f784",
)

_BIABS_FACTORS = (1.0, 0.96, 1.001, 1.06, 0.98, 0.96, 1.03, 1.0, 1.0, 1.0)
"""What the published code multiplies the bounds of biABS with, class by class."""

PUBLIC_WEIGHTS: dict[str, PublicWeights] = {
    "e6fb230a8bcc03caa62cf3ae8bc0f4d976a32c467cc1862fd31cf576e1520b35": PublicWeights(
        "vanilla_cnn.net", "vanilla-cnn"
    ),
    "b898bccba190435d5ef3a133454d29f096d77a77da35c5130e1a8aca704b5cc4": PublicWeights(
        "binary_cnn.net", "binary-cnn"
    ),
} | {digest: PublicWeights(f"ABS_{number}.net", "abs") for number, digest in enumerate(_ABS_DIGESTS)}
"""Published files by the SHA-256 of their bytes.

All are of Schott et al. 2019, github.com/bethgelab/AnalysisBySynthesis, folder exp/VAE_swarm_MSE/nets,
Apache-2.0: the baseline CNN, the CNN trained for binary images, and the ten autoencoders of ABS.
"""


def find_public_weights(path: Path) -> PublicWeights | None:
    """Return what a file is if it is in torch's old format; None for any other file.

    Raises:
        CheckpointError: It is in torch's old format and none of `PUBLIC_WEIGHTS`, or cannot be read.
    """
    digest = file_digest(path)
    if digest in PUBLIC_WEIGHTS:
        return PUBLIC_WEIGHTS[digest]
    with path.open("rb") as stream:
        if stream.read(len(PICKLE_START)) != PICKLE_START:
            return None
    known = ", ".join(f"'{found.name}'" for found in PUBLIC_WEIGHTS.values())
    raise CheckpointError(
        f"'{path}' is a pickle of torch and none of the published files that are known by their content "
        f"({known}): it is not opened. Load it yourself and save the model with save_checkpoint"
    )


def load_public_weights(path: Path | str) -> AbstractAwakeModel:
    """Build the network that a published file holds the weights of.

    Args:
        path: One of the files of `PUBLIC_WEIGHTS`, under any name. One autoencoder of ABS stands for all
            ten, which must lie in its folder.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: The file is none of them, or holds a network that cannot be built here.
    """
    path = Path(path)
    found = find_public_weights(path)
    if found is None:
        raise CheckpointError(f"'{path}' is no published weight file")
    if found.model == "abs":
        return load_published_abs(path.parent)
    state = torch.load(path, map_location="cpu", weights_only=True)
    return cnn_from_published(found.model, state)


def load_published_abs(folder: Path | str, *, binary: bool = False) -> ABS:
    """Build the ABS network whose ten published autoencoders lie in a folder.

    Args:
        folder: Where the files are, under any names.
        binary: Build biABS, which has the same weights, and factors of its classes.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: A file is missing.
    """
    folder = Path(folder)
    found = {known.name: path for path in sorted(folder.iterdir()) if (known := _known_abs(path)) is not None}
    names = [f"ABS_{number}.net" for number in range(len(_ABS_DIGESTS))]
    missing = [name for name in names if name not in found]
    if missing:
        raise CheckpointError(
            f"'{folder}' lacks the published files {', '.join(missing)}: an ABS network needs all ten"
        )
    states = [torch.load(found[name], map_location="cpu", weights_only=True) for name in names]
    return abs_from_published(states, binary=binary)


def abs_from_published(states: Sequence[Mapping[str, Tensor]], *, binary: bool = False) -> ABS:
    """Build an ABS network from the tensors of its autoencoders under their published names.

    Args:
        states: For each class "Encoder.conv_0.weight", "Encoder.bn_0.weight", ..., "Decoder.conv_3.bias".
        binary: Build biABS.

    Returns:
        The model, in evaluation mode.

    Raises:
        CheckpointError: The tensors are not those of the network.
    """
    model = build_model("biabs" if binary else "abs", {"num_classes": len(states)}, seed=0)
    assert isinstance(model, ABS)
    own = model.state_dict()
    # not in the files: counters of batches, which no result depends on, the latents to start from, factors
    ours = {key: own[key] for key in own if key.endswith(("batches_tracked", "starts", "class_factor"))}
    try:
        for key in states[0]:
            part, _, rest = key.partition(".")
            ours[f"{part.lower()}.{_our_name(rest)}"] = torch.cat([state[key] for state in states])
        if binary and len(states) == len(_BIABS_FACTORS):
            ours["class_factor"] = torch.tensor(_BIABS_FACTORS)
        model.load_state_dict(ours)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"the tensors are not those of a published ABS network: {error}") from error
    return model.eval()


def _known_abs(path: Path) -> PublicWeights | None:
    if not path.is_file():
        return None
    known = PUBLIC_WEIGHTS.get(file_digest(path))
    return known if known is not None and known.model == "abs" else None


def cnn_from_published(name: str, state: Mapping[str, Tensor]) -> AbstractAwakeModel:
    """Build the CNN of Schott et al. from tensors under their published names.

    Args:
        name: "vanilla-cnn" or "binary-cnn".
        state: "conv_0.weight", "conv_0.bias", "bn_0.weight", ..., "conv_3.bias".

    Returns:
        The model, in evaluation mode.

    Raises:
        CheckpointError: The tensors are not those of the network.
    """
    model = build_model(name, {}, seed=0)
    prefix = "layers." if name == "vanilla-cnn" else "network.layers."
    ours = {f"{prefix}{_our_name(key)}": value for key, value in state.items()}
    # the files are older than the counter of batches, which no result depends on
    counters = {key: value for key, value in model.state_dict().items() if key.endswith("batches_tracked")}
    try:
        model.load_state_dict({**counters, **ours})
    except RuntimeError as error:
        raise CheckpointError(f"the tensors are not those of a published '{name}': {error}") from error
    return model.eval()


def _our_name(published: str) -> str:
    """Return the name within our layers: conv_2.bias is 6.bias, bn_2.bias is 7.bias."""
    layer, _, rest = published.partition(".")
    kind, _, number = layer.partition("_")
    if kind not in ("conv", "bn") or not number.isdecimal():
        return published
    return f"{3 * int(number) + (kind == 'bn')}.{rest}"
