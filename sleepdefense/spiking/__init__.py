"""Spiking networks: their parts, and three simulators that give the same spikes."""

from sleepdefense.spiking.autoencoder import Decoded, Latent, decode, encode
from sleepdefense.spiking.backend import AbstractBackend, FireResult, TorchBackend
from sleepdefense.spiking.generate import prior_latents, reconstruct, sample
from sleepdefense.spiking.likelihood import train_log_likelihood
from sleepdefense.spiking.network import SpikingNetwork, SpikingNode
from sleepdefense.spiking.simulate import Moment, SpikeRecord, simulate, simulate_from
from sleepdefense.spiking.synapses import Synapses

__all__ = [
    "AbstractBackend",
    "Decoded",
    "FireResult",
    "Latent",
    "Moment",
    "SpikeRecord",
    "SpikingNetwork",
    "SpikingNode",
    "Synapses",
    "TorchBackend",
    "decode",
    "encode",
    "prior_latents",
    "reconstruct",
    "sample",
    "simulate",
    "simulate_from",
    "train_log_likelihood",
]
