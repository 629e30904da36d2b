"""Pages about rounds and what came of them. Nothing here needs torch."""
