"""What the papers print, as data, to stand beside what is measured."""

from sleepdefense.papers.compare import ComparedRow, compare, compared_markdown, compared_text
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.printed import PrintedCell, PrintedColumn, printed_column, printed_columns
from sleepdefense.papers.recipe import Job, Recipe
from sleepdefense.papers.register import find_recipe, recipes
from sleepdefense.papers.remarks import Remark, remarks_on
from sleepdefense.papers.reproducing import reproduce
from sleepdefense.papers.results_page import results_page
from sleepdefense.papers.side_by_side import Measured, SideBySide

__all__ = [
    "ComparedRow",
    "Job",
    "Measured",
    "Outcome",
    "PrintedCell",
    "PrintedColumn",
    "Recipe",
    "Remark",
    "SideBySide",
    "compare",
    "compared_markdown",
    "compared_text",
    "find_recipe",
    "printed_column",
    "printed_columns",
    "recipes",
    "remarks_on",
    "reproduce",
    "results_page",
]
