import re
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig

import tiny_models
from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError
from palate.core.progress import Silent
from palate.core.records import Demonstration, Prompt
from palate.models.anatomy import anatomy_from
from palate.models.room import GIB, Room
from palate.training import memory_check, sft
from palate.training.dpo import DPOConfig
from palate.training.grpo import GRPOConfig
from palate.training.memory_check import Judge, Work
from palate.training.memory_plan import Rows
from palate.training.ppo import PPOConfig
from palate.training.run import RunOptions
from palate.training.sft import SFTConfig

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SHAPE = {
    "vocab_size": 32_000, "hidden_size": 2048, "intermediate_size": 5504, "num_hidden_layers": 24,
    "num_attention_heads": 16, "max_position_embeddings": 2048, "tie_word_embeddings": True,
}  # fmt: skip
"""Of 1.3 billion parameters; nothing of it is ever made."""
LENGTHS = [(500, 500)] * 100


@pytest.fixture(scope="module")
def billion():
    return anatomy_from(LlamaConfig(**SHAPE))


def judged(config, work, gib, device=CPU):
    notes = []
    memory_check.judge(config, work, device, Room(round(gib * GIB), 0), notes.append)
    return notes


def refused(config, work, gib, device=CPU):
    with pytest.raises(ConfigError) as caught:
        judged(config, work, gib, device)
    return caught.value


def test_one_line_says_what_is_needed_and_what_is_free(billion):
    (note,) = judged(SFTConfig(), Work("train sft", billion, None, LENGTHS), 200)
    assert re.fullmatch(r"memory: needs about [\d.]+ GiB in the update, 200\.0 GiB free", note)


def test_what_the_process_holds_already_counts_as_free(billion):
    config, work = SFTConfig(), Work("train sft", billion, None, LENGTHS)
    need = memory_check.plan_of(config, work, CPU).peak.total
    memory_check.judge(config, work, CPU, Room(need // 2, need - need // 2), lambda _: None)
    with pytest.raises(ConfigError):
        memory_check.judge(config, work, CPU, Room(need // 2, need - need // 2 - 1), lambda _: None)


def test_the_first_way_out_changes_nothing_of_the_result(billion):
    config, work = SFTConfig(micro_batch=16), Work("train sft", billion, None, LENGTHS)
    error = refused(config, work, 40)
    found = re.match(r"--micro-batch (\d+) needs about ([\d.]+) GiB; --no-memory-check", error.hint)
    assert found
    rows = int(found[1])
    assert memory_check.plan_of(SFTConfig(micro_batch=rows), work, CPU).peak.total <= 40 * GIB
    # The next larger one would not have fitted.
    assert memory_check.plan_of(SFTConfig(micro_batch=2 * rows), work, CPU).peak.total > 40 * GIB


def test_then_adapters_then_four_bits_then_shorter_rows(billion):
    work = Work("train dpo", billion, None, LENGTHS)
    weights = 4 * billion.parameters / GIB
    error = refused(DPOConfig(), work, 4 * weights - 0.5)  # no room for gradients and moments, whatever the rows
    assert error.hint.startswith("--tuning lora")
    assert "weights" in error.found
    assert refused(DPOConfig(), work, 6.5, GPU).hint.startswith("--tuning lora --dtype bfloat16 ")
    assert refused(DPOConfig(), work, 4.5, GPU).hint.startswith("--tuning qlora --dtype bfloat16 ")
    assert refused(DPOConfig(), work, 0.2).hint.startswith("no setting makes it fit")


def test_a_pass_without_gradient_is_parted_by_tokens(billion):
    """32 pairs are asked at once whatever --micro-batch is; --micro-tokens parts them."""
    work = Work("train dpo", billion, None, LENGTHS)
    scoring = [
        memory_check.plan_of(DPOConfig(**change), work, CPU).phases[0].parts["work"]
        for change in ({}, {"micro_batch": 2}, {"micro_tokens": 4096})
    ]
    assert scoring[0] == scoring[1] > 10 * scoring[2]
    assert {"micro_tokens": 4096} in list(memory_check.changes(DPOConfig(), CPU, longest=1000))
    assert {"micro_tokens": 4096} not in list(memory_check.changes(DPOConfig(layout="right"), CPU, longest=1000))


def test_four_whole_models_become_one_base(billion):
    lengths = [(500, 0)] * 100
    work = Work("train ppo", billion, Judge(billion, 0), lengths)
    members = memory_check.members_of(PPOConfig(), work)
    assert [(one.who, one.trained > 0) for one in members] == [
        ("policy", True), ("reference", False), ("reward", False), ("critic", True),
    ]  # fmt: skip
    assert sum(one.held for one in members) == 4 * 4 * billion.parameters
    hats = memory_check.members_of(PPOConfig(tuning="lora"), work._replace(judge=Judge(billion, 16)))
    assert sum(one.held for one in hats) == 4 * billion.parameters + 3 * 4 * 16 * billion.sides
    assert "--tuning lora" in refused(PPOConfig(max_new_tokens=64), work, 40).hint


def test_rows_are_the_longest_of_the_data(billion):
    config = SFTConfig(layout="right", max_tokens=100)
    work = Work("train sft", billion, None, [(10, 5), (40, 20), (30, 28), (200, 5)])
    # The row of 205 tokens is too long. One of 60 and one of 58; logits from the shorter prompt's last token on.
    assert memory_check.rows_of(config, work, 2) == Rows(2, 120, 120, 2 * 31, 2 * 28, flat=False)
    assert memory_check.rows_of(replace(config, layout="shared"), work, 2) == Rows(2, 118, 118, 48, 48, flat=True)


def test_a_shared_prompt_goes_through_the_layers_once(billion):
    pairs = [(40, 20), (40, 20), (30, 10), (30, 10)]
    work = Work("train dpo", billion, None, pairs)
    assert memory_check.rows_of(DPOConfig(), work, 2) == Rows(2, 80, 120, 40, 40, flat=True)
    group = Work("train grpo", billion, None, [(40, 0)])
    config = GRPOConfig(group_size=4, batch_size=32, rollouts=64, max_new_tokens=10)
    assert memory_check.rows_of(config, group, 8) == Rows(8, 2 * 40 + 80, 400, 80, 80, flat=True)
    assert memory_check.rows_of(replace(config, micro_tokens=100), group, 8) == Rows(4, 80, 200, 40, 40, flat=True)
    assert memory_check.sampling_of(config, group)[:4] == (64, 16, 40, 10)


def test_too_little_room_stops_a_recipe_before_its_first_step(tmp_path, monkeypatch):
    model = tiny_models.make(tmp_path / "model")
    rows = [Demonstration(prompt=Prompt.of("help me"), completion=word) for word in ("sure", "no", "start")]
    heard = Heard()
    monkeypatch.setattr(memory_check, "room_on", lambda _: Room(1000, 0))
    how = {"progress": heard, "options": RunOptions(device="cpu")}
    with pytest.raises(ConfigError, match="does not fit into memory"):
        sft.train(SFTConfig(epochs=1), model, rows, Workspace(tmp_path), **how)
    assert not list(tmp_path.glob("runs/*/metrics.jsonl"))
    careless = RunOptions(device="cpu", memory_check=False)
    assert sft.train(SFTConfig(epochs=1), model, rows, Workspace(tmp_path), progress=heard, options=careless).is_dir()
    assert sum(note.startswith("memory: needs about") for note in heard.notes) == 1


class Heard(Silent):
    def __init__(self):
        self.notes = []

    def note(self, sentence):
        self.notes.append(sentence)
