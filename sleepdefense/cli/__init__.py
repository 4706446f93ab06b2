"""The command line: parse, call one function of the pipeline, print. Nothing is computed here."""

from sleepdefense.cli.main import main

__all__ = ["main"]
