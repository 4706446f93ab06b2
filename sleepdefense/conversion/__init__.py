"""Awake to spiking and back, exactly, with a report of what became of every layer."""

from sleepdefense.conversion.live_twin import LiveTwin, live_twin
from sleepdefense.conversion.report import ConversionReport, LayerReport, conversion_report
from sleepdefense.conversion.to_awake import CarriesNetwork, to_awake
from sleepdefense.conversion.to_spiking import assemble, to_spiking

__all__ = [
    "CarriesNetwork",
    "ConversionReport",
    "LayerReport",
    "LiveTwin",
    "assemble",
    "conversion_report",
    "live_twin",
    "to_awake",
    "to_spiking",
]
