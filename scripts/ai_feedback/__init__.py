"""Cells of `make ai-feedback-figures`: feedback from models, measured."""
