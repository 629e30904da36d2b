"""`palate train …` as a person types it, in this process: what comes out, and what wrong options get."""

import json
import os
import sys
from pathlib import Path

import pytest
from tests.recipes.practice import BAD, GOOD, PROMPTS

from palate.cli import run
from palate.core.artefacts import read_manifest
from palate.preferences import dataset

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")  # they are in sys.argv
SAMPLING = ("rloo", "grpo", "online-dpo", "ppo")
ALL = ("pretrain", "sft", "reward", "dpo", "kto", *SAMPLING, "best-of-n")
SHORT = ("--iterations", 1, "--rollouts", 8, "--batch-size", 8, "--max-new-tokens", 12, "--device", "cpu")


@pytest.fixture
def palate(monkeypatch, tmp_path, capsys):
    """Types a command in a project's folder; gives back the exit code, the last line of output, and the errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("OMP_WAIT_POLICY", "HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_VERBOSITY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # `run` sets them for good
    _write(tmp_path / "prompts.jsonl", [{"prompt": prompt.text} for prompt in PROMPTS])

    def type_(*words):
        monkeypatch.setattr(sys, "argv", ["palate", *map(str, words)])
        code = 0
        try:
            run()
        except SystemExit as stop:
            code = stop.code or 0
        out, errors = capsys.readouterr()
        return code, out.splitlines(), errors

    return type_


def _write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", SAMPLING)
def test_a_recipe_that_samples(palate, policies, tmp_path, name):
    model = policies("llama")
    common = ("--model", model, "--reward", "rewards:likes_no", "--data", "prompts.jsonl", *SHORT)
    code, out, errors = palate("train", name, *common, "--checkpoint-every-s", 0, "--keep-checkpoints", 1)
    assert code == 0, errors
    made = read_manifest(Path(out[-1]))
    assert made.made_by == f"train {name}"
    assert made.inputs["reference"] == model.name
    assert made.inputs["reward"] == "function rewards:likes_no"
    assert "device" not in made.config  # how it was run is no part of what was computed
    code, out, errors = palate("train", name, *common, "--start", out[-1])
    assert code == 0, errors
    assert read_manifest(Path(out[-1])).inputs["start"] == made.id


def test_best_of_n_with_and_without_distilling(palate, policies, tmp_path):
    common = ("--model", policies("llama"), "--reward", "rewards:likes_no", "--data", "prompts.jsonl", "--n", 4)
    common += ("--max-new-tokens", 12, "--heldout-fraction", 0)
    code, out, errors = palate("train", "best-of-n", *common, "--no-distil")
    assert code == 0, errors
    best = read_manifest(Path(out[-1]))
    assert best.kind == "dataset"
    code, out, errors = palate("train", "best-of-n", *common, "--epochs", 1, "--tuning", "lora")
    assert code == 0, errors
    assert read_manifest(Path(out[-1])).kind == "policy"
    # The dataset is one that `sft` takes.
    code, out, errors = palate("train", "sft", "--model", policies("llama"), "--data", f"artefacts/{best.id}")
    assert code == 0, errors
    assert read_manifest(Path(out[-1])).inputs["data"] == best.id


def test_kto_from_thumbs_from_their_dataset_and_from_pairs(palate, policies, tmp_path):
    thumbs = [{"prompt": p.text, "completion": text, "label": text == GOOD} for p in PROMPTS for text in (GOOD, BAD)]
    _write(tmp_path / "thumbs.jsonl", thumbs[1:])  # of the first prompt the bad one alone
    common = ("train", "kto", "--model", policies("llama"), "--data")
    code, out, errors = palate(*common, "thumbs.jsonl", "--heldout-fraction", 0.4)
    assert code == 0, errors
    first = read_manifest(Path(out[-1]))
    assert "thumbs.jsonl: 15 rows read as unpaired" in out[0]
    assert "15 approvals" in out[0]
    assert first.facts["approvals"] + first.facts["heldout_approvals"] == 15
    frozen = tmp_path / "artefacts" / first.inputs["data"]
    assert len(dataset.load_approvals(frozen)) == first.facts["approvals"]
    code, out, errors = palate(*common, frozen)
    assert read_manifest(Path(out[-1])).id == first.id
    code, _, errors = palate(*common, frozen, "--heldout-fraction", 0.2)
    assert code == 2
    assert "--heldout-fraction cannot change a dataset" in errors
    _write(tmp_path / "pairs.jsonl", [{"prompt": p.text, "chosen": GOOD, "rejected": BAD} for p in PROMPTS])
    code, out, errors = palate(*common, "pairs.jsonl", "--heldout-fraction", 0)
    assert code == 0, errors
    assert read_manifest(Path(out[-1])).facts["approvals"] == 16


def test_imported_thumbs_are_kept(palate, tmp_path):
    _write(tmp_path / "thumbs.jsonl", [{"prompt": "q", "completion": "a", "label": False}] * 2)
    code, out, errors = palate("import", "thumbs.jsonl")
    assert code == 0, errors
    assert read_manifest(Path(out[-1])).made_by == "dataset approvals"


@pytest.mark.parametrize("name", ALL)
def test_help_says_what_every_option_means(palate, name):
    code, out, _ = palate("train", name, "--help")
    assert code == 0
    text = "\n".join(out)
    for option in ("--device", "--checkpoint-every-s", "--keep-checkpoints", "--track", "--seed", "--out"):
        assert option in text
    if name in (*SAMPLING, "best-of-n"):
        assert "module:function" in text
        assert "--reward-timeout-s" in text
    assert ("--start" in text) == (name in SAMPLING)
    assert "--empty" not in text
    # An option without a word about it would stand in a line of nothing but its name, type and default.
    bare = [line for line in out if line.startswith("│") and line.strip("│ *").startswith("--") and not _said(line)]
    assert bare == []


def _said(line):
    """Whether words stand behind an option's name and type, two columns further."""
    cells = [cell for cell in line.strip("│ *").split("  ") if cell.strip()]
    return len(cells) > 1 and not cells[1].strip().startswith("[")


def test_the_commands_are_listed_with_what_they_do(palate):
    code, out, _ = palate("train", "--help")
    assert code == 0
    for name in ALL:
        assert any(line.strip("│ ").startswith(f"{name} ") for line in out), name


WRONG = {
    "no such folder": (("rloo", "--reward", "nowhere"), "no model folder nowhere"),
    "no such function": (("grpo", "--reward", "rewards:nothing"), "--reward names a function that cannot be used"),
    "no such start": (("online-dpo", "--reward", "rewards:likes_no", "--start", "nowhere"), "no model folder nowhere"),
    "groups": (("rloo", "--reward", "rewards:likes_no", "--group-size", "3"), "--batch-size is not a multiple"),
    "k3 in the reward": (("rloo", "--reward", "rewards:likes_no", "--kl-estimator", "k3"), "wrong"),
    "a loss": (("grpo", "--reward", "rewards:likes_no", "--loss", "best"), "--loss has no such choice"),
    "no leash": (("online-dpo", "--reward", "rewards:likes_no", "--beta", "0"), "--beta cannot be used"),
    "one of one": (("best-of-n", "--reward", "rewards:likes_no", "--n", "1"), "--n cannot be used"),
    "a share": (("best-of-n", "--reward", "rewards:likes_no", "--heldout-fraction", "1"), "--heldout-fraction"),
    "a device": (("rloo", "--reward", "rewards:likes_no", "--device", "tpu"), "--device cannot be used"),
    "a tracker": (("rloo", "--reward", "rewards:likes_no", "--track", "pigeon"), "--track"),
    "a weight": (("kto", "--good-weight", "0"), "--good-weight cannot be used"),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_get_a_sentence_and_leave_nothing(palate, policies, tmp_path, words, message):
    code, _, errors = palate("train", *words, "--model", policies("llama"), "--data", "prompts.jsonl")
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("artefacts/policy-*"))
