"""AI feedback in the practice world, where the truth is known."""
