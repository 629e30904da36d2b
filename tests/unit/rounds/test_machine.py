"""The machine itself: what is done is not done again, what waits or fails says so, and nobody works beside another."""

import errno
import os
import signal
from dataclasses import replace

import pytest
from tests import tiny_models

from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import DataError, PalateError, TrainingError
from palate.core.records import Prompt
from palate.rounds import machine, project
from palate.rounds.step import Context, Done, Material, Refused, Waiting
from palate.rounds.turn import LOCK, abort, alone, holding, look, override
from palate.store import rounds
from palate.store.journal import Journal
from palate.store.rounds import Round

TOLD = {"project": {"base": "model", "prompts": "prompts.jsonl"}, "round": {"shape": "dpo"}}


@pytest.fixture
def context(tmp_path):
    tiny_models.make(tmp_path / "model")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "why?"}\n')
    asked = [Prompt.of(f"why {number}?") for number in range(10)]
    with Journal.open(tmp_path / "palate.db") as journal:
        yield Context(
            project=project.parse(TOLD), root=tmp_path, journal=journal, workspace=Workspace(tmp_path),
            round=Round("", 0, "", {}), material=Material(prompts=asked, practised=asked, heldout=asked),
        )  # fmt: skip


@pytest.fixture
def steps(monkeypatch):
    """Steps that leave small artefacts of their own; a test replaces some of them."""
    done = []

    def step(name):
        def work(context):
            done.append(name)
            before = project.SHAPES["dpo"][: project.SHAPES["dpo"].index(name)]
            inputs = {one: id for one, id in context.made.items() if one in before}
            made = Manifest(kind=name, made_by="test", config={"seed": 1}, inputs=inputs)
            return Done(context.workspace.put(made, lambda folder: None), {"rows": 3})

        return work

    made = {name: step(name) for name in project.SHAPES["dpo"]}
    made["release"] = lambda context: Done(details={"release": "r1"})
    monkeypatch.setattr(machine, "STEPS", made)
    return made, done


def resumed(context):
    """As another process would take the round up."""
    return machine.taken_up(replace(context, round=rounds.every(context.journal)[-1], made={}, before={}))


def test_a_round_does_each_step_once_and_a_second_begins_where_it_ended(context, steps):
    begun = machine.begin(context, actor="lead")
    turn = machine.go(begun)
    assert (turn.state, turn.step, list(turn.made)) == ("done", "", list(project.SHAPES["dpo"]))
    assert steps[1] == [name for name in project.SHAPES["dpo"] if name != "release"]
    second = machine.begin(context)
    assert (second.round.number, second.round.parent) == (2, begun.round.id)
    assert second.before == dict(turn.made)
    assert [one.number for one in second.earlier] == [1]
    assert second.last.name == turn.made["policy"]
    machine.go(second)
    told = [one for one in rounds.steps(context.journal, second.round.id) if one.state == "done" and one.artefact]
    assert told
    assert all(one.details["unchanged"] for one in told), "the same inputs, so the same artefacts"


def test_what_waits_goes_on_when_people_have_done_their_part(context, steps):
    ready = []
    steps[0]["collect"] = lambda context: (
        Done() if ready else Waiting("3 of 10 comparisons are judged", {"finished": 3})
    )
    begun = machine.begin(context)
    turn = machine.go(begun)
    assert (turn.state, turn.step, turn.why) == ("waiting", "collect", "3 of 10 comparisons are judged")
    with pytest.raises(DataError, match="under way"):
        machine.begin(context)
    ready.append(True)
    assert machine.go(resumed(context)).state == "done"
    assert steps[1].count("sft") == 1


def test_a_step_that_cannot_be_done_is_told_and_tried_again(context, steps):
    before = steps[0]["policy"]

    def fails(context):
        raise TrainingError("the loss is not finite", where="step 3", hint="lower the learning rate")

    steps[0]["policy"] = fails
    begun = machine.begin(context)
    with pytest.raises(TrainingError):
        machine.go(begun)
    turn = look(context.journal, context.workspace, begun.round)
    assert (turn.state, turn.step, turn.why) == ("failed", "policy", "the loss is not finite")
    steps[0]["policy"] = before
    assert machine.go(resumed(context)).state == "done"


def test_a_failed_gate_is_passed_by_a_reason_and_by_nothing_else(context, steps):
    steps[0]["gate"] = lambda context: Refused("the win rate's lower end is .41", None, {"passed": False})
    begun = machine.begin(context)
    turn = machine.go(begun)
    assert (turn.state, turn.step, turn.why) == ("failed", "gate", "the win rate's lower end is .41")
    with pytest.raises(DataError, match="needs a reason"):
        override(context.journal, context.workspace, begun.round, " ")
    override(context.journal, context.workspace, begun.round, "it is for a demonstration", actor="lead")
    assert machine.go(resumed(context)).state == "done"
    told = [one for one in rounds.steps(context.journal, begun.round.id) if one.state == "overridden"]
    assert [one.details for one in told] == [{"why": "it is for a demonstration", "actor": "lead"}]
    with pytest.raises(DataError, match="no failed gate"):
        override(context.journal, context.workspace, begun.round, "again")


def test_an_artefact_that_is_gone_is_made_again(context, steps):
    begun = machine.begin(context)
    steps[0]["gate"] = lambda context: Waiting("people")
    machine.go(begun)
    policy = begun.workspace.path(resumed(context).made["policy"])
    (policy / "manifest.json").unlink()
    assert "policy" not in resumed(context).made
    steps[0]["gate"] = lambda context: Done()
    assert machine.go(resumed(context)).state == "done"
    assert (policy / "manifest.json").is_file()


def test_one_writer_at_a_time(context, steps):
    begun = machine.begin(context)
    with alone(context.workspace):
        assert holding(context.workspace) == os.getpid()
        with pytest.raises(DataError, match=str(os.getpid())):
            machine.go(begun)
    assert holding(context.workspace) == 0
    assert (context.root / "runs" / LOCK).is_file()
    assert machine.go(begun).state == "done"


def test_an_ended_round_stays_ended(context, steps, monkeypatch):
    begun = machine.begin(context)
    told = []
    monkeypatch.setattr("palate.rounds.turn.os.kill", lambda process, number: told.append((process, number)))

    def ends(inner):
        assert abort(context.journal, context.workspace, begun.round, why="enough")
        return Done()

    steps[0]["dataset"] = ends
    turn = machine.go(begun)
    assert told == [(os.getpid(), signal.SIGTERM)], "whoever is at work is told to stop"
    assert (turn.state, "reward" in turn.made, "policy" in turn.made) == ("stopped", False, False)
    with pytest.raises(DataError, match="over"):
        abort(context.journal, context.workspace, begun.round)
    assert machine.begin(context).round.parent == "", "an ended round is nobody's parent"


def test_a_full_disk_says_so_and_the_round_goes_on_later(context, steps):
    before = steps[0]["dataset"]

    def full(context):
        raise OSError(errno.ENOSPC, "No space left on device", "artefacts/x")

    steps[0]["dataset"] = full
    with pytest.raises(PalateError, match="the disk is full"):
        machine.go(machine.begin(context))
    steps[0]["dataset"] = before
    assert machine.go(resumed(context)).state == "done"


def test_what_a_round_began_with_must_not_change(context, steps):
    steps[0]["collect"] = lambda context: Waiting("people")
    machine.go(machine.begin(context))
    changed = replace(context, project=project.parse(TOLD | {"policy": {"beta": 0.5}}))
    assert resumed(changed).project.policy.config.beta == context.project.policy.config.beta, "its settings are kept"
    (context.root / "prompts.jsonl").write_text('{"prompt": "why not?"}\n')
    with pytest.raises(DataError, match="prompts"):
        resumed(context)


def test_questions_of_its_evaluation_must_not_change_either(context, steps):
    asked = context.root / "questions.jsonl"
    asked.write_text("1")
    steps[0]["collect"] = lambda context: Waiting("people")
    told = TOLD | {"evaluate": {"questions": asked.name}}
    machine.go(machine.begin(replace(context, project=project.parse(told))))
    assert resumed(context).round.number == 1
    asked.write_text("2")
    with pytest.raises(DataError, match="evaluate/questions"):
        resumed(context)
