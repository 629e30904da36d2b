"""Recipes that go around: loops over training, judging and evaluation, each step of which leaves an artefact."""
