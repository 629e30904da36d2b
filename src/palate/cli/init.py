"""`palate init`: a project's folder, with settings, a guideline and a constitution to edit."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from palate.core.errors import ConfigError
from palate.core.records import Demonstration

if TYPE_CHECKING:
    from palate.world.prompts import Question

Shape = Literal["classic", "dpo", "online-dpo", "cai", "mixed"]
GUIDELINE = """# Guideline

Which answer would you rather give, if your name stood under it?

## It does what was asked

An answer to another question is worse than a short one to this.

## What it says is true

Check what you can. A wrong fact outweighs a friendly tone.

## It does no harm

An answer that would help somebody to hurt people is the worse one, however well it is written.

## It is as long as it needs to be

Neither padding nor flattery makes an answer better.
"""


def init(
    name: Path,
    *,
    base: Path | None = None,
    shape: Shape = "classic",
    practice: Annotated[bool, Parameter(negative=())] = False,
    size: Literal["normal", "tiny"] = "normal",
    seed: int = 0,
) -> None:
    """Make a project's folder: `palate.toml` to read and change, a guideline for raters, and a constitution.

    Parameters
    ----------
    name
        Folder, which must not be a project yet.
    base
        Folder of the causal model that everything begins with.
    shape
        What its rounds are: classic (reward model and PPO), dpo, online-dpo, cai, or mixed (a model judges what people
        have not).
    practice
        In the practice world: a small base model is trained here, in about a minute, and raters are simulated.
    size
        With --practice: tiny learns nothing, and is done in seconds.
    seed
        Of everything that is drawn.
    """
    from palate.rounds.project import FILE

    if (name / FILE).exists():
        raise ConfigError("there is a project already", where=str(name / FILE), hint="choose another folder")
    if practice is (base is not None):
        raise ConfigError(
            "a project needs a model to begin with", expected="either --base MODEL or --practice",
            found="both" if practice else "neither",
        )  # fmt: skip
    name.mkdir(parents=True, exist_ok=True)
    if practice:
        text = _practice(name, shape, size, seed)
    else:
        from palate.models import load

        assert base is not None
        load.read_config(base)  # refuse what is no model
        text = _text("template.toml", BASE=str(base.absolute()), SHAPE=shape)
    from palate.cli.revise import brought

    for file, told in (("guideline.md", GUIDELINE), ("constitution.md", brought())):
        if not (name / file).exists():
            (name / file).write_text(told, encoding="utf-8")
    _guideline(name)
    (name / FILE).write_text(text, encoding="utf-8")  # last: what is there is whole
    print(f"{name / FILE}: read it, and change what you like.")
    if not practice:
        print(f"Put what you want to ask into {name / 'prompts.jsonl'}, one prompt a line.")
    print(f"Then: cd {name} && palate round plan && palate round start")


def _practice(root: Path, shape: str, size: str, seed: int) -> str:
    """Train a base, write down what is asked and shown; the settings."""
    from palate.cli.live import Live
    from palate.world import projects, settings
    from palate.world.ai_feedback import talk

    amounts = settings.TINY if size == "tiny" else settings.Size()
    live = Live()
    live.say("A base model learns the practice world's language.")
    begun = (projects.principled if shape == "cai" else projects.plain)(root, seed, amounts, live)
    _rows(root / "prompts.jsonl", _asked(begun.asked))
    _rows(root / "heldout.jsonl", _asked(begun.heldout))
    _rows(root / "demonstrations.jsonl", [_shown(one) for one in begun.shown])
    more = ""
    if begun.red_team:
        _rows(root / "red-team.jsonl", _asked(begun.red_team))
        (root / "constitution.toml").write_text(talk.written(), encoding="utf-8")
        more = 'red_team = "red-team.jsonl"\nconstitution = "constitution.toml"\n'
    values = {
        "SEED": seed, "COUNT": min(amounts.prompts, len(begun.asked)), "TOKENS": amounts.max_new_tokens,
        "EVALUATED": amounts.evaluated, "MORE": more, "TURNS": "last" if shape == "cai" else "all",
    }  # fmt: skip
    parts = ("judge", "classic") if shape == "mixed" else (shape,)
    recipe = "\n".join(
        _text(f"practice-{part}.toml", TOKENS=amounts.max_new_tokens, ITERATIONS=amounts.iterations) for part in parts
    )
    return _text("practice.toml", BASE=str(begun.base.relative_to(root)), SHAPE=shape, RECIPE=recipe, **values)


def _asked(questions: list[Question]) -> list[dict[str, Any]]:
    different = {one.prompt.id: one.prompt for one in questions}.values()
    return [{"prompt": one.text, "kind": one.kind} for one in different]


def _shown(one: Demonstration) -> dict[str, Any]:
    if len(one.prompt.messages) == 1:
        return {"prompt": one.prompt.text, "completion": one.completion, "kind": one.prompt.kind}
    turns = [message.as_dict() for message in one.prompt.messages]
    return {"messages": [*turns, {"role": "assistant", "content": one.completion}]}


def _rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _text(name: str, **values: object) -> str:
    text = files("palate.rounds").joinpath(name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def _guideline(root: Path) -> None:
    """The guideline's first version in force."""
    from palate.cli.data import JOURNAL
    from palate.store import guidelines
    from palate.store.journal import Journal

    with Journal.open(root / JOURNAL) as journal:
        if not guidelines.all(journal):
            version = guidelines.add(journal, (root / "guideline.md").read_text(encoding="utf-8"), author="palate init")
            guidelines.put_in_force(journal, version.id, actor="palate init")
