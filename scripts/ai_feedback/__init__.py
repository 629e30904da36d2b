"""Figures of feedback from models, one file a cell of `make ai-feedback-figures`."""
