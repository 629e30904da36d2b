"""`palate influence`: what each judgement, rater and group did to a reward model, for cleaning data."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from palate.cli.live import Live
from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError, DataError
from palate.core.records import Preference
from palate.preferences.dataset import load_preferences

if TYPE_CHECKING:
    from palate.rounds.influence import Line

By = Literal["judgement", "rater", "group", "comparison"]
Rank = Literal["all", "loss", "surprise", "moved", "answer"]
_WIDTH = 44


def influence(
    reward: Path,
    dataset: Path,
    *,
    answer: str = "",
    by: By = "judgement",
    rank: Rank = "all",
    top: int = 20,
    price: float | None = None,
    out: Path = Path(),
) -> None:
    """Say which judgements helped a reward model and which harmed it, in closed form on its last layer.

    Wrong labels and raters who err are found by surprise: how unlikely a judgement is to a model that never saw it.
    The other numbers say what having a judgement did: above 0 it raised the held-out loss. What is printed last is
    the artefact, whose `influence.jsonl` has a line for everything.

    Parameters
    ----------
    reward
        Folder of a reward model.
    dataset
        Folder of the dataset that it learned from, with held-out rows.
    answer
        Ask about the margin of chosen over rejected too: the id of a comparison in the dataset, or a file with
        prompt, chosen and rejected, of which the mean is taken.
    by
        What the lists are of.
    rank
        `surprise`; `loss` on held-out rows; `moved`, how much it moved the reward model; `answer`, what it did to the
        margin that --answer asks about; or `all`: by surprise, then by loss.
    top
        Lines of each list.
    price
        On squared weights of the head that is fitted again.
    out
        Project folder.
    """
    from palate.rounds import influence as recipe

    if top < 1:
        raise ConfigError("--top is out of range", expected="1 or more", found=str(top))
    if rank == "answer" and not answer:
        raise ConfigError("--rank answer needs something to be asked about", expected="--answer")
    config = recipe.InfluenceConfig() if price is None else recipe.InfluenceConfig(price=price)
    asked = _asked(answer, dataset) if answer else []
    folder = recipe.influence(config, reward, dataset, Workspace(out), answers=asked, progress=Live())
    lines = [line for line in recipe.read(folder) if line.by == by]
    if not lines:
        raise DataError(
            f"the dataset does not say who judged what, so nothing can be told by {by}",
            expected="a dataset of `palate dataset build`, with its judgements",
            hint="--by comparison needs none",
        )
    rows = {row.comparison: row for row in load_preferences(dataset, "train")}
    for sentence in told(lines, rows, rank, top, asked=bool(asked)):
        print(sentence)
    print(folder)


def told(
    lines: Sequence[Line], rows: Mapping[str, Preference], rank: Rank, top: int, *, asked: bool = False
) -> list[str]:
    """Both ends of the ranking; of `surprise` and `moved` the upper one."""
    if rank == "all":
        ranks: tuple[Rank, ...] = ("surprise", "loss", *(("answer",) if asked else ()))
        parts = [told(lines, rows, one, top, asked=asked) for one in ranks]
        return [sentence for part in parts for sentence in (*part, "")]
    name = f"{rank}_nats"
    known = [line for line in lines if getattr(line, name) is not None]
    ranked = sorted(known, key=lambda line: (-getattr(line, name), line.id))
    head = {
        "loss": "most harmful: having it raised the held-out loss",
        "surprise": "look at these first: all others speak against them most",
        "moved": "moved the reward model most",
        "answer": "moved the margin up",
    }
    worst = [line for line in ranked if rank in ("surprise", "moved") or getattr(line, name) > 0]
    out = _list(head[rank], worst[:top], rows, asked)
    if rank in ("loss", "answer"):
        best = [line for line in reversed(ranked) if getattr(line, name) < 0]
        other = "most helpful: having it lowered the held-out loss" if rank == "loss" else "moved the margin down"
        out += ["", *_list(other, best[:top], rows, asked)]
    return out


def _list(head: str, lines: Sequence[Line], rows: Mapping[str, Preference], asked: bool) -> list[str]:
    columns = f"{'loss':>10}  {'moved':>8}  {'surprise':>8}" + (f"  {'answer':>9}" if asked else "")
    out = [f"{head} ({len(lines)})", f"  {columns}"] if lines else [f"{head}: nothing"]
    for line in lines:
        surprise = "" if line.surprise_nats is None else f"{line.surprise_nats:.2f}"
        numbers = f"{line.loss_nats:>+10.2e}  {line.moved_nats:>8.4f}  {surprise:>8}"
        numbers += f"  {line.answer_nats:>+9.4f}" if asked else ""
        out.append(f"  {numbers}  {_who(line, rows)}")
    return out


def _who(line: Line, rows: Mapping[str, Preference]) -> str:
    """What a person needs to find it again, and to see whether it is wrong."""
    if not line.comparison:
        return f"{line.id}, {line.judgements} judgement{'' if line.judgements == 1 else 's'}"
    row = rows[line.comparison]
    better, worse = (row.rejected, row.chosen) if line.said == "rejected" else (row.chosen, row.rejected)
    between = "=" if line.said == "tie" else ">"
    texts = f"{_short(row.prompt.text)}: {_short(better)} {between} {_short(worse)}"
    return f"{line.id}  {line.rater + '  ' if line.rater else ''}{texts}"


def _short(text: str) -> str:
    return repr(textwrap.shorten(text, _WIDTH, placeholder=" …"))


def _asked(answer: str, dataset: Path) -> list[Preference]:
    """The pairs that somebody asks about."""
    if Path(answer).is_file():
        return load_preferences(Path(answer))
    splits = ("train", "heldout")
    found = [row for split in splits for row in load_preferences(dataset, split) if row.comparison == answer]
    if not found:
        raise DataError(
            "--answer names nothing",
            expected="the id of a comparison in the dataset, or a file with prompt, chosen, rejected",
            found=answer,
        )
    return found
