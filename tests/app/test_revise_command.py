"""`palate revise` as a person types it, by a server that criticises, and by a real model folder."""

import json
import re

import pytest

from endpoints import Status, endpoint
from palate.core.artefacts import read_manifest
from palate.preferences import dataset
from tiny_models import make
from typed import palate


@pytest.fixture
def project(tmp_path):
    lines = [{"prompt": f"how do i do thing {n}?"} for n in range(6)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "ours.md").write_text("- be kind\n- be brief\n")
    return tmp_path


def critic(body, _):
    turns = len(body["messages"])
    return {1: "go away", 3: "that was not kind", 5: f"gladly: {body['messages'][0]['content']}"}[turns]


def test_revisions_become_demonstrations_and_each_step_knows_its_principle(project):
    with endpoint(critic) as (url, told):
        done = palate(
            "revise", url, "--prompts", "p.jsonl", "--principles", "ours.md", "--heldout-fraction", 0, cwd=project
        )
        assert done.returncode == 0, done.stderr
        assert len(told.bodies) == 6 * 3
        again = palate(
            "revise", url, "--prompts", "p.jsonl", "--principles", "ours.md", "--heldout-fraction", 0, cwd=project
        )
        assert len(told.bodies) == 6 * 3, "nothing is asked twice"
    folder = project / done.stdout.splitlines()[-1]
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    rows = dataset.load_demonstrations(folder)
    assert [row.completion for row in rows] == [f"gladly: {row.prompt.text}" for row in rows]
    assert len(rows) == 6
    assert read_manifest(folder).made_by == "dataset demonstrations"
    (file,) = project.glob("runs/revisions-*/revisions.jsonl")
    steps = [step for line in file.read_text().splitlines() for step in json.loads(line)["steps"]]
    assert {step["principle"] for step in steps} <= {"principle-1", "principle-2"}
    assert {step["critique"] for step in steps} == {"that was not kind"}
    assert "principle-1: " in done.stdout
    assert "6 revisions, 0 prompts without one" in done.stdout


def test_a_published_table_of_requests_is_read_as_it_is(project):
    table = "Behavior,SemanticCategory,ContextString\nhow do i do it?,illegal,\nsum it up,copyright,some text\n"
    (project / "table.csv").write_text(table)
    with endpoint(critic) as (url, _):
        done = palate(
            "revise", url, "--prompts", "table.csv", "--principles", "ours.md", "--heldout-fraction", 0, cwd=project
        )
    assert done.returncode == 0, done.stderr
    rows = dataset.load_demonstrations(project / done.stdout.splitlines()[-1])
    assert [row.prompt.kind for row in rows] == ["illegal", "copyright"]
    assert "some text" in rows[1].prompt.text
    (project / "other.csv").write_text("a,b\n1,2\n")
    with endpoint(critic) as (url, _):
        assert palate("revise", url, "--prompts", "other.csv", cwd=project).returncode == 2


def test_what_fails_is_said_and_tried_again(project):
    def ill(body, number):
        return Status(403, "closed") if number == 0 and "thing 2" in body["messages"][0]["content"] else critic(body, 0)

    with endpoint(ill) as (url, _):
        first = palate("revise", url, "--prompts", "p.jsonl", "--principles", "ours.md", cwd=project)
        assert "5 revisions, 1 prompts without one" in first.stdout
        assert "answer: 403 closed" in first.stdout
    with endpoint(lambda *_: Status(403, "closed")) as (url, _):
        none = palate("revise", url, "--prompts", "p.jsonl", "--principles", "ours.md", cwd=project)
        assert none.returncode == 2
        assert "nothing was revised" in none.stderr


def test_a_model_folder_revises_by_the_principles_that_palate_brings(project):
    model = make(project / "model", "gpt2", context=2048)
    done = palate("revise", model, "--prompts", "p.jsonl", "--max-new-tokens", 8, "--no-critique", cwd=project)
    # An untrained model comes to an end now and then; whatever it does, each prompt is accounted for.
    count = re.search(r"(\d+) revisions, (\d+) prompts", done.stdout)
    failed = sum(int(often) for often in re.findall(r"^  (\d+) × ", done.stdout, re.MULTILINE))
    assert failed + (int(count[1]) if count else 0) == 6, done.stdout + done.stderr
    assert done.returncode == (0 if count else 2)
