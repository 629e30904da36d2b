"""The arithmetic behind docs/scaling.md."""
