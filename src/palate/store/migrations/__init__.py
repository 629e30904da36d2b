"""The steps from the tables of each version to those of the next, for Alembic. A step is never edited once released."""
