"""A bar with the time left on stderr, for work of more than two seconds; nothing when that is no terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DELAY = 2.0


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, str], None]]:
    """Give a function to tell (done, total, text), and show it as a bar."""
    if not sys.stderr.isatty():
        yield lambda done, total, text: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description:<40.40}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    begin = time.monotonic()
    tasks: dict[int, tuple[TaskID, int]] = {}  # the bar at hand: its id, and its total

    def tell(done: int, total: int, text: str) -> None:
        if time.monotonic() - begin < DELAY:
            return
        if not tasks:
            bar.start()
        known = tasks.get(0)
        if known is None or known[1] != total or done < bar.tasks[0].completed:
            for task in bar.task_ids:
                bar.remove_task(task)
            tasks[0] = (bar.add_task(text, total=total), total)
        bar.update(tasks[0][0], completed=done, description=text)

    try:
        yield tell
    finally:
        bar.stop()
