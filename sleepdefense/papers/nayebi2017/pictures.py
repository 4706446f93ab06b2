"""Where the figures of a job are written."""

import os
from pathlib import Path

from matplotlib.figure import Figure

from sleepdefense.papers.recipe import Job
from sleepdefense.report.canvas import png_bytes


def save_figure(job: Job, number: str, drawing: Figure) -> Path:
    """Write a figure as PNG that is either complete or not there; equal figures give equal bytes."""
    path = job.folder / f"nayebi2017-figure{number}-{job.dataset}.png"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(png_bytes(drawing, dpi=130, background="white"))
    temporary.replace(path)
    return path
