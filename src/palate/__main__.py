"""`python -m palate` is `palate`."""

from palate.cli import run

run()
