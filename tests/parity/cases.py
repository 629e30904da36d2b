"""All that is held against TRL, by recipe."""

from __future__ import annotations

from tests.parity import dpo, kto, material, reward, rollouts, sft
from tests.parity.measure import Deviation, deviation

_OF = {case: module.compare for module in (sft, reward, dpo, kto, rollouts) for case in module.CASES}
RECIPES = tuple(dict.fromkeys(case.split()[0] for case in _OF))


def deviations(folders: material.Folders, seed: int, recipe: str) -> list[Deviation]:
    """One of each case of a recipe."""
    return [deviation(*compare(folders, seed, case)) for case, compare in _OF.items() if case.split()[0] == recipe]
