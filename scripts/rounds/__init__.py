"""Cells of `make rounds-figures`."""
