"""A person is forgotten in all that was made from them: what holds them, what learned from them, and what is beside."""

import contextlib
import html
import json
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest

import seeded
from palate.core.artefacts import GONE, Manifest, Workspace
from palate.core.errors import DataError
from palate.core.ids import file_id
from palate.core.records import Prompt, Rater, WrittenAnswer
from palate.preferences.dataset import freeze_demonstrations
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.preferences.taint import tainted
from palate.preferences.written import written
from palate.rounds import absence, forgetting
from palate.rounds.turn import alone
from palate.store import audit, backup, demonstrations, judgements, opening, releases, rounds, rows, schema, taints
from palate.store.erasure import known
from palate.store.journal import Journal
from palate.store.traces import Traces, forms

SECRET = "the rater's own words, number 4711"


@pytest.fixture(scope="module")
def seeded_once(tmp_path_factory):
    path = tmp_path_factory.mktemp("project") / "palate.db"
    seeded.project(path, queued=6)
    return path


@pytest.fixture
def journal(tmp_path, seeded_once):
    shutil.copyfile(seeded_once, tmp_path / "palate.db")
    with Journal.open(tmp_path / "palate.db") as opened:
        yield opened


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def rater_of(journal):
    return judgements.judgements(journal)[0].rater


def put(workspace, kind, inputs, made_by="train reward", **files):
    def write(folder):
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")

    return workspace.put(Manifest(kind=kind, made_by=made_by, config={"of": len(files)}, inputs=inputs), write).name


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def made(journal, workspace):
    """Two datasets with them, a model line from one; a dataset frozen before they came, and what is made from it."""
    me = rater_of(journal)
    others = {c.id for c in rows.comparisons(journal)} - {
        j.comparison for j in judgements.judgements(journal) if j.rater == me
    }
    clean = put(
        workspace, "dataset", {"journal": "journal-1"}, "other",
        train__jsonl=lines({"comparison": sorted(others)[0] if others else "x", "prompt_id": "p"}),
    )  # fmt: skip
    prompt = next(iter(rows.prompts(journal)))
    demonstrations.add(journal, WrittenAnswer(uid="w1", prompt=prompt, text=SECRET, rater=me))
    one = freeze(journal, workspace, SnapshotConfig()).name
    other = freeze_demonstrations(written(journal), workspace, heldout_fraction=0.0).name
    reward = put(workspace, "reward", {"data": one})
    policy = put(workspace, "policy", {"reward": reward, "reference": "folder-1"}, "train ppo")
    apart = put(workspace, "reward", {"data": clean})
    return {"clean": clean, "one": one, "other": other, "reward": reward, "policy": policy, "apart": apart, "me": me}


def test_what_holds_them_is_emptied_what_learned_is_marked_and_the_rest_stays(journal, workspace, made):
    turn = rounds.begin(journal, {"steps": ["policy"]})
    rounds.note(journal, turn.id, "policy", "done", artefact=made["policy"])
    release = releases.add(journal, made["policy"], round_=turn.id)
    releases.point(journal, "stable", release.id)
    told = forgetting.forget(journal, workspace, made["me"], actor="lead")
    marked = {one["id"] for one in told["tainted"]}
    assert marked == {made[name] for name in ("one", "other", "reward", "policy")} | {turn.id, release.id}
    assert {one.artefact for one in taints.every(journal)} == marked
    assert set(told["emptied"]) == {made["one"], made["other"]}
    assert [path.name for path in workspace.path(made["one"]).iterdir()] == [GONE]
    assert workspace.manifest(made["one"]).made_by == "dataset freeze"
    assert workspace.has(made["policy"])
    assert workspace.has(made["clean"])
    # The same work from the journal as it is now: another id, without them.
    again = {one["old"]: one["new"] for one in told["recut"]}
    assert again.keys() == {made["one"], made["other"]}
    assert again[made["one"]] not in ("", made["one"])
    assert made["me"] not in (workspace.path(again[made["one"]]) / "judgements.jsonl").read_text()
    # What is made from others comes after them, and a round makes its own again.
    order = [one["artefact"] for one in told["plan"]]
    assert (
        order.index(made["one"]) < order.index(made["reward"]) < order.index(made["policy"]) < order.index(release.id)
    )
    assert "palate round start" in next(one["do"] for one in told["plan"] if one["artefact"] == made["policy"])
    assert next(one for one in told["plan"] if one["artefact"] == made["reward"])["instead"] == {
        made["one"]: again[made["one"]]
    }
    assert "stable" in told["plan"][-1]["do"]
    # It is written down, and names nobody.
    assert [one.action for one in audit.read(journal)[:2]] == ["forgot in artefacts and files", "forgot"]
    for form in forms(made["me"]):
        assert form not in forgetting.path(workspace, told["id"]).read_text()


def test_purged_is_what_only_learned_from_them_too(journal, workspace, made):
    told = forgetting.forget(journal, workspace, made["me"], purge=True)
    assert set(told["emptied"]) == {made[name] for name in ("one", "other", "reward", "policy")}
    assert workspace.has(made["apart"])


def test_a_dataset_is_told_by_its_judgements_and_without_them_by_when_it_was_made(journal, workspace, made):
    me = made["me"]
    mine = next(j for j in judgements.judgements(journal) if j.rater == me)
    row = {"comparison": mine.comparison, "prompt_id": "p"}
    named = put(workspace, "dataset", {"a": "1"}, train__jsonl=lines(row), judgements__jsonl=lines({"uid": "z"}))
    late = put(workspace, "dataset", {"a": "2"}, train__jsonl=lines(row))
    early = put(workspace, "dataset", {"a": "3"}, train__jsonl=lines(row))
    manifest = workspace.path(early) / "manifest.json"
    manifest.write_text(manifest.read_text().replace(workspace.manifest(early).made_at, "2001-01-01T00:00:00+00:00"))
    found = {one.id for one in tainted(workspace, Traces(known(journal, me).marks)) if one.holds}
    assert found == {made["one"], made["other"], late}
    assert named not in found


def test_runs_logs_and_indexes_lose_what_is_theirs_and_nothing_else(journal, workspace, made, tmp_path):
    run = workspace.run_folder("policy-1")
    asked = Prompt.of("another question").as_dicts()
    samples = lines({"prompt": asked, "completion": SECRET}, {"prompt": asked, "completion": "an answer"})
    (run / "samples.jsonl").write_text(samples)
    (run / "config.json").write_text(json.dumps({"why": f"asked by {made['me']}", "beta": 0.1}))
    (run / "metrics.jsonl").write_text(lines({"step": 1}))
    (workspace.run_folder(made["policy"]) / "checkpoints" / "1").mkdir(parents=True)
    (workspace.run_folder("policy-2") / "checkpoints" / "1").mkdir(parents=True)
    (tmp_path / "serve.log").write_text(f"GET /\nlogin {made['me'].upper()}\nGET /b\n")
    (tmp_path / "export.jsonl").write_text(lines({"text": SECRET}))
    trained = put(workspace, "policy", {"data": "file-" + file_id(tmp_path / "export.jsonl")}, "train sft")
    index = tmp_path / "runs" / "lineage.db"
    with sqlite3.connect(index) as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    told = forgetting.forget(journal, workspace, made["me"])
    assert (run / "samples.jsonl").read_text() == lines({"prompt": asked, "completion": "an answer"})
    assert json.loads((run / "config.json").read_text()) == {"why": "asked by (erased)", "beta": 0.1}
    assert (run / "metrics.jsonl").read_text() == lines({"step": 1})
    assert (tmp_path / "serve.log").read_text() == "GET /\nGET /b\n"
    assert not (tmp_path / "runs" / made["policy"] / "checkpoints").exists()
    assert (tmp_path / "runs" / "policy-2" / "checkpoints").exists()
    assert not index.exists()
    # What others put into the folder is theirs; what was learned from it is tainted all the same.
    assert SECRET in (tmp_path / "export.jsonl").read_text()
    assert {"path": "export.jsonl", "what": "outside", "count": 1} in told["files"]
    assert trained in {one["id"] for one in told["tainted"]}


def test_copies_forget_too_and_the_receipt_says_which_could_not(journal, workspace, made, tmp_path):
    kept, moved, gone = (tmp_path / name for name in ("kept.db", "moved.db", "gone.db"))
    for path in (kept, moved, gone):
        backup.backup(journal, path)
    (tmp_path / "elsewhere").mkdir()
    moved.rename(tmp_path / "elsewhere" / "old.sqlite")
    gone.unlink()
    aside = opening.copy_aside(tmp_path / "palate.db")
    broken = tmp_path / "palate.db.before-version-1"
    broken.write_bytes(b"no database")
    told = forgetting.forget(journal, workspace, made["me"])
    states = {one["path"].rsplit("/", 1)[-1]: one["state"] for one in told["copies"]}
    assert states == {
        "kept.db": "erased", "moved.db": "gone", "gone.db": "gone", "old.sqlite": "erased", aside.name: "erased",
        broken.name: "not reached",
    }  # fmt: skip
    for path in (kept, tmp_path / "elsewhere" / "old.sqlite", aside):
        assert made["me"].encode() not in path.read_bytes()
        assert SECRET.encode() not in path.read_bytes()
        assert backup.verify(Journal.open(path)).problems == ()


def test_a_copy_of_older_tables_is_brought_up_to_date_and_leaves_no_other(journal, workspace, tmp_path):
    old = tmp_path / "palate.db.before-version-3"
    script = (Path(__file__).parents[1] / "store" / "version_2.sql").read_text()
    with contextlib.closing(sqlite3.connect(old)) as connection:
        connection.executescript(script)
        name = connection.execute("SELECT rater FROM judgement").fetchone()[0]
    rows.add_raters(journal, [Rater(name)])
    told = forgetting.forget(journal, workspace, name)
    assert [(one["path"], one["state"]) for one in told["copies"]] == [(str(old), "erased")]
    assert opening.version(old) == schema.VERSION
    with contextlib.closing(sqlite3.connect(old)) as connection:
        assert connection.execute("SELECT count(*) FROM judgement WHERE rater = ?", [name]).fetchone() == (0,)
    assert sorted(path.name for path in tmp_path.glob("*.before-version-*")) == [old.name]


@pytest.mark.parametrize("where", ["hollow", "clear", "erase", "forget", "recut"])
def test_who_is_cut_off_anywhere_goes_on(journal, workspace, made, tmp_path, monkeypatch, where):
    (workspace.run_folder("r") / "samples.jsonl").write_text(lines({"completion": SECRET}))
    backup.backup(journal, tmp_path / "kept.db")
    places = {
        "hollow": (Workspace, "hollow"), "clear": (forgetting.leftovers, "clear"),
        "erase": (forgetting.old_copies, "erase"), "forget": (forgetting.erasure, "forget"),
        "recut": (forgetting, "recut"),
    }  # fmt: skip

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(*places[where], dies)
        with pytest.raises(KeyboardInterrupt):
            forgetting.forget(journal, workspace, made["me"])
    if where == "recut":
        (told,) = forgetting.finish(journal, workspace)
    else:
        told = forgetting.forget(journal, workspace, made["me"])
    assert forgetting.finish(journal, workspace) == []
    assert set(told["emptied"]) == {made["one"], made["other"]}
    assert all(one["new"] for one in told["recut"] if one["old"] == made["one"])
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_a_text_that_others_said_too_tells_nobody_apart(journal, workspace, made):
    """The same sentence by another rater, or an answer that a model gives to everybody."""
    prompt = list(rows.prompts(journal))[1]
    other = next(j.rater for j in judgements.judgements(journal) if j.rater != made["me"])
    demonstrations.add(journal, WrittenAnswer(uid="w2", prompt=prompt, text=SECRET, rater=other))
    (workspace.run_folder("r") / "samples.jsonl").write_text(lines({"completion": SECRET}))
    told = forgetting.forget(journal, workspace, made["me"])
    assert told["files"] == []
    assert made["other"] in told["emptied"], "told by prompt and answer"


def test_nothing_happens_beside_a_round_at_work_or_for_nobody(journal, workspace, made):
    with alone(workspace), pytest.raises(DataError, match="another process"):
        forgetting.forget(journal, workspace, made["me"])
    with pytest.raises(DataError, match="nobody of this name"):
        forgetting.forget(journal, workspace, "nobody")
    assert taints.every(journal) == []


def test_what_is_made_anew_is_proven_and_what_is_old_is_not(journal, workspace, made):
    old = (workspace.path(made["one"]) / "judgements.jsonl").read_text()
    told = forgetting.forget(journal, workspace, made["me"])
    new = next(one["new"] for one in told["recut"] if one["old"] == made["one"])
    again = put(workspace, "reward", {"data": new, "reference": "folder-1"})
    found = absence.prove(journal, workspace, again, receipt=told["id"])
    assert found.problems == ()
    assert found.outside[0] == "folder-1"
    assert [one.content for one in found.looked] == ["", workspace.manifest(new).facts["content"]]
    assert "is tainted" in "; ".join(absence.prove(journal, workspace, made["reward"]).problems)
    # A row that comes back, and a row that is changed, are found by their hashes.
    copied = put(workspace, "dataset", {"a": "1"}, judgements__jsonl=old)
    problems = "; ".join(absence.prove(journal, workspace, copied).problems)
    assert "by judgement" in problems
    assert "by person" in problems
    answered = put(workspace, "dataset", {"a": "2"}, train__jsonl=lines(
        {"prompt": next(iter(rows.prompts(journal).values())).as_dicts(), "completion": SECRET}
    ))  # fmt: skip
    assert "by answer" in "; ".join(absence.prove(journal, workspace, answered).problems)
    train = workspace.path(new) / "train.jsonl"
    train.write_text(train.read_text().replace('"weight": 1.0', '"weight": 2.0', 1))
    assert "not those that its manifest tells of" in absence.prove(journal, workspace, again).problems[0]


@pytest.mark.parametrize("form", sorted(forms("Olga.Petrowa@example.org")))
def test_a_name_is_found_in_every_form(form, journal):
    marks = known(journal, rater_of(journal)).marks._replace(names=frozenset({"Olga.Petrowa@example.org"}))
    traces = Traces(marks)
    for text in (form, f"a {form}, b", json.dumps({"x": [form]}), f"?who={quote(form)}", html.escape(f'"{form}"')):
        assert traces.in_line(text), text
    assert not traces.in_line("olga wrote to example.org")
    assert traces.without({"who": [f"to {form}"]}) in ({"who": ["to (erased)"]}, {"who": ["(erased)"]})
