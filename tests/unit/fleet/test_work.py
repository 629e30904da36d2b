"""Workers that die, rows that kill, files that are cut off: each row has one result, or a reason why not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from palate.core.errors import ConfigError, DataError
from palate.fleet.processes import Processes
from palate.fleet.work import Job, Row, found, run

HERE = Path(__file__).resolve().parents[3]
COUNT = 40
ROWS = [Row(f"r{number}", number) for number in range(COUNT)]
ALL = {f"r{number}": 2 * number for number in range(COUNT)}


def job(name, **settings):
    return Job(f"tests.unit.fleet.jobs:{name}", settings)


@pytest.fixture(autouse=True)
def _workers_find_their_work(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def keep(tmp_path):
    return tmp_path / "deep" / "found.jsonl"


def test_every_row_has_its_result_and_none_is_done_twice(keep):
    report = run(job("double", scale=2), ROWS, keep, Processes(2), at_once=7)
    assert (report.done, report.before, report.failed, report.deaths) == (COUNT, 0, {}, 0)
    assert found(keep) == ALL
    again = run(job("double", scale=3), ROWS, keep, Processes(1))
    assert (again.done, again.before) == (COUNT, COUNT)
    assert found(keep) == ALL
    assert len(keep.read_text().splitlines()) == COUNT


def test_a_worker_that_is_killed_once_costs_nothing(keep, tmp_path):
    report = run(job("deadly", poison=11, killed=str(tmp_path / "killed")), ROWS, keep, Processes(2), at_once=5)
    assert report.deaths == 1
    assert report.failed == {}
    assert found(keep) == ALL
    assert len(keep.read_text().splitlines()) == COUNT


def test_a_row_that_kills_is_the_only_one_without_a_result(keep):
    report = run(job("deadly", poison=11), ROWS, keep, Processes(2), at_once=5)
    assert report.failed == {"r11": "its worker died each time"}
    assert found(keep) == {id: value for id, value in ALL.items() if id != "r11"}
    mended = run(job("double"), ROWS, keep, Processes(1))
    assert (mended.before, mended.done, mended.failed) == (COUNT - 1, COUNT, {})
    assert found(keep) == ALL


def test_an_error_is_the_rows_and_the_others_go_on(keep):
    report = run(job("fussy", bad=7), ROWS, keep, Processes(2), at_once=8)
    assert report.failed == {"r7": "ValueError: 7 is nothing to work on"}
    assert report.deaths == 0
    assert found(keep) == {id: value for id, value in ALL.items() if id != "r7"}


def test_work_that_loses_rows_is_an_error(keep):
    report = run(job("short"), ROWS[:3], keep, Processes(1), at_once=3)
    assert set(report.failed) == {"r0", "r1", "r2"}
    assert "0 results for 1 rows" in report.failed["r0"]


def test_after_kill_9_of_the_whole_it_goes_on_by_row(keep):
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from palate.fleet.processes import Processes\nfrom palate.fleet.work import Job, Row, run\n"
        "if __name__ == '__main__':\n"
        f"    rows = [Row(f'r{{n}}', n) for n in range({COUNT})]\n"
        "    run(Job('tests.unit.fleet.jobs:slow', {}), rows, Path(sys.argv[1]), Processes(2), at_once=2)\n"
    )
    script = keep.parent.parent / "whole.py"
    script.write_text(program)
    with subprocess.Popen([sys.executable, str(script), str(keep)], start_new_session=True) as process:
        end = time.monotonic() + 60
        while not (keep.is_file() and len(keep.read_bytes().splitlines()) >= 8) and time.monotonic() < end:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    before = len(found(keep))
    assert 8 <= before < COUNT
    with keep.open("a") as handle:
        handle.write('{"id": "r39", "fou')  # as a death in the middle of a line leaves it
    report = run(job("double"), ROWS, keep, Processes(2))
    assert (report.before, report.done) == (before, COUNT)
    assert found(keep) == ALL
    assert [json.loads(line)["id"] for line in keep.read_text().splitlines()].count("r39") == 1


def test_what_cannot_be_is_refused(keep):
    with pytest.raises(DataError, match="two rows have one id"):
        run(job("double"), [ROWS[0], ROWS[0]], keep, Processes(1))
    with pytest.raises(ConfigError, match="needs rows"):
        run(job("double"), ROWS, keep, Processes(1), at_once=0)
    with pytest.raises(ConfigError, match="needs a worker"):
        Processes(0)
    keep.write_text('{"id": 3}\n')
    with pytest.raises(DataError, match="line 1"):
        found(keep)
