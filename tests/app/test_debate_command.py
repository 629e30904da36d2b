"""`palate debate` as a person types it: by a server that argues, and end to end by real model folders."""

import json

import pytest

from endpoints import Status, endpoint
from palate.store import attachments, rows
from palate.store.journal import Journal
from tiny_models import make
from typed import palate


@pytest.fixture
def project(tmp_path):
    lines = [
        {
            "question": f"when did harbour {n} freeze?",
            "passage": f"Harbour {n} froze in March. Ships were held until May.",
            "first": "in March" if n % 2 else "in May",
            "second": "in May" if n % 2 else "in March",
            "right": "first" if n % 2 else "second",
        }
        for n in range(6)
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def argues_and_judges(body, _):
    """Quotes for whoever is right, and as a judge goes by what was found."""
    text = body["messages"][-1]["content"]
    if "It is your turn" not in text:
        before = text.split("a quote, found")[0] if "a quote, found" in text else ""
        return "A" if "for answer A" in before.rpartition("Turn")[2] else "B" if before else "tie"
    number = text.split("harbour ")[1].split()[0]
    march = text.split("<<< your answer [")[1].split("\n")[1] == "in March"
    return f"<quote>Harbour {number} froze in {'March' if march else 'May'}</quote>"


def test_a_debate_is_argued_decided_and_counted(project):
    with endpoint(argues_and_judges) as (url, told):
        typed = ("debate", url, "--questions", "q.jsonl", "--judge", url)
        done = palate(*typed, cwd=project)
        assert done.returncode == 0, done.stderr
        assert len(told.bodies) == 6 * 4 + 6 * 2
        assert palate(*typed, cwd=project).returncode == 0
        assert len(told.bodies) == 6 * 4 + 6 * 2, "nothing is asked twice"
        naive = palate(*typed, "--protocol", "naive", cwd=project)
        assert len(told.bodies) == 6 * 4 + 6 * 4
    assert "of 24 quotes 12 are in the passage" in done.stdout
    assert "right in 1.000" in done.stdout
    assert "n = 6" in done.stdout
    assert "right in 0.500" in naive.stdout, "a tie is half"
    files = list(project.glob("runs/debates-*/debates.jsonl"))
    assert len(files) == 2
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert {len(line["turns"]) for line in lines} == {0, 4}
    assert all("passage" not in line for line in lines)


def test_what_fails_is_said_and_tried_again(project):
    def ill(body, _):
        text = body["messages"][-1]["content"]
        return Status(403, "closed") if "harbour 2 " in text and "Turn 1" in text else argues_and_judges(body, 0)

    with endpoint(ill) as (url, _):
        first = palate("debate", url, "--questions", "q.jsonl", "--judge", url, cwd=project)
        assert "5 decided, 1 failed" in first.stdout
        assert "failed: 1 × turn 2: 403 closed" in first.stdout
        assert "n = 5" in first.stdout
    with endpoint(lambda *_: Status(403, "closed")) as (url, _):
        none = palate("debate", url, "--questions", "q.jsonl", "--judge", url, cwd=project)
        assert none.returncode == 2
        assert "nothing was argued" in none.stderr

    def mute(body, _):
        judged = "It is your turn" not in body["messages"][-1]["content"]
        return Status(403, "closed") if judged else argues_and_judges(body, 0)

    with endpoint(mute) as (url, _):
        none = palate("debate", url, "--questions", "q.jsonl", "--judge", url, cwd=project)
        assert none.returncode == 2
        assert "nothing was decided" in none.stderr


def test_people_may_decide(project):
    with endpoint(argues_and_judges) as (url, _):
        done = palate("debate", url, "--questions", "q.jsonl", "--to-people", "harbours", cwd=project)
    assert "6 new in the raters' queue" in done.stdout, done.stderr
    with Journal.open(project / "palate.db") as journal:
        shown = rows.comparisons(journal, ["harbours"])
        assert len(shown) == 6
        assert {len(some) for some in attachments.of(journal, [one.id for one in shown]).values()} == {4}


def test_who_cannot_decide_is_told_before_anybody_argues(project):
    with endpoint(argues_and_judges) as (url, told):
        assert "nobody would decide" in palate("debate", url, "--questions", "q.jsonl", cwd=project).stderr
        odd = palate("debate", url, "--questions", "q.jsonl", "--judge", url, "--turns", 3, cwd=project)
        assert "an even number" in odd.stderr
        lost = palate("debate", url, "--questions", "q.jsonl", "--judge", "nowhere", cwd=project)
        assert "nobody who can judge" in lost.stderr
        assert told.bodies == []


def test_model_folders_argue_and_judge_end_to_end(project):
    model = make(project / "model", "gpt2", context=4096)
    judge = make(project / "judge", "gpt2", seed=1, context=4096)
    typed = ("debate", model, "--questions", "q.jsonl", "--judge", judge, "--turns", 2, "--max-new-tokens", 6)
    done = palate(*typed, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "6 decided, 0 failed" in done.stdout or "failed: " in done.stdout  # an untrained one may say nothing
    (file,) = project.glob("runs/debates-*/debates.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines
    for line in lines:
        assert 0 < line["p_first"] < 1
        assert line["p_first"] == pytest.approx(sum(line["orders"]) / 2)
        assert len(line["turns"]) == 2
    before = file.read_text()
    assert palate(*typed, cwd=project).returncode == 0
    assert file.read_text().startswith(before)
