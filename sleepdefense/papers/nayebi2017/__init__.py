"""Nayebi and Ganguli 2017, "Biologically inspired protection of deep networks from adversarial attacks"."""

from sleepdefense.papers.nayebi2017.table1 import table_1
from sleepdefense.papers.recipe import Recipe

_DATASETS = ("mnist", "fashion-mnist", "digits")

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        paper="nayebi2017",
        kind="table",
        number=1,
        title="accuracy of nine networks, clean and under the fast gradient sign, and what remains",
        datasets=_DATASETS,
        cook=table_1,
    ),
)
