"""The recipes themselves, for a few steps on a handful of rows."""

import json
from dataclasses import replace

import pytest

from palate.core.errors import TrainingError
from palate.world.bench import palate_side, process
from palate.world.bench.cells import Bench, measure_cell
from palate.world.bench.meter import Meter, Stop
from palate.world.bench.prepare import make
from palate.world.bench.workload import Cell, work_of


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make("tiny", 0, tmp_path_factory.mktemp("bench") / "models" / "tiny", endless=False, steps=1)


def blocks_of(stage, models, folder, monkeypatch, *, steps=2, batch=4, blocks=2, said=None):
    """What the side says of its blocks; one fewer is asked for than there are."""
    monkeypatch.setattr(palate_side, "watch", lambda phases: None)  # it changes a process for good
    lines = [] if said is None else said
    words = iter(["go"] * blocks)

    def meter(steps, facts):
        return Meter(steps, facts, probe=lambda: 100.0, hear=lambda: next(words, "stop"), say=lines.append)

    work = work_of(Cell(stage, "tiny"), seed=0, blocks=blocks + 1, steps=steps, batch=batch)
    work = replace(work, max_new_tokens=6)
    palate_side.run(work, models, folder, meter)
    return work, [json.loads(line[6:]) for line in lines[1:]]


@pytest.mark.parametrize("stage", ["sft", "reward", "dpo"])
def test_tokens_of_an_epoch_are_those_of_the_rows(stage, models, tmp_path, monkeypatch):
    work, (first, second) = blocks_of(stage, models, tmp_path, monkeypatch)
    completions = sum(len(c) + 1 for own in work.completions for c in own)  # and the end
    prompts = sum(map(len, work.prompts)) * len(work.completions[0])
    for block in (first, second):
        assert block["tokens"] == prompts + completions
        assert block["completion_tokens"] == completions
        assert block["sequences"] == 8 * len(work.completions[0])
        assert len(block["cpu_s"]) == 2
        assert (block["charge_s"] > 0) == (stage == "dpo")


@pytest.mark.parametrize(("stage", "batch"), [("grpo", 16), ("rloo", 16), ("ppo", 8)])
def test_tokens_of_iterations_are_those_that_were_sampled(stage, batch, models, tmp_path, monkeypatch):
    work, found = blocks_of(stage, models, tmp_path, monkeypatch, batch=batch)
    (path,) = tmp_path.glob("runs/*/samples.jsonl")
    lines = [json.loads(line) for line in path.read_text().split("\n") if line]
    assert len(lines) == 2 * 2 * batch
    for number, block in enumerate(found):
        own = lines[number * 2 * batch : (number + 1) * 2 * batch]
        sampled = sum(line["tokens"] for line in own)
        assert {line["iteration"] for line in own} == {2 * number, 2 * number + 1}
        assert block["completion_tokens"] == sampled
        assert block["tokens"] == sampled + sum(map(len, work.prompts)) * work.group
        assert block["sequences"] == 2 * batch


def test_a_recipe_that_does_less_than_it_should_is_no_measurement(models, tmp_path, monkeypatch):
    monkeypatch.setattr(palate_side, "watch", lambda phases: None)
    work = work_of(Cell("sft", "tiny"), seed=0, blocks=1, steps=1, batch=2)
    with pytest.raises(TrainingError, match="ended before"):
        palate_side.run(
            work, models, tmp_path, lambda n, f: Meter(n, f, probe=lambda: 1.0, hear=lambda: "go", say=lambda _: None)
        )


def test_dpo_without_its_first_pass_is_not_measured_wrongly():
    counter = palate_side._Counter.__new__(palate_side._Counter)
    counter.work = work_of(Cell("dpo", "tiny"), seed=0, blocks=1, steps=1, batch=2)
    with pytest.raises(TrainingError, match="asked no reference"):
        counter.charge(0.0)


@pytest.mark.slow
def test_a_process_of_its_own_tells_its_phases(models, tmp_path):
    bench = Bench(folder=tmp_path, seed=0, rounds=1, steps=2, batch=16, model=models)
    measure_cell(bench, Cell("grpo", "tiny"), 0, lambda _: None)
    (block,) = json.loads(bench.file(Cell("grpo", "tiny")).read_text())["palate"]
    spent = block["parts_s"]
    assert set(spent) == {"rollout", "passes", "forward", "backward", "optimiser"}
    for step in range(2):
        assert all(seconds[step] > 0 for seconds in spent.values())
        assert sum(seconds[step] for seconds in spent.values()) <= block["cpu_s"][step]


def test_a_process_that_ends_tells_why(tmp_path):
    import sys

    side = process.Side("x", [sys.executable, "-c", "import sys; sys.exit('no room')"], tmp_path / "log")
    with side, pytest.raises(TrainingError, match="no room"):
        side.ready()


def test_stop_leaves_no_artefact(models, tmp_path, monkeypatch):
    blocks_of("sft", models, tmp_path, monkeypatch)
    assert not list(tmp_path.glob("artefacts/*"))
    assert Stop.__mro__[1] is BaseException


def test_a_model_of_ones_own_is_measured_on_words_it_knows(models, tmp_path, monkeypatch):
    _, (first, _) = blocks_of("sft", models / "policy", tmp_path, monkeypatch)
    assert first["sequences"] == 8
    assert 8 * (16 + 5) < first["tokens"] < 8 * (64 + 64)
    assert "<unk>" not in palate_side._writer(palate_side.load_tokenizer(models / "policy"))(list(range(999)))


@pytest.mark.slow
def test_ppo_on_a_model_of_ones_own_asks_a_function(models, tmp_path, monkeypatch):
    _, found = blocks_of("ppo", models / "policy", tmp_path, monkeypatch, batch=8)
    config = json.loads(next(tmp_path.glob("runs/*/config.json")).read_text())
    assert config["inputs"]["reward"] == f"function {palate_side.REWARD}"
    assert all(block["tokens"] > 0 for block in found)
