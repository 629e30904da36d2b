"""`palate revise`: a model answers, criticises and rewrites by principles; the revisions are demonstrations for SFT."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Final

from palate.cli.data import load_file
from palate.cli.live import Live
from palate.core import constitutions
from palate.core.artefacts import Workspace, identify
from palate.core.constitutions import Constitution
from palate.core.errors import DataError
from palate.core.ids import content_id
from palate.core.records import Prompt
from palate.evaluation import subjects
from palate.evaluation.red_team.behaviours import behaviours
from palate.judging.revising import Revised, RevisingConfig
from palate.judging.revising import revise as revise_
from palate.preferences import dataset

DEFAULT: Final = "default"
_SHOWN: Final = 2


def revise(
    model: str,
    *,
    prompts: Path,
    principles: str = DEFAULT,
    rounds: int = 1,
    critique: bool = True,
    temperature: float = 0.7,
    max_new_tokens: int = 256,
    heldout_fraction: float = 0.05,
    seed: int = 0,
    out: Path = Path(),
) -> None:
    """Have a model answer prompts, say what is wrong with that by a principle, and rewrite it; freeze the revisions.

    The first stage of Constitutional AI. What is printed last is a dataset for `palate train sft --data`. Every step is
    kept with its principle in `runs/`, and the same command goes on where it was cut off, and tries again what failed.

    Parameters
    ----------
    model
        A model folder, or an address such as http://localhost:8000/v1#MODEL.
    prompts
        Any file that `palate import` or `palate eval redteam` reads; requests that are likely to be answered badly
        teach most.
    principles
        A file: Markdown, TOML or JSON. `default` takes the constitution that Palate brings.
    rounds
        Critiques and revisions in a row, each by a principle of its own.
    critique
        Without, an answer is rewritten by the principle at once.
    temperature
        Of all that the model says.
    max_new_tokens
        Longest answer, critique or revision, in tokens.
    heldout_fraction
        Share of prompts whose revisions are kept for evaluation.
    seed
        Of what is said, which principles are drawn, and the split.
    out
        Project folder.
    """
    ours, config = constitution(principles), RevisingConfig(rounds=rounds, critique=critique, seed=seed)
    subject = subjects.subject(model, temperature=temperature, max_new_tokens=max_new_tokens)
    asked = _asked(prompts)
    if not asked:
        raise DataError("there is nothing to ask", where=str(prompts), expected="at least one prompt")
    workspace = Workspace(out)
    whose = identify(Path(model)) if Path(model).is_dir() else model
    how = [whose, ours.id, config.rounds, config.critique, config.seed, temperature, max_new_tokens]
    keep = workspace.run_folder(f"revisions-{content_id('revisions', how)}") / "revisions.jsonl"
    told = revise_(subject, asked, ours, config, keep, progress=Live())
    for why, often in Counter(told.failed.values()).most_common(5):
        print(f"  {often} × {why}")
    if not told.rows:
        raise DataError("nothing was revised", where=str(keep), expected="a revision or more", found="failures alone")
    _show(told.rows, ours)
    print(f"\n{len(told.rows)} revisions, {len(told.failed)} prompts without one; every step is in {keep}")
    rows = [row.demonstration for row in told.rows]
    print(dataset.freeze_demonstrations(rows, workspace, heldout_fraction=heldout_fraction, seed=seed))


def _asked(path: Path) -> list[Prompt]:
    """Prompts of any known file, or the requests of a published table of them; each once."""
    try:
        imported = load_file(path)
    except DataError:  # of no known shape
        if path.suffix != ".csv":
            raise
        requests = behaviours(path)
        print(f"{path.name}: {len(requests)} requests")
        return [Prompt.of(one.request, kind=one.category) for one in requests]
    found = [*imported.prompts, *(p.prompt for p in imported.pairs), *(d.prompt for d in imported.demonstrations)]
    return list({prompt.id: prompt for prompt in found}.values())


def constitution(typed: str) -> Constitution:
    """The constitution of a file, or the one that Palate brings."""
    if typed == DEFAULT:
        return constitutions.parse(brought(), ".md", "the constitution that Palate brings")
    return constitutions.read(Path(typed))


def brought() -> str:
    """The words of the constitution that Palate brings."""
    return files("palate.judging").joinpath("constitution.md").read_text(encoding="utf-8")


def _show(rows: list[Revised], ours: Constitution) -> None:
    """What each principle led to, and an example or two."""
    used = Counter(step.principle for row in rows for step in row.steps)
    changed = Counter(
        step.principle
        for row in rows
        for before, step in zip([row.answer, *(s.revision for s in row.steps)], row.steps, strict=False)
        if step.revision != before
    )
    print("principle: rounds, of which it changed something")
    for principle in ours.principles:
        if used[principle.id]:
            print(f"  {principle.id}: {used[principle.id]}, {changed[principle.id]}")
    for row in [row for row in rows if row.steps[-1].revision != row.answer][:_SHOWN]:
        step = row.steps[-1]
        told = {"asked": row.prompt.text, "answer": row.answer, "by": step.principle, "revision": step.revision}
        print(json.dumps(told, ensure_ascii=False, indent=1))
