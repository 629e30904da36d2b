import pytest

import tiny_models
from palate.cli import plan as command
from palate.models.room import Room


def test_a_plan_is_shown_without_loading_anything(tmp_path, capsys, monkeypatch):
    model = tiny_models.make(tmp_path / "model")
    (model / "model.safetensors").unlink()  # its configuration is enough
    command.plan(model=model, recipe="dpo", prompt_tokens=20, completion_tokens=20, device="cpu")
    told = capsys.readouterr().out
    assert "scoring" in told
    assert "update" in told
    assert "it fits" in told
    monkeypatch.setattr(command, "room_on", lambda _: Room(16 * 2**20, 0))
    command.plan(model=model, recipe="sft", prompt_tokens=200, completion_tokens=200, device="cpu")
    assert "--micro-" in capsys.readouterr().out


@pytest.mark.parametrize("recipe", command.CONFIGS)
def test_every_recipe_has_a_plan(recipe, tmp_path, capsys):
    model = tiny_models.make(tmp_path / "model")
    command.plan(model=model, recipe=recipe, prompt_tokens=8, completion_tokens=8, device="cpu")
    assert "weights" in capsys.readouterr().out
