"""Nayebi and Ganguli 2017, "Biologically inspired protection of deep networks from adversarial attacks"."""

from sleepdefense.papers.nayebi2017.figures import (
    figure_1,
    figure_2,
    figure_3,
    figure_4,
    figure_6,
    figure_7,
)
from sleepdefense.papers.nayebi2017.grids import figure_5, figure_8
from sleepdefense.papers.nayebi2017.sleeping import asleep
from sleepdefense.papers.nayebi2017.table1 import table_1
from sleepdefense.papers.recipe import Recipe

_DATASETS = ("mnist", "fashion-mnist", "digits")
_FIGURES = (
    (1, "weights of vanilla and saturated perceptrons", figure_1),
    (2, "drives of vanilla and saturated perceptrons", figure_2),
    (3, "dissimilarity matrices of the sigmoid perceptron", figure_3),
    (4, "length element, output and singular values between two images", figure_4),
    (5, "targeted L-BFGS from the least confident images", figure_5),
    (6, "scaled ratio against the kurtosis of weights", figure_6),
    (7, "dissimilarity matrices of the ReLU perceptron", figure_7),
    (8, "targeted L-BFGS from the most confident images", figure_8),
)

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        paper="nayebi2017",
        kind="table",
        number=1,
        title="accuracy of nine networks, clean and under the fast gradient sign, and what remains",
        datasets=_DATASETS,
        cook=table_1,
        parts={"sleep": asleep},
    ),
    *(
        Recipe(paper="nayebi2017", kind="figure", number=number, title=title, datasets=_DATASETS, cook=cook)
        for number, title, cook in _FIGURES
    ),
)
