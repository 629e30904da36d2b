"""`palate init`: a project's folder, with settings, a guideline and a constitution to edit."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from palate.core.errors import ConfigError

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
    from palate.world import settings, stages
    from palate.world.demonstrations import demonstrations
    from palate.world.prompts import split

    if shape not in ("classic", "dpo", "online-dpo"):
        raise ConfigError(
            "the practice world has no such project", where="--shape", expected="classic, dpo or online-dpo",
            found=shape,
        )  # fmt: skip
    amounts = settings.TINY if size == "tiny" else settings.Size()
    live = Live()
    live.say("A base model learns the practice world's language.")
    base = stages.make_base(root, seed, amounts, live)
    train, heldout = split()
    shown = demonstrations(train, amounts.demonstrations, seed)
    _lines(root / "prompts.jsonl", [q.prompt for q in train.sample(amounts.ppo_prompts, seed)])
    _lines(root / "heldout.jsonl", [q.prompt for q in heldout.sample(amounts.evaluated, 7)])
    told = [{"prompt": one.prompt.text, "completion": one.completion, "kind": one.prompt.kind} for one in shown]
    (root / "demonstrations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told), encoding="utf-8")
    values = {"SEED": seed, "COUNT": amounts.prompts, "TOKENS": amounts.max_new_tokens, "EVALUATED": amounts.evaluated}
    recipe = _text(f"practice-{shape}.toml", TOKENS=amounts.max_new_tokens,
                   ITERATIONS=amounts.iterations)  # fmt: skip
    return _text("practice.toml", BASE=str(base.relative_to(root)), SHAPE=shape, RECIPE=recipe, **values)


def _lines(path: Path, prompts: list) -> None:  # type: ignore[type-arg]
    kinds = {one.id: one for one in prompts}.values()
    path.write_text("".join(json.dumps({"prompt": p.text, "kind": p.kind}) + "\n" for p in kinds), encoding="utf-8")


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
