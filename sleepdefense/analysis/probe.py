"""How much of the class a linear map can read from a latent code, and how much of that noise destroys."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest

from sleepdefense.analysis.responses import Network, latent_mean_of
from sleepdefense.attacks.corruptions import gaussian_noise
from sleepdefense.attacks.noise import normal_noise
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import EvaluationError
from sleepdefense.shapes import Images

MAX_ITERATIONS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRow:
    """One network under one strength of noise.

    Attributes:
        network: Its name.
        noise: Standard deviation of the noise on the test images, in intensities; 0: clean images.
        accuracy: Share of the test images that the probe reads correctly, in [0, 1].
        low: Lower end of its 95 % Wilson interval.
        high: Upper end.
        correct: Test images read correctly.
        num_images: Test images.
        converged: Whether the probe found its optimum; where not, its accuracy means little.
    """

    network: str
    noise: float
    accuracy: float
    low: float
    high: float
    correct: int
    num_images: int
    converged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTable:
    """One row a network and strength, networks in the order given."""

    rows: tuple[ProbeRow, ...]

    def row(self, network: str, noise: float = 0.0) -> ProbeRow:
        """Return one row.

        Raises:
            EvaluationError: There is none.
        """
        for row in self.rows:
            if (row.network, row.noise) == (network, noise):
                return row
        raise EvaluationError(f"the table has no row of network '{network}' at noise {noise:g}")

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rows as objects of names and numbers."""
        return [asdict(row) for row in self.rows]

    def __str__(self) -> str:
        width = max([len("network"), *(len(row.network) for row in self.rows)])
        head = f"{'network':<{width}} {'noise':>6} {'accuracy':>9}  {'95 % interval':<16} {'n':>6}"
        lines = [head, "-" * len(head)]
        for row in self.rows:
            interval = f"[{100 * row.low:.1f}, {100 * row.high:.1f}]"
            doubt = "" if row.converged else "  not converged"
            lines.append(
                f"{row.network:<{width}} {row.noise:>6g} {100 * row.accuracy:>8.1f}%  {interval:<16} "
                f"{row.num_images:>6}{doubt}"
            )
        return "\n".join(lines)


def probe_latents(
    networks: Mapping[str, Network],
    train: ImageSet,
    test: ImageSet,
    noises: Sequence[float] = (),
    seed: int = 0,
    *,
    num_steps: int = 64,
) -> ProbeTable:
    """Train a linear classifier on the latent means of each network and test it, also under noise.

    Each network has a probe of its own: multinomial logistic regression with a weight decay of 1, on codes
    whose units have mean 0 and variance 1 over the training images. It is trained on clean images only, so
    that noise shows what it does to the code. Nothing is random but the noise, which is the same for all
    networks and, but for its strength, for all strengths.

    Args:
        networks: Name -> purifier, awake or spiking.
        train: Images that the probes learn from.
        test: Images that they are tested on.
        noises: Standard deviations of Gaussian noise on the test images, each > 0; clean images always come
            first.
        seed: Of the noise.
        num_steps: Steps of the spiking encoders.

    Returns:
        One row for each network and strength.

    Raises:
        EvaluationError: A network has no latent or a code that is not finite, a strength is out of range or
            given twice, or the training images are of one class only.
    """
    strengths = (0.0, *noises)
    if not all(0 < noise < np.inf for noise in noises) or len(set(strengths)) < len(strengths):
        raise EvaluationError(f"the strengths of noise must be > 0 and differ, got {list(noises)}")
    if len(train.labels.unique()) < 2:
        raise EvaluationError(f"the images of '{train.name}' are of one class: a probe needs two or more")
    labels = test.labels.numpy()
    rows = []
    for name, network in networks.items():
        probe = _Probe(_codes(name, network, train.images, num_steps), train.labels.numpy())
        for noise in strengths:
            codes = _codes(name, network, _disturbed(test.images, noise, seed), num_steps)
            correct = int((probe.classes(codes) == labels).sum())
            low, high = binomtest(correct, len(labels)).proportion_ci(method="wilson")
            row = ProbeRow(
                network=name,
                noise=noise,
                accuracy=correct / len(labels),
                low=float(low),
                high=float(high),
                correct=correct,
                num_images=len(labels),
                converged=probe.has_converged,
            )
            rows.append(row)
    return ProbeTable(rows=tuple(rows))


class _Probe:
    """A linear classifier on codes brought to mean 0 and variance 1."""

    def __init__(self, codes: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
        from sklearn.exceptions import (
            ConvergenceWarning,  # costs a second, which only users of this should pay
        )
        from sklearn.linear_model import LogisticRegression

        self._mean = codes.mean(0)
        spread = codes.std(0)
        self._spread = np.where(spread > 0, spread, 1.0)
        self._regression = LogisticRegression(C=1.0, max_iter=MAX_ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # told in the table
            self._regression.fit(self._scaled(codes), labels)
        self.has_converged = bool((self._regression.n_iter_ < MAX_ITERATIONS).all())

    def classes(self, codes: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the class read from each code."""
        return np.asarray(self._regression.predict(self._scaled(codes)), dtype=np.int64)

    def _scaled(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((codes - self._mean) / self._spread, dtype=np.float64)


def _codes(name: str, network: Network, images: Images, num_steps: int) -> NDArray[np.float64]:
    codes = np.asarray(latent_mean_of(network, images, num_steps=num_steps).cpu().numpy())
    if not np.isfinite(codes).all():
        raise EvaluationError(f"the latent codes of network '{name}' are not finite")
    return codes


def _disturbed(images: Images, noise: float, seed: int) -> Images:
    if noise == 0:
        return images
    index = np.arange(len(images))
    normal = normal_noise(index, tuple(images.shape[1:]), seed=seed, stream="probe")
    return gaussian_noise(images, normal.to(images.device, torch.float32), sigma=noise)
