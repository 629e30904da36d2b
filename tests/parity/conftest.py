from pathlib import Path

import pytest
from tests.parity import material

SEED = 7
"""At which completions of both families differ in length; `test_rollouts` makes sure."""


@pytest.fixture(scope="session", params=material.FAMILIES)
def folders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> material.Folders:
    folder: Path = tmp_path_factory.mktemp(request.param)
    return material.make_folders(folder, request.param, SEED)


@pytest.fixture
def seed() -> int:
    return SEED
