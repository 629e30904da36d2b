"""Nouns, manifests, ids and the error tree. Standard library only."""
