"""Losses and gradients held against those of TRL 1.16, on the same model and the same tokens."""
