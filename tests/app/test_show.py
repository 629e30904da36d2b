"""`palate show batch` prints what a recipe would see, and stops where a run would stop."""

import json

import pytest

from palate.cli.show import batch
from palate.core.errors import DataError, TrainingError
from palate.training import encoding
from voices import CHATML, folder_of


@pytest.fixture(autouse=True)
def no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("shown")
    return {name: folder_of(root / name, name) for name in ("chatml", "qwen3", "llama3")}


def file(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def talks(path, *extra):
    turns = [("user", "plan"), ("assistant", "<think>\nhm\n</think>\n\nstart é."), ("user", "then?"), *extra]
    rows = [{"messages": [{"role": r, "content": c} for r, c in (*turns, ("assistant", "practise."))]}]
    return file(path, rows * 2 + [{"prompt": "hi", "completion": "the answer " * 60}])


def pairs(path):
    return file(path, [{"prompt": f"where {i}?", "chosen": "to the park.", "rejected": "no."} for i in range(12)])


def test_trained_tokens_are_marked_without_colour(folders, tmp_path, capsys):
    batch(model=folders["chatml"], data=talks(tmp_path / "d.jsonl"), rows=9, max_tokens=60)
    told = capsys.readouterr().out
    assert "⟦<think>↵\nhm↵\n</think>↵\n↵\nstart é.<|im_end|>⟧↵\n" in told
    assert "⟦practise.<|im_end|>⟧" in told
    assert "⟦plan" not in told
    assert "left out: 1 rows longer than 60 tokens" in told
    assert "an answer ends at <|im_end|> (0); rows are filled up with <|pad|>" in told
    assert [p.name for p in tmp_path.iterdir()] == ["d.jsonl"], "nothing is written"


def test_trained_tokens_are_coloured_where_there_is_colour(folders, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    batch(model=folders["chatml"], data=talks(tmp_path / "d.jsonl"), rows=1, turns="last")
    told = capsys.readouterr().out
    assert "⟦" not in told
    assert told.count("\x1b[1;94m") >= 1
    after = told.split("\x1b[1;94m")[1].split("\x1b[0m")[0]
    assert after.endswith("<|im_end|>")


def test_a_template_that_rewrites_is_told_and_padding_is_dim_and_counted(folders, tmp_path, capsys):
    batch(model=folders["qwen3"], data=talks(tmp_path / "d.jsonl"), rows=9, max_tokens=60)
    told = capsys.readouterr().out
    assert "each trained turn of" in told
    assert "·pad × " in told
    assert r"writes '<think>\n\n</think>\n\n' before an answer" in told


@pytest.mark.parametrize("recipe", ["reward", "dpo", "ppo"])
def test_other_recipes_see_pairs_and_prompts(folders, tmp_path, capsys, recipe):
    batch(model=folders["llama3"], data=pairs(tmp_path / "p.jsonl"), recipe=recipe, rows=1, ids=True)
    told = capsys.readouterr().out
    assert told.count("<|eot_id|>'") == {"ppo": 1}.get(recipe, 4), "after the question, and after each answer"
    assert told.count("⟦") == {"ppo": 0}.get(recipe, 2)
    assert told.count("─ ") == {"ppo": 1}.get(recipe, 2)
    assert ("nothing is trained in a prompt" in told) == (recipe == "ppo")


def test_what_would_stop_a_run_stops_here(folders, tmp_path, capsys, monkeypatch):
    template = CHATML.replace("assistant\\n' }}{%- endif", "assistant\\n<think>' }}{%- endif")
    broken = folder_of(tmp_path / "broken", "chatml", template=template)
    with pytest.raises(DataError, match="tokens change"):
        batch(model=broken, data=talks(tmp_path / "d.jsonl"))
    with pytest.raises(DataError, match="nothing is left to show"):
        batch(model=folders["chatml"], data=talks(tmp_path / "d.jsonl"), max_tokens=5)
    # A share that no answer reaches, to see that the counts are held to it.
    monkeypatch.setattr(encoding, "_LEAST_SHARE", 0.99)
    with pytest.raises(TrainingError, match="hardly any token"):
        batch(model=folders["chatml"], data=talks(tmp_path / "d.jsonl"))
    assert "a run would stop here:" in capsys.readouterr().out
