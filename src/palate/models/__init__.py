"""Load any Hugging Face causal model, speak its chat template, sample from it, score with it."""
