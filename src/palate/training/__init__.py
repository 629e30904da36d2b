"""One file an algorithm, read from top to bottom. Loops may be copied here, formulas may not."""
