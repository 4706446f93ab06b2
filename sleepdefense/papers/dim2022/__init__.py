"""Tables and figures of Yang et al., "Denoised Internal Models"."""

from sleepdefense.papers.dim2022.figure import figure_3
from sleepdefense.papers.dim2022.logits import attacked_logits
from sleepdefense.papers.dim2022.sleeping import asleep
from sleepdefense.papers.dim2022.tables import table_1, table_2, table_3, table_4
from sleepdefense.papers.recipe import Recipe

_DATASETS = ("mnist", "fashion-mnist", "digits")

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        paper="dim2022",
        kind="table",
        number=1,
        title="Important attacks on DIM and what it is compared with, and attacks the paper did not run",
        datasets=_DATASETS,
        cook=table_1,
        parts={"sleep": asleep, "logits": attacked_logits},
    ),
    Recipe(
        paper="dim2022",
        kind="table",
        number=2,
        title="Ablation: important attacks",
        datasets=_DATASETS,
        cook=table_2,
    ),
    Recipe(
        paper="dim2022",
        kind="table",
        number=3,
        title="All 42 attacks on DIM and what it is compared with",
        datasets=_DATASETS,
        cook=table_3,
    ),
    Recipe(
        paper="dim2022",
        kind="table",
        number=4,
        title="Ablation: all 42 attacks",
        datasets=_DATASETS,
        cook=table_4,
    ),
    Recipe(
        paper="dim2022",
        kind="figure",
        number=3,
        title="Latents of each internal model, by t-SNE, and how far its own class stands apart",
        datasets=_DATASETS,
        cook=figure_3,
    ),
)
