import os

# One thread a process: tests run side by side, and results do not depend on the machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from hypothesis import HealthCheck, settings

from thinned import CASES, others

# How long an example takes says how busy the machine is.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_modifyitems(items):
    ids = [item.nodeid for item in items]
    for place in others(ids):
        items[place].add_marker(pytest.mark.slow)
    if len(items) > 5000:  # all of them, so that a test that was renamed is noticed
        gone = set(CASES) - {id.split("[")[0] for id in ids}
        assert not gone, f"tests/thinned.py names tests that are not there: {sorted(gone)}"
