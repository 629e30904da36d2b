"""Registering a release, giving names, and walking back: on a real journal and real folders, without torch."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import ConfigError, DataError, MissingArtefact, ModelError
from palate.rounds import released, releasing
from palate.store import audit, releases, taints
from palate.store.journal import Journal
from palate.store.releases import Named

RULES = (
    'version = 1\n[output]\nstream = "sentences"\nmessage = "No."\n[[output.rules]]\nname = "a"\nwords = ["zebra"]\n'
)


def model(folder, content="a", kind="GPT2LMHeadModel"):
    """A folder as a model has it; nothing here reads the weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": [kind]}))
    (folder / "model.safetensors").write_text(content)
    (folder / "notes.py").write_text("print('not part of a model')")
    return folder


@pytest.fixture
def place(tmp_path):
    with Journal.open(tmp_path / "palate.db") as journal:
        yield tmp_path, Workspace(tmp_path / "project"), journal


def some(place, count):
    folder, workspace, journal = place
    return [
        releasing.add(journal, workspace, model(folder / str(n), str(n)), why="a test", actor="me")
        for n in range(count)
    ]


def test_a_folder_from_elsewhere_becomes_an_artefact_that_its_owner_cannot_change(place):
    folder, workspace, journal = place
    (made,) = some(place, 1)
    (folder / "0" / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Mine")
    kept = workspace.path(made.policy)
    assert sorted(one.name for one in kept.iterdir()) == ["config.json", "manifest.json", "model.safetensors"]
    manifest = workspace.manifest(made.policy)
    # Answers that were served from the folder itself have its id: the walk from the release finds them.
    assert manifest.inputs["folder"].startswith("folder-")
    assert manifest.facts == {"from": str((folder / "0").resolve())}
    with (folder / "0" / "model.safetensors").open("r+") as weights:
        weights.write("trained on")
    assert (kept / "model.safetensors").read_text() == "0"
    again = releasing.add(journal, workspace, folder / "0", why="it was trained on")
    assert again.policy != made.policy
    assert workspace.manifest(again.policy).facts["license"] == "apache-2.0"


def test_the_same_policy_under_other_guardrails_is_another_release(place):
    folder, workspace, journal = place
    (plain,) = some(place, 1)
    (folder / "rails.toml").write_text(RULES)
    guarded = releasing.add(
        journal, workspace, workspace.path(plain.policy), guardrails=folder / "rails.toml", why="safer"
    )
    assert (guarded.policy, guarded.guardrails[:11]) == (plain.policy, "guardrails-")
    assert guarded.id != plain.id
    releasing.name(journal, "stable", guarded.id)
    wanted = released.wanted(journal, workspace)
    assert wanted.guards["stable"].id == guarded.guardrails
    assert wanted.policies == {plain.policy: workspace.path(plain.policy)}
    releasing.name(journal, "stable", plain.id)
    assert released.wanted(journal, workspace).guards == {"stable": None}


def test_without_a_gate_a_reason_is_needed_and_stands_in_the_audit_log(place):
    folder, workspace, journal = place
    path = model(folder / "m")
    with pytest.raises(ConfigError, match="needs a reason"):
        releasing.add(journal, workspace, path, why="  ")
    with pytest.raises(MissingArtefact):
        releasing.add(journal, workspace, path, gate="gate-0000000000000000")
    gate = workspace.put(
        Manifest(kind="gate", made_by="eval", config={}, inputs={}, facts={"won": 0.6}), lambda _: None
    )
    assert releasing.add(journal, workspace, path, gate=gate.name).gate == gate.name
    releasing.add(journal, workspace, model(folder / "n", "n"), why="we are late", actor="me")
    (entry, _) = audit.read(journal, action="released")
    assert (entry.actor, entry.details["why"]) == ("me", "we are late")


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({}, "no model"),
        ({"config.json": "{}"}, "no model"),
        ({"config.json": "{", "model.safetensors": ""}, "configuration"),
        ({"config.json": '{"architectures": ["LlamaForSequenceClassification"]}', "model.safetensors": ""}, "reward"),
    ],
)
def test_what_can_answer_nobody_is_refused(place, files, error):
    folder, workspace, journal = place
    (folder / "it").mkdir()
    for name, text in files.items():
        (folder / "it" / name).write_text(text)
    with pytest.raises(ModelError, match=error):
        releasing.add(journal, workspace, folder / "it", why="a test")
    assert releases.every(journal) == []


def test_rollback_twice_goes_two_back_and_a_new_name_begins_from_there(place):
    _, workspace, journal = place
    a, b, c = (one.id for one in some(place, 3))
    with pytest.raises(DataError, match="nothing to go back to"):
        releasing.back(journal, workspace)
    for one in (a, b, c):
        releasing.name(journal, "stable", one)
    releasing.name(journal, "canary", c)
    done = releasing.back(journal, workspace, why="it is rude", actor="me")
    assert (done.before, done.now.id, done.further) == (c, b, 1)
    assert releasing.back(journal, workspace).now.id == a
    with pytest.raises(DataError, match="nothing to go back to"):
        releasing.back(journal, workspace)
    assert releases.aliases(journal) == {"stable": a, "canary": c}
    releasing.name(journal, "stable", c)
    assert releasing.back(journal, workspace).now.id == a
    entry = next(one for one in audit.read(journal, action="named a release") if one.actor == "me")
    assert entry.details == {"alias": "stable", "why": f"rolled back from {c}: it is rude"}
    with pytest.raises(DataError, match="for rollbacks alone"):
        releasing.name(journal, "stable", b, why="rolled back from memory")


def test_a_name_that_was_taken_away_comes_back(place):
    _, workspace, journal = place
    a, b = (one.id for one in some(place, 2))
    for one in (a, b):
        releasing.name(journal, "stable", one)
    moved = releases.moved(journal)
    assert releasing.take_away(journal, "stable", why="it burns") == b
    assert releases.moved(journal) > moved
    assert releases.aliases(journal) == {}
    with pytest.raises(ConfigError, match="no release has a name that is served"):
        released.wanted(journal, workspace)
    assert releasing.back(journal, workspace).now.id == b
    assert releasing.back(journal, workspace).now.id == a


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["a", "b", "c", "", "back", "back"]), max_size=20))
def test_the_walk_back_is_the_undo_of_a_stack(steps):
    """Against the plainest oracle: a stack of namings, of which a rollback drops the top until another is in force."""
    history, stack = [], []
    for step in steps:
        if step == "back":
            road = releasing.way_back(history)
            here = stack[-1] if stack else ""
            below = list(stack[:-1])
            while below and below[-1] in ("", here):
                below.pop()
            assert (road[-1] if road else None) == (below[-1] if below else None)
            if not road:
                continue
            stack = below
            history.append(Named("stable", road[-1], f"{releasing.BACK}{here}", "", ""))
        elif not stack or stack[-1] != step:
            stack.append(step)
            history.append(Named("stable", step, "", "", ""))
    assert (history[-1].release if history else "") == (stack[-1] if stack else "")


def test_a_release_whose_policy_is_gone_or_tainted_says_so(place):
    _, workspace, journal = place
    a, b = some(place, 2)
    for one in (a, b):
        releasing.name(journal, "stable", one.id)
    taints.mark(journal, "receipt", [(workspace.manifest(b.policy).inputs["folder"], "it held a person's words")])
    (workspace.path(a.policy) / "manifest.json").unlink()
    first, second = releasing.lines(journal, workspace)
    assert (first.there, first.taints) == (False, ())
    assert (second.there, second.taints) == (True, (workspace.manifest(b.policy).inputs["folder"],))
    assert [name for name, _ in second.aliases] == ["stable"]
    with pytest.raises(MissingArtefact, match="is gone"):
        releasing.back(journal, workspace)
    releasing.name(journal, "canary", a.id)
    with pytest.raises(MissingArtefact, match="cannot be served"):
        released.wanted(journal, workspace)
    assert released.wanted(journal, workspace, ["stable"]).releases == {"stable": b.id}
