"""Cells of the figures of feedback from models."""
