"""How each network is trained at each scale, and led into saturation."""

from sleepdefense.config import ModelConfig
from sleepdefense.papers.nayebi2017.plan import NetworkPlan, Stage
from sleepdefense.training import Annealing, SaturationConfig

_MODELS = {
    "sigmoid MLP": "saturating-sigmoid-mlp",
    "ReLU MLP": "saturating-relu-mlp",
    "CNN": "saturating-cnn",
}
_SIZES: dict[str, dict[str, int]] = {
    "smoke": {"sigmoid MLP": 32, "ReLU MLP": 32, "CNN": 2},
    "cpu": {"sigmoid MLP": 200, "ReLU MLP": 200, "CNN": 8},
    "paper": {"sigmoid MLP": 1000, "ReLU MLP": 1000, "CNN": 32},
}
_EPOCHS: dict[str, dict[str, tuple[int, int]]] = {
    "smoke": {"sigmoid MLP": (5, 2), "ReLU MLP": (3, 2), "CNN": (2, 1)},
    "cpu": {"sigmoid MLP": (10, 5), "ReLU MLP": (10, 5), "CNN": (4, 2)},
    "paper": {"sigmoid MLP": (50, 50), "ReLU MLP": (50, 50), "CNN": (20, 20)},
}
_RATES = {"sigmoid MLP": 2e-3, "ReLU MLP": 1e-3, "CNN": 1e-3}


def network_plan(scale: str, network: str) -> NetworkPlan:
    """Return how one of `NETWORKS` is trained at a scale."""
    size = "width" if network == "CNN" else "hidden"
    epochs, adversarial = _EPOCHS[scale][network]
    return NetworkPlan(
        vanilla=ModelConfig(
            model=_MODELS[network],
            settings={size: _SIZES[scale][network]},
            epochs=epochs,
            learning_rate=_RATES[network],
        ),
        adversarial_epochs=adversarial,
        stages=_stages(scale, network),
    )


def _stages(scale: str, network: str) -> tuple[Stage, ...]:
    """Return a long rise at a high learning rate, and a rest at a low one.

    The convolutional network only rests: its printed step is its whole rise.
    """
    short = scale == "smoke"
    if network == "CNN":
        rise = Annealing(maximum=1e-5, increments=1, epochs=1)
        epochs = {"smoke": 1, "cpu": 3, "paper": 20}[scale]
        readout = SaturationConfig(annealing=rise, readout="identity")
        return (Stage(epochs=epochs, learning_rate=1e-3, saturation=readout),)
    rising, resting = {"smoke": (2, 1), "cpu": (10, 4), "paper": (100, 20)}[scale]
    low, high = {"sigmoid MLP": (1e-2, 1.0), "ReLU MLP": (1e-6, 4e-5)}[network]
    rise = Annealing(maximum=high, minimum=low, increments=1000, epochs=rising, shape="geometric")
    rest = Annealing(maximum=high, minimum=high, increments=1, epochs=1)
    return (
        Stage(
            epochs=rising,
            learning_rate=1e-2 if short else 3e-2,
            saturation=SaturationConfig(annealing=rise, tolerance=0.05, patience=5),
        ),
        Stage(
            epochs=resting,
            learning_rate=1e-3,
            saturation=SaturationConfig(annealing=rest, tolerance=0.01),
        ),
    )
