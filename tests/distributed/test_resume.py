"""A run goes on with another number of processes: two, then one, then two.

Where each step is two parts of equal size, the same two numbers are added up, whoever computed them: then 2 → 1 → 2
is bit-equal to one process throughout, if whole weights lie everywhere. The norm of parted gradients is summed in
another order, and where rows are sampled, or asked without gradient, they lie in other batches and round otherwise:
there 1e-6 is allowed, at learning rates as the recipes have them (Adam moves a weight whose gradient is only rounding
by the learning rate). With the same number of processes a run goes on bit for bit, whole or parted.
"""

import json

import pytest
import torch
from tests.distributed.conftest import MODES
from tests.distributed.launch import apart, carry_out, ended, lines, weights

pytestmark = pytest.mark.distributed
EXACT = ("sft in parts",)
CLOSE = ("sft best", "dpo sigmoid", "reward", "kto", "ppo", "grpo", "online_dpo", "best_of_n")
QUICK = (*EXACT, "reward", "ppo", "online_dpo")
"""The others are run by `make slow`."""
EVERY = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in EXACT + CLOSE]
STEPS = {"ppo": (5, 8), "grpo": (3, 4)}
"""At which of its updates the first and the second process stop; others at 2 and 2. PPO has two a step."""


OF_SPREAD = "score.weight"
"""A reward model's head is divided by the spread of its scores, which after a few small steps is small."""


def is_bitwise(mode, name):
    return mode == "ddp" and name in EXACT


def line(mode, name, root, **more):
    return {"trial": name, "mode": mode, "root": str(root), "learning_rate": 1e-5, **more}


@pytest.fixture(scope="module")
def wanted(request):
    """Names of those that are tested now."""
    params = [one.callspec.params for one in request.session.items if one.path == request.path]
    return [name for name in EXACT + CLOSE if any(one["name"] == name for one in params)]


@pytest.fixture(scope="module")
def runs(place, wanted):
    """Runs that were stopped by a signal to one of their processes and went on with another number (`changed`); the
    same in one process, and again in two, that nobody stopped; and those in two that began again (`peace`).

    A launch of processes takes longer than most runs, so that each of the three carries out all that it can.
    """
    changed, peace = place / "changed", place / "peace"
    for folder in (changed, peace):
        folder.mkdir()
    moved = [(mode, name, changed / mode / name) for mode in MODES for name in wanted]
    stop = {"stop_at": 2, "who": 1, "how": "SIGTERM"}
    again = [line(mode, name, peace / f"{mode} again" / name) for mode in MODES for name in wanted]
    beside = (
        [line(mode, name, peace / mode / name) for mode in MODES for name in wanted]
        + [{**one, **stop} for one in again],
        [line("ddp", name, peace / "one" / name) for name in wanted],
        again,
    )
    for turn, processes in enumerate((2, 1, 2)):
        plan = []
        for mode, name, where in moved:
            at = STEPS.get(name, (2, 2))[turn] if turn < 2 else None
            plan.append(line(mode, name, where, stop_at=at, who=processes - 1, how="SIGTERM"))
        carry_out(plan + beside[turn], place / "setting", place / f"turn-{turn}.jsonl", processes=processes)
        for _, _, where in moved:
            (where / f"{turn}.txt").write_text(ended(where))
            left = sorted(path.name for path in where.glob("runs/*/checkpoints/*"))
            (where / f"{turn}-checkpoints.json").write_text(json.dumps(left))
    return changed, peace


@pytest.fixture
def changed(runs):
    return runs[0]


@pytest.fixture
def peace(runs):
    return runs[1]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("mode", MODES)
class TestTwoThenOneThenTwo:
    def test_all_stop_together_on_a_signal_to_one_of_them(self, changed, mode, name):
        where = changed / mode / name
        assert [(where / f"{turn}.txt").read_text() for turn in range(3)] == ["interrupted", "interrupted", "done"]

    def test_each_kind_of_run_leaves_its_kind_of_checkpoint(self, changed, mode, name):
        kinds = []
        for turn in range(3):
            left = json.loads((changed / mode / name / f"{turn}-checkpoints.json").read_text())
            kinds.append(["file" if one.endswith(".pt") else "folder" for one in left[-1:]])
        assert kinds == [["folder" if mode == "fsdp2" else "file"], ["file"], []]

    def test_goes_on_where_it_stood(self, changed, mode, name):
        said = (changed / mode / name / "notes.txt").read_text()
        assert said.count("going on after step") == 2

    def test_ends_where_one_process_ends(self, changed, peace, mode, name):
        mine, theirs = weights(changed / mode / name), weights(peace / "one" / name)
        if is_bitwise(mode, name):
            assert apart(mine, theirs) == 0
        heads = {key for key in theirs if key.endswith(OF_SPREAD)}
        for key in heads:
            head, other = mine.pop(key), theirs.pop(key)
            assert float((head - other).norm() / other.norm()) <= 1e-4
        assert apart(mine, theirs) <= 1e-6

    def test_writes_each_line_once(self, changed, peace, mode, name):
        for file in ("metrics.jsonl", "samples.jsonl"):
            mine, theirs = (lines(root / name, file) for root in (changed / mode, peace / "one"))
            if is_bitwise(mode, name):
                assert mine == theirs
            key = "step" if file == "metrics.jsonl" else "completion"
            assert [one[key] for one in mine] == [one[key] for one in theirs]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("mode", MODES)
def test_with_the_same_number_it_goes_on_bit_for_bit(peace, mode, name):
    again, whole = (weights(peace / kind / name) for kind in (f"{mode} again", mode))
    assert again.keys() == whole.keys()
    assert all(torch.equal(again[key], whole[key]) for key in whole)
    assert lines(peace / f"{mode} again" / name, "metrics.jsonl") == lines(peace / mode / name, "metrics.jsonl")
