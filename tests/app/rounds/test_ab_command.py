"""`palate ab`, as people type it."""

import pytest
from tests import trials as made

from palate.rounds.trials import Plan
from palate.store import experiments, releases
from palate.store.journal import Journal
from typed import palate as typed


@pytest.fixture
def project(tmp_path):
    with Journal.open(tmp_path / "palate.db") as journal:
        for side in ("old", "new"):
            releases.point(journal, {"old": "stable", "new": "candidate"}[side], releases.add(journal, f"policy-{side}").id)
    return tmp_path
