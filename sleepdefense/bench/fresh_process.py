"""Groups "compile" and "memory": what only a process of its own can show."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sleepdefense.bench.goals import Row, judge, tell
from sleepdefense.bench.workload import Workload
from sleepdefense.errors import UnfinishedError

_FIRST_CALL = """
import json, time
begin = time.process_time()
import numpy as np
from sleepdefense.kernels import sleep_images
imported = time.process_time()
from sleepdefense.bench.network import GRID, TABLE_3, draw_weights, on_grid
layers = on_grid(TABLE_3, draw_weights(TABLE_3), unit=GRID)
images, index = np.ones((1, 1, 28, 28), dtype=np.float32), np.zeros(1, dtype=np.int64)
ready = time.process_time()
sleep_images(images, index, layers, seed=0, num_steps=1, competition="image", k=[5, 5, 8, 1],
    radius=[3, 2, 1, 0], learns=[True] * 4, weight_type={weight_type!r})
print(json.dumps([imported - begin, time.process_time() - ready]))
"""

_MEMORY = """
import json, resource
import numpy as np
from sleepdefense.bench.network import GRID, TABLE_3, draw_weights, on_grid
from sleepdefense.kernels import sleep_images
layers = [layer._replace(threshold=10**6) for layer in on_grid(TABLE_3, draw_weights(TABLE_3), unit=GRID)]
images, index = np.full((1, 1, 28, 28), 0.2, dtype=np.float32), np.zeros(1, dtype=np.int64)
most = []
for num_steps in (25, 25, 400):
    sleep_images(images, index, layers, seed=0, num_steps=num_steps, competition="step", k=[5, 5, 8, 1],
        radius=[3, 2, 1, 0], learns=[True] * 4)
    most.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(json.dumps(most))
"""


def compile_kernels(weight_types: Sequence[str]) -> list[Row]:
    """Take the time of the first call of a first process, with nothing compiled, and of a second one.

    Args:
        weight_types: Each is compiled by itself; the first one is judged.
    """
    rows = []
    for number, weight_type in enumerate(weight_types):
        code = _FIRST_CALL.format(weight_type=weight_type)
        with tempfile.TemporaryDirectory(prefix="sleepdefense-compile-") as folder:
            (_, cold), (imports, cached) = (_ask(code, Path(folder)) for _ in range(2))
        note = f"{weight_type}, winners per image"
        if number == 0:
            rows.append(judge("compile-cold", cold, note))
            rows.append(judge("compile-cached", cached, note))
            rows.append(
                tell("compile", "importing the kernels", imports, "CPU s", "Numba and NumPy included")
            )
        else:
            rows.append(tell("compile", f"first call of a first process, {weight_type}", cold, "CPU s"))
    return rows


def weigh_memory(workload: Workload) -> list[Row]:
    """Report the workspace of a worker, and how much a process grows with the number of steps.

    Args:
        workload: For its layers.
    """
    from sleepdefense.kernels.integrate import workspace_bytes

    _, channels, height, width = workload.images.shape
    sizes = {
        (competition, kind): workspace_bytes(workload.layers, (channels, height, width), competition, kind)
        for competition in ("image", "step")
        for kind in ("i16", "i8")
    }
    rows = [judge("memory", max(sizes.values()) / 1e6, "the largest of those below")]
    if sys.platform == "win32":
        rows.append(judge("memory-steps", None, "not measured: this system does not tell"))
    else:
        _, before, after = _ask(_MEMORY, None)
        unit = 1 if sys.platform == "darwin" else 1024
        rows.append(judge("memory-steps", (after - before) * unit / 1e6, "most that the process ever held"))
    for (competition, kind), size in sizes.items():
        rows.append(tell("memory", f"workspace, {kind}, winners per {competition}", size / 1e6, "MB"))
    return rows


def _ask(code: str, cache: Path | None) -> Any:
    """Run code in a process of its own and return the JSON that it prints."""
    environment = os.environ | ({"NUMBA_CACHE_DIR": str(cache)} if cache is not None else {})
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UnfinishedError(f"a process of the benchmark ended with status {done.returncode}: {last}")
    return json.loads(done.stdout)
