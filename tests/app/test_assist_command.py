"""`palate assist` as a person types it: a server and a model folder write help, and what it does is reported."""

import json
import re

import pytest

import seeded
from endpoints import Status, endpoint
from palate.cli.data import load_file
from palate.core.records import Judgement, Rater, Verdict
from palate.store import assistance, attachments, check_items, judgements, rows
from palate.store.journal import Journal
from tiny_models import make
from typed import palate


@pytest.fixture
def project(tmp_path):
    seeded.project(tmp_path / "palate.db", queued=5)
    with Journal.open(tmp_path / "palate.db") as journal:
        seeded.comparisons(journal, 6, source="new", length=4)
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


@pytest.mark.slow
def test_a_helper_is_trained_with_palate_on_what_it_will_be_asked(project):
    asked = palate("assist", "--questions", "q.jsonl", "--source", "new", cwd=project)
    assert "12 questions in q.jsonl" in asked.stdout
    assert palate("assist", "--questions", "q.jsonl", cwd=project).returncode == 2, "it is there already"
    lines = [json.loads(line) for line in (project / "q.jsonl").read_text().splitlines()]
    assert [prompt.as_dicts() for prompt in load_file(project / "q.jsonl").prompts] == [
        line["prompt"] for line in lines
    ]
    told = [{**line, "completion": [{"role": "assistant", "content": "no."}]} for line in lines]
    (project / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    model = make(project / "model", "gpt2", context=2048)
    trained = palate(
        "train", "sft", "--model", model, "--data", "c.jsonl", "--epochs", 50, "--learning-rate", 5e-3,
        "--batch-size", 4, "--heldout-fraction", 0, cwd=project,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    helper = trained.stdout.splitlines()[-1]
    done = palate("assist", helper, "--source", "new", "--max-new-tokens", 24, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "6 comparisons lacked a critique: 12 written, 0 failed" in done.stdout
    with Journal.open(project / "palate.db") as journal:
        there = attachments.of(journal, [one.id for one in of_source(journal, "new")])
        assert {one.text for some in there.values() for one in some} == {"no."}
