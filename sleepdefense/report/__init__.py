"""The report of a run: one page that needs nothing else, and one picture."""

from sleepdefense.report.loading import load_record
from sleepdefense.report.page import render_page, write_page
from sleepdefense.report.picture import write_picture
from sleepdefense.report.record import RunRecord

__all__ = ["RunRecord", "load_record", "render_page", "write_page", "write_picture"]
