"""What goes and what stays: releases can be served, rounds go on, and lineage is as long as it was."""

import os
import time

import pytest

from palate.core.artefacts import GONE, Manifest, Workspace
from palate.core.errors import ConfigError, DataError
from palate.rounds import pruning
from palate.rounds.turn import alone
from palate.store import releases, rounds
from palate.store.journal import Journal


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "palate.db") as opened:
        yield opened


@pytest.fixture
def made(tmp_path):
    """A function that leaves an artefact; ids by name."""
    workspace, ids = Workspace(tmp_path), {}

    def make(name, kind, *inputs):
        manifest = Manifest(kind=kind, made_by=name, config={}, inputs={one: ids[one] for one in inputs})
        ids[name] = workspace.put(manifest, lambda folder: (folder / "weights.bin").write_bytes(b"x" * 1000)).name
        return ids[name]

    make("base", "base")
    make("data 1", "dataset")
    make("sft", "policy", "base")
    make("reward 1", "reward", "sft", "data 1")
    make("policy 1", "policy", "sft", "reward 1")
    make("reward 2", "reward", "sft", "data 1")
    make("policy 2", "policy", "sft", "reward 2")
    make("tried", "policy", "sft")
    return workspace, ids


def test_what_no_release_and_no_round_needs_goes_and_its_manifest_stays(journal, made):
    workspace, ids = made
    releases.point(journal, "stable", releases.add(journal, ids["policy 2"]).id)
    releases.add(journal, ids["policy 1"])  # an earlier one: it can be served again, what it was made from need not
    lines = {id: list(workspace.ancestors(id)) for id in ids.values()}
    planned = pruning.plan(journal, workspace, days=0)
    assert {item.path.name for item in planned} == {ids["tried"], ids["reward 1"]}
    assert all(workspace.has(id) for id in ids.values()), "a plan touches nothing"
    assert pruning.plan(journal, workspace, days=1) == []
    gone = pruning.prune(journal, workspace, days=0)
    assert [item.bytes > 1000 for item in gone] == [True, True]
    assert not workspace.has(ids["reward 1"])
    assert [path.name for path in workspace.path(ids["reward 1"]).iterdir()] == [GONE]
    assert {id: list(workspace.ancestors(id)) for id in ids.values()} == lines
    assert {one.id for one in workspace.manifests()} == set(ids.values())
    assert pruning.plan(journal, workspace, days=0) == []


def test_what_was_hollowed_can_be_made_anew(journal, made):
    workspace, ids = made
    before = workspace.manifest(ids["tried"])
    assert workspace.hollow(ids["tried"], "a test") == 1000, "the manifest is moved, not freed"
    assert (workspace.has(ids["tried"]), workspace.manifest(ids["tried"])) == (False, before)
    folder = workspace.put(before, lambda folder: (folder / "weights.bin").write_bytes(b"y"))
    assert (folder.name, workspace.has(ids["tried"])) == (ids["tried"], True)
    assert not (folder / GONE).exists()


def test_an_open_round_and_the_last_one_keep_what_they_made_and_go_on_from(journal, made):
    workspace, ids = made
    first = rounds.begin(journal, {"steps": ["reward", "policy"]})
    for step in ("reward", "policy"):
        rounds.note(journal, first.id, step, "done", artefact=ids[f"{step} 1"])
    rounds.note(journal, first.id, "", "done")
    assert {item.path.name for item in pruning.plan(journal, workspace, days=0)} == {
        ids["tried"], ids["reward 2"], ids["policy 2"],
    }  # fmt: skip
    second = rounds.begin(journal, {"steps": ["reward", "policy"]}, parent=first.id)
    rounds.note(journal, second.id, "reward", "done", artefact=ids["reward 2"])
    assert {item.path.name for item in pruning.plan(journal, workspace, days=0)} == {ids["tried"], ids["policy 2"]}


def test_what_the_settings_name_stays(journal, made):
    workspace, ids = made
    (workspace.root / "palate.toml").write_text(f'[project]\nbase = "artefacts/{ids["tried"]}"\nseed = 0\n')
    gone = {item.path.name for item in pruning.plan(journal, workspace, days=0)}
    assert not gone & {ids["tried"], ids["sft"], ids["base"]}


def test_checkpoints_of_finished_runs_and_what_died_go_and_open_runs_stay(journal, made):
    workspace, ids = made
    for run in (ids["policy 1"], "policy-of-an-open-run"):
        (workspace.run_folder(run) / "checkpoints").mkdir()
        (workspace.run_folder(run) / "checkpoints" / "5.pt").write_bytes(b"z" * 10)
    old, new = (workspace.artefacts / f".policy-1.{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (time.time() - 2 * pruning.STALE_S,) * 2)
    pruning.prune(journal, workspace, days=30)
    assert not (workspace.run_folder(ids["policy 1"]) / "checkpoints").exists()
    assert (workspace.run_folder("policy-of-an-open-run") / "checkpoints" / "5.pt").is_file()
    assert (old.exists(), new.exists()) == (False, True)


def test_nobody_prunes_beside_a_round_at_work(journal, made):
    with alone(made[0]), pytest.raises(DataError, match="another process"):
        pruning.prune(journal, made[0])
    with pytest.raises(ConfigError, match="younger"):
        pruning.plan(journal, made[0], days=-1)
