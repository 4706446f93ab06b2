"""What flows into and out of the units of each layer, of any network of torch.

The network's own forward pass is watched: every call of a linear map or a convolution begins a layer, a batch
norm right behind it belongs to it, and the first element-wise function behind that is what its units do. So
it makes no difference whether the network calls modules or functions, and gradients flow.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from sleepdefense.errors import EvaluationError

Unit = Callable[[Tensor], Tensor]
"""What the units of a layer do to their input, element by element."""

_MAPS: tuple[object, ...] = (
    F.linear,
    F.conv1d,
    F.conv2d,
    F.conv3d,
    F.conv_transpose1d,
    F.conv_transpose2d,
    F.conv_transpose3d,
)
_NORMS: tuple[object, ...] = (F.batch_norm, torch.batch_norm)
_UNITS: dict[object, str] = {
    F.relu: "relu",
    torch.relu: "relu",
    Tensor.relu: "relu",
    torch.relu_: "relu",
    Tensor.relu_: "relu",
    F.relu6: "relu6",
    torch.sigmoid: "sigmoid",
    Tensor.sigmoid: "sigmoid",
    F.sigmoid: "sigmoid",
    torch.tanh: "tanh",
    Tensor.tanh: "tanh",
    F.tanh: "tanh",
    F.hardtanh: "hardtanh",
    F.hardsigmoid: "hardsigmoid",
    F.elu: "elu",
    F.selu: "selu",
    F.gelu: "gelu",
    F.silu: "silu",
    F.leaky_relu: "leaky_relu",
    F.softplus: "softplus",
    F.softsign: "softsign",
}
IDENTITY = "identity"
"""What the units of a layer do that no element-wise function follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerActivity:
    """One layer, as it answered one batch.

    Attributes:
        name: Of the module that holds its weights, "layers.1"; "layers.1#2" where it is used again.
        drive: What flows into its units, h^l, (batch, *unit).
        activity: What flows out, phi(h^l), (batch, *unit); the drive itself if no function follows.
        unit: What its units do: "relu", "sigmoid", ... or "identity".
    """

    name: str
    drive: Tensor
    activity: Tensor
    unit: str


@dataclass(slots=True)
class _Seen:
    name: str
    drive: Tensor
    kept: Tensor
    activity: Tensor | None = None
    unit: str = IDENTITY


class _Watch(TorchFunctionMode):
    """Notes, in the order of computation, the layers of a network."""

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self.names = names
        self.seen: list[_Seen] = []

    @override
    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        source = args[0] if args and isinstance(args[0], Tensor) else keywords.get("input")
        layer = next((each for each in reversed(self.seen) if each.drive is source), None)
        result = func(*args, **keywords)
        if not isinstance(result, Tensor):
            return result
        if func in _MAPS:
            weight = args[1] if len(args) > 1 else keywords["weight"]
            self._begin(self.names.get(id(weight), f"map {len(self.seen)}"), result)
        elif layer is not None and func in _NORMS:
            layer.drive, layer.kept = result, result.clone()
        elif layer is not None and layer.activity is None and func in _UNITS:
            layer.activity, layer.unit = result, _UNITS[func]
        return result

    def _begin(self, name: str, drive: Tensor) -> None:
        uses = sum(each.name.partition("#")[0] == name for each in self.seen)
        # the copy stays as it is when a function works in place
        self.seen.append(_Seen(f"{name}#{uses + 1}" if uses else name, drive, drive.clone()))


def layer_activity(model: nn.Module, images: Tensor) -> tuple[LayerActivity, ...]:
    """Run a network and return what happened in each layer, in the order of computation.

    Args:
        model: Any feed-forward module. It is only read; its mode is left as it is.
        images: (batch, *unit).

    Returns:
        One entry for each linear map and convolution, the readout last. Gradients flow through all of it,
        unless the caller switched them off.

    Raises:
        EvaluationError: The network calls no linear map and no convolution.

    Source:
        Nayebi and Ganguli 2017, section 2: h^l = W^l x^(l-1) + b^l and x^l = phi(h^l).
    """
    return logits_and_layers(model, images)[1]


def logits_and_layers(model: nn.Module, images: Tensor) -> tuple[Tensor, tuple[LayerActivity, ...]]:
    """Return what a network gives, and each layer on the way to it, as in `layer_activity`."""
    names = {id(weight): name.removesuffix(".weight") for name, weight in model.named_parameters()}
    watch = _Watch(names)
    with watch:
        logits: Tensor = model(images)
    if not watch.seen:
        raise EvaluationError(
            f"a {type(model).__name__} calls no linear map and no convolution: it has no layer to look at"
        )
    return logits, tuple(
        LayerActivity(
            name=layer.name,
            drive=layer.kept,
            activity=layer.kept if layer.activity is None else layer.activity,
            unit=layer.unit,
        )
        for layer in watch.seen
    )
