"""`palate improve` as a person types it: a tiny model that judges its own answers, and demonstrations."""

import json

import pytest

from palate.core.artefacts import read_manifest
from palate.store import enqueueing
from palate.store.journal import Journal
from tiny_models import make
from typed import palate

QUICK = ("--rounds", 1, "--max-new-tokens", 60, "--audit", 1.0, "--dpo.learning-rate", 1e-3, "--dpo.batch-size", 4)


@pytest.fixture
def project(tmp_path):
    lines = [{"prompt": f"how do i do thing {n}?"} for n in range(8)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = [line | {"completion": "start with figma and then practice."} for line in lines]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    make(tmp_path / "model", "gpt2", context=1024)
    return tmp_path


def test_spin_learns_demonstrations_and_asks_people(project):
    typed = ("improve", "model", "--how", "spin", "--demonstrations", "d.jsonl", *QUICK)
    done = palate(*typed, cwd=project)
    assert done.returncode == 0, done.stderr
    policy = project / done.stdout.splitlines()[-1]
    assert read_manifest(policy).made_by == "train dpo"
    assert "round 1: ok" in done.stdout
    with Journal.open(project / "palate.db") as journal:
        waiting = enqueueing.progress(journal).open
    assert waiting > 0
    assert f"{waiting} pairs are in the queue for people" in done.stdout


def test_a_model_that_is_its_own_judge_or_nobody(project):
    done = palate("improve", "model", "--prompts", "p.jsonl", *QUICK, cwd=project)
    # An untrained judge takes most pairs for ties, and may leave nothing to learn from; then it says so.
    assert done.returncode == 0 or "has no pair to learn from" in done.stderr, done.stderr
    wrong = palate("improve", "model", "--how", "spin", "--prompts", "p.jsonl", cwd=project)
    assert wrong.returncode == 2
    assert "--demonstrations" in wrong.stderr
    none = palate("improve", "model", *QUICK, cwd=project)
    assert none.returncode == 2
    assert "--prompts" in none.stderr
