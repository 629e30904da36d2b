"""Two workers of a real Ray find what two processes find, also after one of them was killed. Needs the extra `ray`."""

import os
from pathlib import Path

import pytest
from tests.unit.fleet.test_work import ALL, COUNT, ROWS, job

from palate.fleet.processes import Processes
from palate.fleet.work import found, run

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    # Ray's own start leaves sockets and files to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def pool(monkeypatch):
    from palate.fleet.ray_workers import RayWorkers

    here = str(Path(__file__).resolve().parents[3])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    return RayWorkers(2)


def test_rows_are_equal_also_after_a_worker_was_killed(pool, tmp_path):
    for name, who in (("ray", pool), ("processes", Processes(2))):
        work = job("deadly", poison=11, killed=str(tmp_path / f"killed {name}"))
        report = run(work, ROWS, tmp_path / f"{name}.jsonl", who, at_once=5)
        assert (report.deaths, report.failed, report.done) == (1, {}, COUNT)
    assert found(tmp_path / "ray.jsonl") == found(tmp_path / "processes.jsonl") == ALL


def test_what_kills_and_what_errs_is_told_alike(pool, tmp_path):
    for work, bad in ((job("deadly", poison=11), "r11"), (job("fussy", bad=7), "r7")):
        told = {}
        for name, who in (("ray", pool), ("processes", Processes(2))):
            keep = tmp_path / f"{name} {bad}.jsonl"
            told[name] = run(work, ROWS, keep, who, at_once=5).failed, found(keep)
        assert told["ray"] == told["processes"]
        assert set(told["ray"][0]) == {bad}
