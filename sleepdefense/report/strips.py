"""Rows of images: clean, attacked, purified, and what the classifier sees in each."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import nn

from sleepdefense.checkpoint import Checkpoint, load_checkpoint
from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.models.base import AbstractClassifier, AbstractPurifier
from sleepdefense.models.saving import model_from_checkpoint
from sleepdefense.report.reader import Reader
from sleepdefense.report.record import ImageRow, SampleStrip
from sleepdefense.report.roles import find_roles
from sleepdefense.report.threats import WHITE_BOX

MOST_IMAGES = 8

Stack = Float[ndarray, "sample channel height width"]
Classes = Int[ndarray, " sample"]


def load_strips(reader: Reader, table: RobustnessTable | None) -> tuple[SampleStrip, ...]:
    """Read the sampled images of a run, and show them to its classifier.

    Args:
        reader: Of the folder of the run; it notes every file that is missing or damaged.
        table: Names the attacks, and holds images that were attacked through the whole system.

    Returns:
        A strip for each attack and for what it saw, in the order of the table.
    """
    samples = reader.read("samples.h5", lambda path: load_checkpoint(path, kind="results"))
    if samples is None:
        return ()
    found = {name: reader.read(f"{name}.h5", _network) for name in ("awake", "woken")}
    if not isinstance(found["awake"], AbstractClassifier):  # a purifier has a classifier behind it
        found["classifier"] = reader.read("classifier.h5", _network)
    networks = {name: network for name, network in found.items() if network is not None}
    strips = reader.read("samples.h5", lambda _: _Strips(samples, table, networks).make())
    return () if strips is None else strips


def _network(path: Path) -> nn.Module:
    return model_from_checkpoint(load_checkpoint(path, kind="awake"))


class _Strips:
    """Turns arrays and networks into strips."""

    def __init__(
        self, samples: Checkpoint, table: RobustnessTable | None, networks: dict[str, nn.Module]
    ) -> None:
        self.arrays = samples.arrays
        self.table = table
        self.networks = networks
        awake = networks.get("awake")
        self.is_purifier = isinstance(awake, AbstractPurifier)
        judge = networks.get("classifier", None if self.is_purifier else awake)
        self.classifier = judge if isinstance(judge, AbstractClassifier) else None
        self.labels = np.asarray(self.arrays["label"][:MOST_IMAGES], np.int64)

    def make(self) -> tuple[SampleStrip, ...]:
        keys = {name.rpartition("/")[0] for name in self.arrays if name.endswith("/attacked")} - {CLEAN}
        order = [] if self.table is None else list(dict.fromkeys(row.key for row in self.table.rows))
        ordered = sorted(keys, key=lambda key: (order.index(key) if key in order else len(order), key))
        strips = [strip for key in ordered for strip in (self._stored(key), self._through_all(key)) if strip]
        return (self._undisturbed(), *strips)

    def _undisturbed(self) -> SampleStrip:
        """Return the clean images, and what the networks make of them."""
        clean = self.arrays["clean"]
        rows = [self._row("clean", clean)]
        for network, title in (("awake", "purified"), ("woken", "purified after sleep")):
            if self.is_purifier and network in self.networks:
                rows.append(self._row(title, self._purify(network, clean)))
        return SampleStrip(title="no attack", labels=self.labels, rows=tuple(rows))

    def _stored(self, key: str) -> SampleStrip:
        """Return the strip that the samples hold: the attack saw the classifier only."""
        rows = [self._row("clean", self.arrays["clean"])]
        attacked = self.arrays[f"{key}/attacked"]
        rows.append(self._row("attacked", attacked))
        for name, title in (("purified", "purified"), ("purified_after", "purified after sleep")):
            if f"{key}/{name}" in self.arrays:
                rows.append(self._row(title, self.arrays[f"{key}/{name}"]))
        woken = self.networks.get("woken")
        if not self.is_purifier and isinstance(woken, AbstractClassifier):
            rows.append(self._row("the same, seen after sleep", attacked, judge=woken))
        needs_model = self.table is not None and any(
            row.key == key and row.threat_model == WHITE_BOX for row in self.table.rows
        )
        saw = ", aimed at the classifier alone" if self.is_purifier and needs_model else ""
        return SampleStrip(title=self._title(key) + saw, labels=self.labels, rows=tuple(rows))

    def _title(self, key: str) -> str:
        rows = [] if self.table is None else [row for row in self.table.rows if row.key == key]
        return rows[0].attack if rows else key

    def _through_all(self, key: str) -> SampleStrip | None:
        """Return the strip of an attack through purifier and classifier, for each purifier its own."""
        if self.table is None or not self.is_purifier:
            return None
        roles = find_roles(self.table)
        rows = [self._row("clean", self.arrays["clean"])]
        for system, network, when in (
            (roles.before, "awake", "before sleep"),
            (roles.after, "woken", "after sleep"),
        ):
            number = next(
                (
                    number
                    for number, row in enumerate(self.table.rows)
                    if (row.system, row.key, row.threat_model) == (system, key, WHITE_BOX)
                    and not row.is_error
                ),
                None,
            )
            if number is None or network not in self.networks:
                continue
            attacked = self.table.sample_images[number]
            rows.append(self._row(f"attacked, aimed at the defence {when}", attacked))
            rows.append(self._row(f"what the defence {when} makes of it", self._purify(network, attacked)))
        if len(rows) == 1:
            return None
        title = f"{self._title(key)}, through purifier and classifier"
        return SampleStrip(title=title, labels=self.labels, rows=tuple(rows))

    def _row(self, title: str, images: Stack, *, judge: nn.Module | None = None) -> ImageRow:
        shown = np.asarray(images[:MOST_IMAGES], np.float32)
        network = judge or self.classifier
        return ImageRow(
            title=title, images=shown, predicted=None if network is None else _classes(network, shown)
        )

    @torch.no_grad()
    def _purify(self, name: str, images: Stack) -> Stack:
        purified: Stack = self.networks[name](torch.from_numpy(np.ascontiguousarray(images))).numpy()
        return purified


@torch.no_grad()
def _classes(network: nn.Module, images: Stack) -> Classes:
    predicted: Classes = network(torch.from_numpy(np.ascontiguousarray(images))).argmax(1).numpy()
    return predicted
