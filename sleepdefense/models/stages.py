"""Find the stages of any feed-forward module by tracing it.

The result is a graph of plain facts: which map feeds which unit, where a batch norm follows, what shape
everything has. Whoever converts the network reads this graph and never the module's source. A layer that
has no place in it is an error that names the layer; nothing is skipped silently.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from sleepdefense.errors import ConversionError
from sleepdefense.models.layer_kinds import (
    ADD_CALLS,
    AVERAGE_CALLS,
    AVERAGE_MODULES,
    IDENTITY_CALLS,
    IDENTITY_MODULES,
    LINEAR_MODULES,
    MAX_CALLS,
    MAX_MODULES,
    NORM_MODULES,
    RESHAPE_CALLS,
    RESHAPE_MODULES,
    SUPPORTED,
    UNIT_CALLS,
    UNIT_MODULES,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageNode:
    """One operation of the traced network.

    Attributes:
        name: Dotted module name ("encoder.0"), or the traced name of a function ("add").
        op: "input", "conv1d", "conv2d", "conv_transpose2d", "linear", "affine" (a batch norm on its own),
            "relu", "sigmoid", "tanh", "max_pool", "average", "reshape", "upsample", "pad" or "add".
        inputs: Names of the nodes that feed it.
        shape: Shape of its output, without the batch axis.
        module: Dotted name of the module that holds its weights, if any.
        norm: Dotted name of the batch norm that follows it and is folded into it, if any.
        apply: What it computes, for operations without weights.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    module: str | None = None
    norm: str | None = None
    apply: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGraph:
    """The traced network: nodes in the order in which they are computed.

    Attributes:
        nodes: All operations, inputs before users.
        outputs: Name of each result of the network -> name of the node that computes it.
        removed: Layers that leave no trace in a network at rest (dropout, identity), with the reason.
    """

    nodes: tuple[StageNode, ...]
    outputs: Mapping[str, str]
    removed: tuple[tuple[str, str], ...] = field(default=())

    def node(self, name: str) -> StageNode:
        """Return the node called `name`."""
        return next(node for node in self.nodes if node.name == name)

    def users(self, name: str) -> tuple[StageNode, ...]:
        """Return the nodes that `name` feeds."""
        return tuple(node for node in self.nodes if name in node.inputs)


class _Tracer(fx.Tracer):
    """Looks into no layer that has a place in the graph."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in LINEAR_MODULES or super().is_leaf_module(m, module_qualified_name)


class _Shapes(fx.Interpreter):
    """Runs the traced graph once and remembers every value that is a tensor."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        self.values[n.name] = value
        return value


@torch.no_grad()
def trace_stages(model: nn.Module, example: Tensor) -> StageGraph:
    """Trace `model` in evaluation mode and return its stages.

    A model with a method `outputs(image) -> dict` (a variational autoencoder: image, mean, log variance) is
    traced through that method; any other through `forward`, whose result is a tensor, a tuple or a dict.

    Args:
        model: Any feed-forward module. It is only read.
        example: At least one input, (batch, *unit); its values do not matter, its shape does.

    Returns:
        The graph of stages, with batch norms attached to the maps they follow.

    Raises:
        ConversionError: The control flow depends on data, a layer is not supported, a layer with weights
            is used twice, or an operation mixes the images of a batch.
    """
    method = "outputs" if callable(getattr(model, "outputs", None)) else "forward"
    tracer = _Tracer()
    tracer.traced_func_name = method
    model = copy.deepcopy(model).eval()
    try:
        graph = tracer.trace(model)
        interpreter = _Shapes(fx.GraphModule(model, graph))
        interpreter.run(example[:1].expand(2, *example.shape[1:]))
    except (fx.proxy.TraceError, TypeError) as error:
        raise ConversionError(
            f"the network {type(model).__name__!r} cannot be traced: {error}. Write its {method}() without "
            "branches or loops that depend on the input."
        ) from error
    if len([node for node in graph.nodes if node.op == "placeholder"]) != 1:
        raise ConversionError(
            f"{method}() of {type(model).__name__!r} takes several inputs, expected one: the image"
        )
    return _Lowering(model, graph, interpreter.values).run()


class _Lowering:
    """Turns one traced graph into stages."""

    def __init__(self, model: nn.Module, graph: fx.Graph, values: dict[str, Any]) -> None:
        self.modules = dict(model.named_modules())
        self.graph = graph
        self.values = values
        self.nodes: list[StageNode] = []
        self.removed: list[tuple[str, str]] = []
        self.alias: dict[str, str] = {}  # traced name -> stage name
        self.outputs: dict[str, str] = {}

    def run(self) -> StageGraph:
        for node in self.graph.nodes:
            if node.op == "output":
                self._output(node.args[0])
            elif isinstance(self.values.get(node.name), Tensor):
                self._lower(node)
        return StageGraph(nodes=tuple(self.nodes), outputs=self.outputs, removed=tuple(self.removed))

    def _lower(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self._add(node, "input", ())
        elif node.op == "get_attr":
            raise ConversionError(
                f"the network uses the tensor {node.target!r} directly, outside any layer. Put it into a "
                f"supported layer: {SUPPORTED}."
            )
        elif node.op == "call_module":
            self._module(node)
        else:
            self._call(node)

    def _module(self, node: fx.Node) -> None:
        name = str(node.target)
        module = self.modules[name]
        kind = type(module)
        if kind in LINEAR_MODULES:
            self._linear(node, name, module)
        elif kind in NORM_MODULES:
            self._norm(node, name)
        elif kind in UNIT_MODULES:
            self._add(node, UNIT_MODULES[kind], self._inputs(node))
        elif kind in IDENTITY_MODULES:
            self._remove(node, name, f"{kind.__name__} does nothing in a network at rest")
        elif kind in RESHAPE_MODULES:
            self._reshape(node)
        elif kind in AVERAGE_MODULES:
            self._add(node, "average", self._inputs(node), apply=module)
        elif kind in MAX_MODULES:
            self._add(node, "max_pool", self._inputs(node), apply=module)
        elif kind is nn.Upsample and module.mode == "nearest":
            self._add(node, "upsample", self._inputs(node), apply=module)
        elif kind is nn.ZeroPad2d:
            self._add(node, "pad", self._inputs(node), apply=module)
        else:
            raise ConversionError(
                f"layer {name!r} is a {kind.__name__}, which has no spiking counterpart. Supported are "
                f"{SUPPORTED}. Replace it before training, or keep it outside the part that is converted."
            )

    def _call(self, node: fx.Node) -> None:
        target: Any = node.target
        if target in UNIT_CALLS:
            self._add(node, UNIT_CALLS[target], self._inputs(node)[:1])
        elif target in IDENTITY_CALLS:
            self._remove(node, node.name, "it does nothing in a network at rest")
        elif target in RESHAPE_CALLS:
            self._reshape(node)
        elif target in ADD_CALLS:
            self._sum(node)
        elif target in AVERAGE_CALLS:
            self._add(node, "average", self._inputs(node)[:1], apply=_bound(node))
        elif target in MAX_CALLS or getattr(target, "__name__", "").startswith("boolean_dispatch"):
            self._add(node, "max_pool", self._inputs(node)[:1], apply=_bound(node))
        elif target is F.interpolate and node.kwargs.get("mode", "nearest") == "nearest":
            self._add(node, "upsample", self._inputs(node)[:1], apply=_bound(node))
        elif target is F.pad and _pads_with_zero(node):
            self._add(node, "pad", self._inputs(node)[:1], apply=_bound(node))
        else:
            label = target if isinstance(target, str) else getattr(target, "__name__", str(target))
            raise ConversionError(
                f"operation {label!r} (at {node.name!r}) has no spiking counterpart. Supported are "
                f"{SUPPORTED}. Replace it before training, or keep it outside the part that is converted."
            )

    def _linear(self, node: fx.Node, name: str, module: nn.Module) -> None:
        if any(stage.module == name for stage in self.nodes):
            raise ConversionError(
                f"layer {name!r} is used twice. Shared weights cannot sleep apart: give each use its own."
            )
        if getattr(module, "padding_mode", "zeros") != "zeros":
            raise ConversionError(
                f"layer {name!r} pads with {module.padding_mode!r}, expected 'zeros'. Train it so."
            )
        self._add(node, LINEAR_MODULES[type(module)], self._inputs(node), module=name, name=name)

    def _norm(self, node: fx.Node, name: str) -> None:
        module = self.modules[name]
        if module.running_mean is None:
            raise ConversionError(
                f"layer {name!r} keeps no running statistics, so it depends on the batch. "
                "Train with track_running_stats=True."
            )
        (source,) = self._inputs(node)
        before = node.args[0]
        index, stage = next((i, s) for i, s in enumerate(self.nodes) if s.name == source)
        if stage.module and stage.norm is None and isinstance(before, fx.Node) and len(before.users) == 1:
            self.nodes[index] = StageNode(
                name=stage.name,
                op=stage.op,
                inputs=stage.inputs,
                shape=stage.shape,
                module=stage.module,
                norm=name,
            )
            self.alias[node.name] = source
        else:
            self._add(node, "affine", (source,), norm=name, name=name)

    def _sum(self, node: fx.Node) -> None:
        inputs = self._inputs(node)
        if len(inputs) != 2 or node.kwargs.get("alpha", 1) != 1:
            raise ConversionError(
                f"operation {node.name!r} adds a constant or a scaled branch; only the plain sum of two "
                "branches converts. Put the constant into a layer's bias."
            )
        shapes = {tuple(self.values[str(argument)].shape) for argument in node.args[:2]}
        if len(shapes) != 1:
            raise ConversionError(
                f"operation {node.name!r} adds branches of different shapes {sorted(shapes)}"
            )
        self._add(node, "add", inputs)

    def _reshape(self, node: fx.Node) -> None:
        shape = tuple(self.values[node.name].shape[1:])
        self._add(node, "reshape", self._inputs(node)[:1], apply=_Reshape(shape))

    def _remove(self, node: fx.Node, name: str, reason: str) -> None:
        self.removed.append((name, reason))
        self.alias[node.name] = self._inputs(node)[0]

    def _inputs(self, node: fx.Node) -> tuple[str, ...]:
        arguments = [*node.args, *node.kwargs.values()]
        return tuple(
            self.alias[argument.name]
            for argument in arguments
            if isinstance(argument, fx.Node) and argument.name in self.alias
        )

    def _add(
        self,
        node: fx.Node,
        op: str,
        inputs: tuple[str, ...],
        *,
        module: str | None = None,
        norm: str | None = None,
        name: str | None = None,
        apply: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        value = self.values[node.name]
        if value.shape[0] != 2:
            raise ConversionError(
                f"operation {node.name!r} changes the batch axis: 2 images became {value.shape[0]}. "
                "Keep the batch first, for example with flatten(1)."
            )
        name = name or (str(node.target) if node.op == "call_module" else node.name)
        if any(stage.name == name for stage in self.nodes):  # one ReLU module, used in several places
            name = f"{name}:{node.name}"
        self.alias[node.name] = name
        self.nodes.append(
            StageNode(
                name=name,
                op=op,
                inputs=inputs,
                shape=tuple(value.shape[1:]),
                module=module,
                norm=norm,
                apply=apply,
            )
        )

    def _output(self, result: Any) -> None:
        if isinstance(result, fx.Node):
            result = {"output": result}
        elif isinstance(result, tuple | list):
            result = {f"output{i}": value for i, value in enumerate(result)}
        if not isinstance(result, Mapping) or not all(
            isinstance(value, fx.Node) and value.name in self.alias for value in result.values()
        ):
            raise ConversionError("the network must return a tensor, or a tuple or dict of tensors")
        self.outputs = {key: self.alias[value.name] for key, value in result.items()}


@dataclass(frozen=True, slots=True)
class _Reshape:
    """Gives every image of a batch the same new shape."""

    shape: tuple[int, ...]

    def __call__(self, value: Tensor) -> Tensor:
        return value.reshape(value.shape[0], *self.shape)


@dataclass(frozen=True, slots=True)
class _Bound:
    """A function with all its arguments but the first."""

    function: Callable[..., Tensor]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def __call__(self, value: Tensor) -> Tensor:
        return self.function(value, *self.args, **self.kwargs)


def _bound(node: fx.Node) -> _Bound:
    kwargs = {key: value for key, value in node.kwargs.items() if key != "input"}
    target: Any = node.target
    return _Bound(target, tuple(node.args[1:]), kwargs)


def _pads_with_zero(node: fx.Node) -> bool:
    mode = node.kwargs.get("mode", node.args[2] if len(node.args) > 2 else "constant")
    value = node.kwargs.get("value", node.args[3] if len(node.args) > 3 else None)
    return mode == "constant" and not value
