"""Awake to spiking and back, exactly, with a report of what became of every layer."""

from sleepdefense.conversion.to_awake import to_awake
from sleepdefense.conversion.to_spiking import to_spiking

__all__ = ["to_awake", "to_spiking"]
