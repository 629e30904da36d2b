import pytest
import torch
from tests.recipes.practice import FAMILIES, undecided


@pytest.fixture(scope="session")
def policies(tmp_path_factory):
    """A policy of each family that says yes as often as no, made once, when it is first asked for."""
    made = {}

    def of(family):
        if family not in made:
            assert family in FAMILIES
            with torch.random.fork_rng():
                torch.manual_seed(0)
                made[family] = undecided(tmp_path_factory.mktemp(family), family)
        return made[family]

    return of
