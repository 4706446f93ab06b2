import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster
from quadrants import Quadrants, make_images
from torch import nn
from unchecked import evaluate

from sleepdefense.cluster import DaskRunner
from sleepdefense.errors import ConfigError, UnfinishedError

ATTACKS = "FGSM:0.1,GaussianNoise,PGD(epsilon=0.1,steps=3)"


class Marked(nn.Module):
    """Leaves a file for each forward pass, and takes its time, so that it can be killed in the middle."""

    def __init__(self, model, folder, seconds):
        super().__init__()
        self.model, self.folder, self.seconds = model, folder, seconds

    def forward(self, image):
        Path(self.folder, f"{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(self.seconds)
        return self.model(image)


class Deadly(nn.Module):
    """Ends its process as soon as a gradient is asked for."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        if image.requires_grad:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.model(image)


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster


def same(one, other):
    assert one.rows == other.rows
    assert one.provenance == other.provenance
    for name in ("predicted", "distance", "sample_images"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.slow
def test_the_cluster_gives_what_this_process_gives(cluster, tmp_path):
    model, data = Quadrants().eval(), make_images(24)
    here = evaluate(model, data, ATTACKS, batch_size=4, cascade=True, resume=tmp_path / "here.h5")
    with DaskRunner(cluster.scheduler_address) as runner:
        assert runner.capacity == 4
        there = evaluate(
            model, data, ATTACKS, batch_size=4, cascade=True, resume=tmp_path / "there.h5", runner=runner
        )
    same(here, there)
    assert (tmp_path / "here.h5").read_bytes() == (tmp_path / "there.h5").read_bytes()


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle_loses_nothing(cluster, tmp_path):
    data = make_images(24)
    here = evaluate(Quadrants().eval(), data, ATTACKS, batch_size=4)
    marks = tmp_path / "marks"
    marks.mkdir()
    model = Marked(Quadrants().eval(), str(marks), 0.02)
    killed = []

    def kill():
        """Kill the first worker that is seen at its third forward pass."""
        while not killed:
            pids = [int(mark.name.split("-")[0]) for mark in marks.iterdir()]
            busy = {pid for pid in pids if pid != os.getpid() and pids.count(pid) >= 3}
            if busy:
                killed.append(busy.pop())
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    with DaskRunner(cluster.scheduler_address) as runner:
        there = evaluate(model, data, ATTACKS, batch_size=4, runner=runner)
    killer.join()
    others = {int(mark.name.split("-")[0]) for mark in marks.iterdir()} - {os.getpid(), killed[0]}
    assert others  # another worker went on
    assert here.rows == there.rows
    assert np.array_equal(here.distance, there.distance)


@pytest.mark.long
def test_a_cell_that_kills_its_workers_is_a_row(cluster):
    data = make_images(4)
    with DaskRunner(cluster.scheduler_address) as runner:
        table = evaluate(Deadly(Quadrants().eval()), data, "FGSM,GaussianNoise", runner=runner)
    assert [row.status for row in table.rows] == [
        "ok",
        "error: every worker that tried it was killed (out of memory?)",
        "ok",
    ]


@pytest.mark.long
def test_a_time_limit_holds_on_a_cluster(cluster, tmp_path):
    data, path = make_images(24), tmp_path / "results.h5"
    with DaskRunner(cluster.scheduler_address) as runner:
        with pytest.raises(UnfinishedError, match="of 24 batches are finished"):
            evaluate(
                Quadrants().eval(), data, ATTACKS, batch_size=4, resume=path, max_seconds=1e-6, runner=runner
            )
        evaluate(Quadrants().eval(), data, ATTACKS, batch_size=4, resume=path, runner=runner)
    evaluate(Quadrants().eval(), data, ATTACKS, batch_size=4, resume=tmp_path / "whole.h5")
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_an_address_without_a_scheduler_is_named():
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        DaskRunner("tcp://127.0.0.1:9", timeout=0.5)


@pytest.mark.slow
def test_a_scheduler_without_workers_is_named():
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0", silence_logs=50) as empty,
        pytest.raises(ConfigError, match=r"has no workers after 0\.5 s"),
    ):
        DaskRunner(empty.scheduler_address, timeout=0.5)
