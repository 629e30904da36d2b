"""Figures of feedback from AI, one module a cell."""
