"""How the weights of each layer are distributed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from sleepdefense.errors import EvaluationError


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightDistribution:
    """The weights of one layer, biases left out.

    Attributes:
        layer: Its name.
        count: Number of weights.
        mean: Their mean.
        deviation: Their standard deviation, of the population.
        lowest: The smallest one.
        highest: The largest one.
        excess_kurtosis: m4 / m2^2 - 3: 0 for a normal distribution.
        edges: Of the histogram, (bin + 1,).
        density: Share of the weights in each bin, divided by its width, (bin,).
    """

    layer: str
    count: int
    mean: float
    deviation: float
    lowest: float
    highest: float
    excess_kurtosis: float
    edges: NDArray[np.float64]
    density: NDArray[np.float64]


def excess_kurtosis(values: Float[Tensor, "*any"]) -> float:
    """Return the excess kurtosis of numbers, the fourth central moment over the squared second one, minus 3.

    Args:
        values: At least two different numbers, any shape; computed in float64, with population moments.

    Raises:
        EvaluationError: They are all the same.

    Source:
        Nayebi and Ganguli 2017, Figure 1: gamma_2. SciPy's `kurtosis(values, fisher=True, bias=True)`.

    >>> excess_kurtosis(Tensor([-1.0, 1.0]))
    -2.0
    """
    flat = values.detach().double().flatten()
    central = flat - flat.mean()
    variance = central.square().mean()
    if not variance > 0:
        raise EvaluationError(f"{flat.numel()} equal numbers have no kurtosis")
    return float(central.pow(4).mean() / variance.square() - 3)


def weight_distributions(model: nn.Module, *, bins: int = 101) -> tuple[WeightDistribution, ...]:
    """Describe the weights of every linear map and convolution of a network.

    Args:
        model: Any module.
        bins: Of the histograms, >= 1.

    Returns:
        One entry for each layer, in the order of the module.

    Raises:
        EvaluationError: It has no such layer, or all weights of one are the same.

    Source:
        Nayebi and Ganguli 2017, Figure 1.
    """
    layers = [
        (name, module.weight.detach().double().flatten().cpu())
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
    ]
    if not layers:
        raise EvaluationError(f"a {type(model).__name__} has no linear map and no convolution")
    found = []
    for name, weight in layers:
        density, edges = np.histogram(weight.numpy(), bins=bins, density=True)
        found.append(
            WeightDistribution(
                layer=name,
                count=weight.numel(),
                mean=float(weight.mean()),
                deviation=float(weight.std(correction=0)),
                lowest=float(weight.min()),
                highest=float(weight.max()),
                excess_kurtosis=excess_kurtosis(weight),
                edges=edges,
                density=density,
            )
        )
    return tuple(found)
