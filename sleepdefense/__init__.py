"""Train a network, let it sleep as a spiking network, wake it, and measure honestly what changed."""
