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
            releases.point(
                journal, {"old": "stable", "new": "candidate"}[side], releases.add(journal, f"policy-{side}").id
            )
    return tmp_path


def run(project, *arguments, fails=False):
    done = typed("ab", *arguments, cwd=project)
    assert (done.returncode == 2) is fails, done.stderr
    return done.stderr if fails else done.stdout


def test_the_way_of_a_test(project):
    assert "Nothing was tested yet" in run(project, "status")
    assert "no test is under way" in run(project, "stop", fails=True)
    told = run(project, "plan", "--difference", "0.1")
    assert "mean 50.0, deviation 15.0 between people (the usual ones)" in told
    assert "people in all find +10.0 points in 80 of 100 tests" in told
    assert "less than the baseline leaves room" in run(project, "plan", "--difference", "0.9", fails=True)
    assert "no such release" in run(project, "start", "warmer", "stable", "nowhere", fails=True)
    told = run(project, "start", "warmer", "stable", "candidate", "--difference", "0.3", "--window-h", "0.00001")
    assert "It ends by itself" in told
    with Journal.open(project / "palate.db") as journal:
        test = experiments.current(journal)
        assert told.splitlines()[-1] == test.id
        assert test.plan["people"] == int(told.split("after ")[1].split(" ")[0])
    told = run(project, "status")
    assert f"warmer ({test.id})" in told
    assert "under way" in told
    assert "0 people, planned 50 %" in told
    told = run(project, "stop", "--why", "a holiday")
    assert told == "warmer. Stopped by hand (a holiday): −100.0 to +100.0 points, n 0\n"
    assert "stopped by hand" in run(project, "status")


def test_status_ends_what_is_over_and_a_plan_knows_what_was_measured(project):
    with Journal.open(project / "palate.db") as journal:
        test = made.begun(journal, Plan(difference=0.3, spread=0.5, people=200, window_h=1e-6))
        names = [f"p{number}" for number in range(80)]
        made.crowd(journal, test, names, lambda treated: "up" if treated else "none")
    told = run(project, "status")
    assert "over by its own rule" in told
    assert "The new release is better" in told
    assert "approval (decides)" in told
    assert "answers kept (secondary)" in told
    with Journal.open(project / "palate.db") as journal:
        assert experiments.steps(journal, test.id)[-1].state == "decided"
    told = run(project, "plan", "--difference", "0.1", "--control", "candidate")
    assert "(the usual ones)" in told, "everybody said the same, so there is no deviation to go by"
