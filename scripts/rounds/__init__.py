"""Figures of rounds."""
