"""What the papers print, as data, to stand beside what is measured."""

from sleepdefense.papers.compare import ComparedRow, compare, compared_markdown, compared_text
from sleepdefense.papers.printed import PrintedCell, PrintedColumn, printed_column, printed_columns

__all__ = [
    "ComparedRow",
    "PrintedCell",
    "PrintedColumn",
    "compare",
    "compared_markdown",
    "compared_text",
    "printed_column",
    "printed_columns",
]
