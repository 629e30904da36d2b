"""`palate assist` as a person types it: a server and a model folder write help, and what it does is reported."""

import re

import pytest

import seeded
from endpoints import Status, endpoint
from palate.core.records import Judgement, Rater, Verdict
from palate.store import assistance, attachments, check_items, judgements, rows
from palate.store.journal import Journal
from tiny_models import make
from typed import palate


@pytest.fixture
def project(tmp_path):
    seeded.project(tmp_path / "palate.db", queued=5)
    with Journal.open(tmp_path / "palate.db") as journal:
        seeded.comparisons(journal, 6, source="new")
    return tmp_path


def of_source(journal, source):
    return [one for one in rows.comparisons(journal) if one.source == source]


def test_a_server_writes_help_and_nothing_is_asked_twice(project):
    def critic(body, number):
        return Status(403, "closed") if number == 0 and "Question 3" in str(body) else "It names no train."

    with endpoint(critic, models=("big",)) as (url, told):
        done = palate("assist", url, "--source", "new", "--share", 0.25, "--name", "Critic", cwd=project)
        assert done.returncode == 0, done.stderr
        assert "25% of raters are shown what is attached to comparisons of new" in done.stdout
        assert "6 comparisons lacked a critique: 10 written, 2 failed" in done.stdout
        assert "2 × 403 closed" in done.stdout
        again = palate("assist", url, "--source", "new", "--name", "Critic", cwd=project)
        assert "1 comparisons lacked a critique: 2 written, 0 failed" in again.stdout
        asked = len(told.bodies)
        palate("assist", url, "--source", "new", cwd=project)
        assert len(told.bodies) == asked
    with Journal.open(project / "palate.db") as journal:
        assert assistance.share(journal, "new") == 0.25
        there = attachments.of(journal, [one.id for one in of_source(journal, "new")])
        assert {one.helper for some in there.values() for one in some} == {"Critic"}
        assert {len(some) for some in there.values()} == {2}


def test_a_model_folder_writes_help(project):
    model = make(project / "model", "gpt2", context=2048)
    done = palate("assist", model, "--source", "new", "--kind", "summary", "--max-new-tokens", 8, cwd=project)
    assert done.returncode == 0, done.stderr
    # An untrained model comes to an end now and then; whatever it does, each answer is accounted for.
    written, failed = (int(done.stdout.split(word)[0].split()[-1]) for word in (" written", " failed"))
    assert written + failed == 12


def test_the_report_holds_judgements_with_help_beside_those_without(project):
    with Journal.open(project / "palate.db") as journal:
        made = of_source(journal, "new")
        for one in made:
            attachments.add(
                journal,
                [attachments.Attachment(comparison=one.id, kind="critique", helper="h", text="look", side="first")],
            )
            check_items.add(journal, check_items.CheckItem(comparison=one.id, expected=Verdict.FIRST))
        for number in range(8):
            rater = f"a{number}"
            rows.add_raters(journal, [Rater(rater)])
            seen = assistance.deal(journal, rater, made)
            said = [
                Judgement(
                    uid=f"{rater} {one.id}", comparison=one.id, rater=rater, seconds=30.0 if one.id in seen else 20.0,
                    verdict=Verdict.FIRST if one.id in seen else Verdict.SECOND,
                )
                for one in made
            ]  # fmt: skip
            judgements.judge(journal, said)
    done = palate("assist", "--report", "--source", "new", cwd=project)
    assert done.returncode == 0, done.stderr
    lines = {line.split("│")[1].strip(): line for line in done.stdout.splitlines() if line.startswith("│")}
    assert "+1.000" in lines["right on checks"]
    assert "-1.000" in lines["as one unhelped"]
    assert "+10.000" in lines["seconds"]
    assert sum(map(int, re.findall(r"\((\d+)\)", lines["right on checks"]))) == 48


def test_what_cannot_be_done_says_why(project):
    nothing = palate("assist", cwd=project)
    assert nothing.returncode == 2
    assert "nothing to do" in nothing.stderr
    nobody = palate("assist", "--report", cwd=project)
    assert nobody.returncode == 2
    assert "nobody has judged with help" in nobody.stderr
    assert palate("assist", "--share", 0.5, cwd=project).returncode == 2
    assert palate("assist", "--share", 2, "--source", "new", cwd=project).returncode == 2
