"""Spiking networks: their parts, and three simulators that give the same spikes."""

from sleepdefense.spiking.backend import AbstractBackend, FireResult, TorchBackend
from sleepdefense.spiking.network import SpikingNetwork, SpikingNode
from sleepdefense.spiking.simulate import Moment, SpikeRecord, simulate
from sleepdefense.spiking.synapses import Synapses

__all__ = [
    "AbstractBackend",
    "FireResult",
    "Moment",
    "SpikeRecord",
    "SpikingNetwork",
    "SpikingNode",
    "Synapses",
    "TorchBackend",
    "simulate",
]
