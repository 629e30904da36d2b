import shutil

import pytest

import seeded
from in_process import Visitor, application


@pytest.fixture(scope="session")
def seeded_journal(tmp_path_factory):
    path = tmp_path_factory.mktemp("seeded") / "palate.db"
    seeded.project(path, queued=30)
    return path


@pytest.fixture
def path(seeded_journal, tmp_path):
    return shutil.copy(seeded_journal, tmp_path / "palate.db")


@pytest.fixture
def app(path):
    with application(path) as made:
        yield made


@pytest.fixture
def visitor(app):
    return lambda who="", **headers: Visitor(app, who, **headers)
