"""The bug bench: wrong variants of Palate's own code, and whether the checks of `palate.world.checks` notice."""
