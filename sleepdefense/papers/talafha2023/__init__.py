"""Defense-VAE-Sleep: Talafha, Rekabdar, Mousas and Ekenna 2023, table by table."""

from sleepdefense.papers.recipe import Recipe
from sleepdefense.papers.talafha2023.figures import FIGURE2, FIGURE3
from sleepdefense.papers.talafha2023.table4 import TABLE4
from sleepdefense.papers.talafha2023.table5 import TABLE5, TABLE6

RECIPES: tuple[Recipe, ...] = (TABLE4, TABLE5, TABLE6, FIGURE2, FIGURE3)
"""What can be made."""
