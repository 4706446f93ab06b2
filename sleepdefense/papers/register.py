"""Which recipes there are, by paper."""

import importlib

from sleepdefense.errors import ConfigError
from sleepdefense.papers.recipe import Recipe

COOKBOOKS: dict[str, str] = {
    "dim2022": "sleepdefense.papers.dim2022",
    "talafha2023": "sleepdefense.papers.talafha2023",
    "nayebi2017": "sleepdefense.papers.nayebi2017",
}
"""Short name of a paper -> the package of this room that holds its recipes, as `RECIPES`."""


def recipes(paper: str) -> tuple[Recipe, ...]:
    """Return the recipes of a paper.

    Raises:
        ConfigError: The paper is unknown.
    """
    if paper not in COOKBOOKS:
        raise ConfigError(f"unknown paper '{paper}': expected one of {', '.join(COOKBOOKS) or 'none yet'}")
    found: tuple[Recipe, ...] = importlib.import_module(COOKBOOKS[paper]).RECIPES
    return found


def find_recipe(paper: str, kind: str, number: int) -> Recipe:
    """Return one recipe.

    Args:
        paper: Short name, "dim2022".
        kind: "table" or "figure".
        number: As the paper counts.

    Raises:
        ConfigError: The paper has no such recipe; the message lists those that it has.
    """
    known = recipes(paper)
    for recipe in known:
        if (recipe.kind, recipe.number) == (kind, number):
            return recipe
    names = ", ".join(f"--{recipe.kind} {recipe.number}" for recipe in known)
    raise ConfigError(f"no {kind} {number} of '{paper}' can be made: expected one of {names}")
