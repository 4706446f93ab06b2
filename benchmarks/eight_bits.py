"""What 8-bit weights change: spikes, rates and winners of a sleep, beside the exact ones.

    python benchmarks/eight_bits.py SPIKING.h5 DATA [IMAGES]

SPIKING.h5 is a network from `sleepdefense convert`, DATA the name of a data set (mnist, digits, ...).
"""

import sys
from pathlib import Path

import numpy as np

from sleepdefense.checkpoint import load_checkpoint
from sleepdefense.consolidation import MirroredSTDP, SleepConfig
from sleepdefense.consolidation.chain_links import chain_layer, find_chain
from sleepdefense.consolidation.dreaming import dreaming
from sleepdefense.consolidation.plan import settle
from sleepdefense.conversion.saving import network_from_checkpoint
from sleepdefense.data import load_data
from sleepdefense.kernels import sleep_images


def main(path: Path, data: str, num_images: int) -> None:
    """Print one row for each layer."""
    network = network_from_checkpoint(load_checkpoint(path))
    plan = settle(network, MirroredSTDP(), SleepConfig(engine="fused"))
    shape, links = find_chain(plan)
    dreamt = dreaming(plan, {}, {})
    layers = [chain_layer(dreamt, link) for link in links]
    train, _ = load_data(data, limit=num_images)
    images = np.ascontiguousarray(train.images.numpy().reshape(-1, *shape))
    contests = [plan.contests[link.stage.name] for link in links]
    exact, byte = (
        sleep_images(
            images,
            np.arange(len(images)),
            layers,
            seed=0,
            num_steps=32,
            competition="image",
            k=[contest.k for contest in contests],
            radius=[contest.radius for contest in contests],
            learns=[True] * len(layers),
            record=True,
            weight_type=weight_type,
        )
        for weight_type in ("i16", "i8")
    )
    print(f"{path.name}, {len(images)} images of {train.name}, 32 steps")
    print("| layer | spikes, exact | with 8 bits | equal spikes | correlation of counts | same winners |")
    print("| --- | --- | --- | --- | --- | --- |")
    for number, link in enumerate(links):
        one, other = exact.spikes[number], byte.spikes[number]
        both = np.count_nonzero(one & other) / max(1, np.count_nonzero(one | other))
        counts = one.sum(axis=0, dtype=float).ravel(), other.sum(axis=0, dtype=float).ravel()
        same = winners_in_common(exact.winners[:, number], byte.winners[:, number])
        print(
            f"| {link.stage.name} | {one.sum()} | {other.sum()} | {100 * both:.1f} % | "
            f"{np.corrcoef(*counts)[0, 1]:.5f} | {100 * same:.1f} % |"
        )


def winners_in_common(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of (feature, row, column) that win in both, of those that win in the first."""
    total = shared = 0
    for these, those in zip(one, other, strict=True):
        first = {tuple(row[:3]) for row in these if row[0] >= 0}
        total += len(first)
        shared += len(first & {tuple(row[:3]) for row in those if row[0] >= 0})
    return shared / max(1, total)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit("usage: python benchmarks/eight_bits.py SPIKING.h5 DATA [IMAGES]")
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 100)
