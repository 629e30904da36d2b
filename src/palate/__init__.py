"""Palate: the whole cycle of reinforcement learning from human feedback, traceable both ways."""

__version__ = "0.1.0"
