"""`palate forget`, `palate expire` and `palate export --person` as a person types them."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

import seeded
from palate.core.artefacts import Manifest, Workspace
from palate.core.records import Completion, Prompt, WrittenAnswer
from palate.store import audit, demonstrations, exposures, judgements, rows
from palate.store.exposures import Exposure
from palate.store.journal import Journal
from typed import palate_anew as palate

SECRET = "the rater's own words, number 4711"


@pytest.fixture
def project(tmp_path):
    """Judgements of six raters, an answer that one of them wrote, two datasets, and a model on top."""
    seeded.project(tmp_path / "palate.db", queued=5)
    with Journal.open(tmp_path / "palate.db") as journal:
        prompt = next(iter(rows.prompts(journal)))
        rater = judgements.judgements(journal)[0].rater
        demonstrations.add(journal, WrittenAnswer(uid="w1", prompt=prompt, text=SECRET, rater=rater))
    for command in ("build", "demonstrations"):
        done = palate("dataset", command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    made = Manifest(
        kind="policy",
        made_by="train sft",
        config={},
        inputs={"data": done.stdout.splitlines()[-1].rsplit("/", 1)[-1]},
    )
    Workspace(tmp_path).put(made, lambda folder: None)
    return tmp_path, rater, made.id


def test_a_person_sees_what_is_held_and_is_forgotten_with_a_receipt(project):
    folder, rater, policy = project
    seen = palate("export", "--person", rater, "--data", folder, "--out", "mine.json", cwd=folder)
    assert seen.returncode == 0, seen.stderr
    mine = json.loads((folder / "mine.json").read_text())
    assert SECRET in [row["text"] for row in mine["written_answer"]]
    assert (folder / "mine.json").stat().st_mode & 0o077 == 0
    assert "password" not in json.dumps(mine["account"])

    with Journal.open(folder / "palate.db") as journal:
        assert (last := audit.read(journal)[0]).action == "exported a person", last

    asked = palate("forget", rater, cwd=folder)
    assert asked.returncode == 2
    assert "nothing was erased yet" in asked.stderr
    assert f"{len(mine['judgement'])} judgement" in asked.stderr

    assert policy in asked.stdout
    datasets = {path.name for path in (folder / "artefacts").iterdir()} - {policy}
    assert all((folder / "artefacts" / id / "manifest.json").is_file() for id in datasets)

    done = palate("forget", rater, "--yes", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Tainted:" in done.stdout
    receipt = json.loads((folder / done.stdout.splitlines()[-1]).read_text())
    assert receipt["deleted"]["judgement"] == len(mine["judgement"])
    assert rater not in json.dumps(receipt)
    assert {one["id"] for one in receipt["tainted"]} == datasets | {policy}
    assert set(receipt["emptied"]) == datasets
    again = {one["old"]: one["new"] for one in receipt["recut"]}
    new = next(one for one in again.values() if one)
    planned = palate("forget", "--plan", cwd=folder)
    assert planned.returncode == 0, planned.stderr
    assert policy in planned.stdout
    proven = palate("forget", "--prove", new, cwd=folder)
    assert proven.returncode == 0, proven.stderr
    assert "hold nothing that was erased" in proven.stdout
    refused = palate("forget", "--prove", policy, cwd=folder)
    assert refused.returncode == 2
    assert "is tainted" in refused.stderr
    with sqlite3.connect(folder / "palate.db") as connection:
        assert connection.execute("SELECT count(*) FROM judgement WHERE rater = ?", [rater]).fetchone() == (0,)
    assert SECRET.encode() not in (folder / "palate.db").read_bytes()
    with Journal.open(folder / "palate.db") as journal:
        assert {entry.action for entry in audit.read(journal)[:2]} == {"forgot", "forgot in artefacts and files"}
    assert palate("forget", rater, "--yes", cwd=folder).returncode == 2, "nobody of this name is known any more"


def test_what_nobody_agreed_to_keep_expires(tmp_path):
    with Journal.open(tmp_path / "palate.db") as journal:
        prompt = Prompt.of("an old question")
        shown = Completion(prompt=prompt.id, text="an old answer", policy="p")
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, [shown])
        old = (datetime.now(UTC) - timedelta(days=40)).isoformat(timespec="milliseconds")
        exposures.add(journal, [Exposure(shown.id, "someone", "c", old)])
    kept = palate("expire", 90, cwd=tmp_path)
    assert (kept.returncode, kept.stdout) == (0, "Erased: nothing was that old.\n")
    gone = palate("expire", 30, cwd=tmp_path)
    assert gone.returncode == 0, gone.stderr
    assert "1 completion" in gone.stdout
    assert b"an old answer" not in (tmp_path / "palate.db").read_bytes()


@pytest.mark.slow
def test_what_cannot_work_says_so(tmp_path):
    for arguments, words in (
        (("forget", "somebody"), "there is no journal"),
        (("forget", "somebody", "--database", "here"), "no URL of a database"),
        (("export", "trl", "--person", "x", "--data", ".", "--out", "y.json"), "a shape of its own"),
        (("export", "--person", "x", "--data", ".", "--out", "y.json"), "there is no journal"),
        (("export", "--data", ".", "--out", "y.json"), "no such shape"),
    ):
        done = palate(*arguments, cwd=tmp_path)
        assert done.returncode == 2, arguments
        assert words in done.stderr, (arguments, done.stderr)
