"""Start a script in several processes that find each other as torchrun's do."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path


def launch(count: int, *command: str, timeout: float = 120) -> list[str]:
    """Run a Python command in `count` processes on the loopback; return what each said.

    Args:
        count: Number of processes; 1: alone, as without a launcher.
        command: What follows the name of the interpreter.
        timeout: In seconds, for all.
    """
    said = start(count, *command, timeout=timeout)
    assert [status for status, _ in said] == [0] * count, said
    return [text for _, text in said]


def start(count: int, *command: str, timeout: float = 120) -> list[tuple[int, str]]:
    """The same, whatever comes of it; return status and words of each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    here = str(Path(__file__).resolve().parent)
    path = os.pathsep.join([here, str(Path(here).parent), os.environ.get("PYTHONPATH", "")])
    common = {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, "PYTHONWARNINGS": "error::UserWarning"}
    if count > 1:
        common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        common |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    with ExitStack() as stack:
        processes = []
        for rank in range(count):
            own = {**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            process = subprocess.Popen(
                [sys.executable, *command], env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            stack.enter_context(process)
            stack.callback(process.kill)  # before it is waited for
            processes.append(process)
        said = [process.communicate(timeout=timeout)[0].decode() for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]
