"""Reward models on public data: tiny models made from scratch, split by prompt or debate, beside simple rivals.

| name | what it averages |
|---|---|
| `rasbt/accuracy` | all pairs, each judged by a model that saw neither its prompt nor its answers (5 folds) |
| `hh/accuracy` | the same for HH harmless, and over 3 seeds of order and head |
| `hh/nll` | loss of those in nats, after a temperature from the other folds; a coin has 0.693 |
| `ukp/accuracy` | 4 folds of 3 debates, with a length head |
| `ukp/margin_length_corr` | correlation of its margins with the extra characters |
| `ukp/accuracy/plain` | the same without a length head: length explains nearly all of it |
| `ukp/margin_length_corr/plain` | the correlation without a length head |
| `<set>/longer_wins` | whoever always prefers the text with more characters, on the same pairs |
| `<set>/linear` | word counts and logistic regression, on the same folds |
| `hh/not_scored` | pairs of the file that have an empty side, sides of different turns, or too many tokens |

Intervals: 95 %, bootstrap over prompts (HH, rasbt) or arguments' pairs within debates (UKP: debates are resampled).
Of HH, models read the last question and the answer. Text to pretrain on: old books, and what training folds hold.

Data are found by the variable PALATE_DATA. A cell that is done is not done again: they lie in `build/core/real_data`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads sleep

import torch
from torch import Tensor

from palate.core.artefacts import Workspace
from palate.core.ids import content_id, derive_seed
from palate.core.records import Preference, Prompt
from palate.evaluation.statistics import Figure, mean, win_rate
from palate.formats import read
from palate.functional.calibration import fit_temperature
from palate.functional.length import antisymmetric_correlation
from palate.functional.pairwise import bradley_terry_loss
from palate.training import pretrain, reward
from palate.training.run import RunOptions

WORK: Final = Path(__file__).resolve().parents[2] / "build" / "core" / "real_data"
BOOKS: Final = ("alice_pg11.txt", "grimms_fairy_tales_pg2591.txt")
FILES: Final = {
    "hh": "hh_harmless_test/split_dev.jsonl",
    "rasbt": "rasbt_pref/instruction-data-with-preference.json",
    "ukp": "ukpconvarg/split_dev_strict_pairs.jsonl",
}
FOLDS: Final = {"hh": 5, "rasbt": 5, "ukp": 4}
SEEDS: Final = 3
"""Of HH."""
BASE: Final = pretrain.PretrainConfig(
    width=128, layers=2, vocab_size=4096, context=512, block_tokens=128, batch_size=16
)
REWARD: Final = {
    "hh": reward.RewardConfig(learning_rate=1e-4, epochs=2, max_tokens=512),
    "rasbt": reward.RewardConfig(learning_rate=1e-3, epochs=2, max_tokens=512),
    # A length head at the full price gives up what argues well along with what is long: docs/log.md.
    "ukp": reward.RewardConfig(learning_rate=3e-4, epochs=6, batch_prompts=1, max_tokens=512, length_price=0.045),
}


class Judged(NamedTuple):
    """What a model that did not learn from a pair makes of it."""

    comparison: str
    group: str
    """Prompt or debate."""
    margin: float
    """Chosen minus rejected."""
    extra_characters: int


class Cell(NamedTuple):
    """A piece of work that is done once."""

    name: str
    work: Path
    set: str
    fold: int
    kind: str
    """`model`, `length_head` or `linear`."""
    seed: int


def figures(seed: int, work: Path = WORK, *, processes: int = 2) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    work = work / f"seed-{seed}"
    cells = [
        Cell(f"{name}-{kind}-{fold}-{run}", work, name, fold, kind, derive_seed(seed, "run", run))
        for name, kinds in (("ukp", ("length_head", "model")), ("hh", ("model",)), ("rasbt", ("model",)))
        for fold in range(FOLDS[name])
        for kind in (*kinds, "linear")
        for run in range(SEEDS if name == "hh" and kind == "model" else 1)
    ]
    (work / "cells").mkdir(parents=True, exist_ok=True)
    todo = [cell for cell in cells if not _file(cell).is_file()]
    # The two other sets share a base: made once, before two cells ask for it at the same time.
    bases = sorted({_base_key(cell) for cell in todo if cell.kind != "linear"})
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        made = dict(zip(bases, pool.map(_base_of, [(name, fold, work, seed) for name, fold in bases]), strict=True))
        list(pool.map(_do, [(cell, seed, made.get(_base_key(cell))) for cell in todo]))
    done = {cell: [Judged(*row) for row in json.loads(_file(cell).read_text(encoding="utf-8"))] for cell in cells}
    return [*_rasbt(done), *_hh(done), *_ukp(done)]


def _rasbt(done: dict[Cell, list[Judged]]) -> list[dict[str, Any]]:
    found = _all(done, "rasbt", "model")
    return [_row("rasbt/accuracy", _right(found)), *_rivals("rasbt", done)]


def _hh(done: dict[Cell, list[Judged]]) -> list[dict[str, Any]]:
    rows = over_seeds({cell: found for cell, found in done.items() if (cell.set, cell.kind) == ("hh", "model")})
    whole, scored = len(_lines("hh")), rows[0]["n"]
    rows.append({"name": "hh/not_scored", "value": whole - scored, "low": None, "high": None, "n": whole, "seeds": 1})
    return rows + _rivals("hh", done)


def over_seeds(done: dict[Cell, list[Judged]]) -> list[dict[str, Any]]:
    """Each pair's share of seeds that are right, and its mean loss; the bootstrap is over prompts."""
    right: dict[str, list[float]] = {}
    losses: dict[str, list[float]] = {}
    groups: dict[str, str] = {}
    runs = sorted({cell.seed for cell in done})
    for run in runs:
        folds = {cell.fold: rows for cell, rows in done.items() if cell.seed == run}
        for fold, rows in folds.items():
            others = _margins([row for other, more in folds.items() if other != fold for row in more])
            tempered = _margins(rows) / fit_temperature(others, torch.ones(len(others)))
            for row, margin in zip(rows, tempered, strict=True):
                right.setdefault(row.comparison, []).append(0.5 + 0.5 * float(margin.sign()))
                losses.setdefault(row.comparison, []).append(float(bradley_terry_loss(margin[None], torch.ones(1))))
                groups[row.comparison] = row.group
    prompts = list(groups.values())
    return [
        _row(name, mean([sum(values[key]) / len(runs) for key in groups], prompts), len(runs))
        for name, values in (("hh/accuracy", right), ("hh/nll", losses))
    ]


def _ukp(done: dict[Cell, list[Judged]]) -> list[dict[str, Any]]:
    rows = []
    for kind, name in (("length_head", ""), ("model", "/plain")):
        found = _all(done, "ukp", kind)
        rows.append(_row(f"ukp/accuracy{name}", _right(found)))
        rows.append(_row(f"ukp/margin_length_corr{name}", _correlation(found)))
    return rows + _rivals("ukp", done)


def _rivals(name: str, done: dict[Cell, list[Judged]]) -> list[dict[str, Any]]:
    found = _all(done, name, "linear")
    longer = win_rate([float(o.extra_characters) for o in found], [0.0] * len(found), [o.group for o in found])
    return [_row(f"{name}/longer_wins", longer), _row(f"{name}/linear", _right(found))]


def _all(done: dict[Cell, list[Judged]], name: str, kind: str) -> list[Judged]:
    return [row for cell, rows in done.items() if (cell.set, cell.kind) == (name, kind) for row in rows]


def _margins(found: Sequence[Judged]) -> Tensor:
    return torch.tensor([row.margin for row in found])


def _right(found: Sequence[Judged]) -> Figure:
    return win_rate([o.margin for o in found], [0.0] * len(found), [o.group for o in found])


def _correlation(found: Sequence[Judged], resamples: int = 1000) -> Figure:
    """Of margin and extra characters, over both orders of each pair; debates are resampled."""
    groups = sorted({o.group for o in found})
    extra = torch.tensor([float(o.extra_characters) for o in found])
    place = torch.tensor([groups.index(o.group) for o in found])
    generator = torch.Generator().manual_seed(0)
    draws = []
    for _ in range(resamples):
        times = torch.randint(len(groups), (len(groups),), generator=generator).bincount(minlength=len(groups))
        draws.append(antisymmetric_correlation(_margins(found), extra, times[place].float()))
    low, high = torch.stack(draws).quantile(torch.tensor([0.025, 0.975])).tolist()
    return Figure(float(antisymmetric_correlation(_margins(found), extra)), low, high, len(found))


def _base_key(cell: Cell) -> tuple[str, int]:
    """Which base a cell begins with: for HH one a fold, elsewhere one for all."""
    return ("hh", cell.fold) if cell.set == "hh" else ("all", 0)


def _do(job: tuple[Cell, int, Path | None]) -> None:
    """Fill one cell."""
    cell, seed, base = job
    rows = preferences(cell.set)
    fold = folds(cell.set, rows, seed)
    train = [row for row, number in zip(rows, fold, strict=True) if number != cell.fold]
    heldout = [row for row, number in zip(rows, fold, strict=True) if number == cell.fold]
    found = linear(train, heldout) if cell.kind == "linear" else _model(cell, base, train, heldout)
    group = {row.comparison: group_of(cell.set, row) for row in heldout}
    lines = json.dumps([list(row._replace(group=group[row.comparison])) for row in found])
    target = _file(cell)
    target.with_suffix(".partial").write_text(lines, encoding="utf-8")
    target.with_suffix(".partial").replace(target)
    right = sum(row.margin > 0 for row in found) / len(found)
    print(f"{cell.name}: right on {right:.3f} of {len(found)}", file=sys.stderr, flush=True)


def _model(cell: Cell, base: Path | None, train: Sequence[Preference], heldout: Sequence[Preference]) -> list[Judged]:
    assert base is not None
    settings = {name: getattr(REWARD[cell.set], name) for name in REWARD[cell.set].__dataclass_fields__}
    config = reward.RewardConfig(**settings | {"seed": cell.seed, "length_head": cell.kind == "length_head"})
    workspace = Workspace(cell.work)
    made = reward.train(config, base, train, workspace, heldout=heldout, options=RunOptions(device="cpu"))
    text = (workspace.run_folder(made.name) / "heldout.jsonl").read_text(encoding="utf-8")
    told = [json.loads(line) for line in text.splitlines()]
    return [Judged(t["comparison"], "", t["margin"], t["extra_characters"]) for t in told]


def _base_of(job: tuple[str, int, Path, int]) -> Path:
    """The model to begin with: for HH it has read the other folds only, elsewhere all of HH."""
    name, fold, work, seed = job
    texts = _books()
    hh = preferences("hh")
    if name == "hh":
        hh = [row for row, number in zip(hh, folds("hh", hh, seed), strict=True) if number != fold]
    texts += [f"{row.prompt.text}\n{side}" for row in hh for side in (row.chosen, row.rejected)]
    settings = {field: getattr(BASE, field) for field in BASE.__dataclass_fields__}
    config = pretrain.PretrainConfig(**settings | {"seed": derive_seed(seed, "base")})
    return pretrain.train(config, texts, Workspace(work), options=RunOptions(device="cpu"))


def linear(train: Sequence[Preference], heldout: Sequence[Preference], *, decay: float = 1e-3) -> list[Judged]:
    """Logistic regression on the difference of word counts: log(1 + count) of words and pairs of words.

    Only those that stand in two texts of the training side at least; each text has norm 1.
    """
    texts = {text: index for index, text in enumerate(dict.fromkeys(_texts([*train, *heldout])))}
    counts = [Counter(_words(text)) for text in texts]
    seen = Counter(word for text in dict.fromkeys(_texts(train)) for word in counts[texts[text]])
    known = {word: index for index, word in enumerate(word for word, times in seen.items() if times > 1)}
    table = torch.zeros(len(texts), len(known))
    for number, words in enumerate(counts):
        found = {known[word]: math.log1p(times) for word, times in words.items() if word in known}
        table[number, list(found)] = torch.tensor(list(found.values()))
    table = torch.nn.functional.normalize(table, dim=1)
    weights = torch.zeros(len(known), requires_grad=True)
    fit = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def margins(rows: Sequence[Preference]) -> Tensor:
        scores = table @ weights
        return scores[[texts[row.chosen] for row in rows]] - scores[[texts[row.rejected] for row in rows]]

    def loss() -> Tensor:
        fit.zero_grad()
        found = bradley_terry_loss(margins(train), torch.ones(len(train))) + decay * weights.square().sum()
        found.backward()
        return found

    fit.step(loss)
    return [
        Judged(row.comparison, "", margin, len(row.chosen) - len(row.rejected))
        for row, margin in zip(heldout, margins(heldout).tolist(), strict=True)
    ]


def _texts(rows: Sequence[Preference]) -> list[str]:
    return [side for row in rows for side in (row.chosen, row.rejected)]


def _words(text: str) -> list[str]:
    words = re.findall(r"[a-z']+|[^\sa-z']", text.lower())
    return words + [f"{one} {other}" for one, other in pairwise(words)]


def preferences(name: str) -> list[Preference]:
    """The pairs of a set as records."""
    rows = []
    if name == "ukp":
        for line in _lines(name):
            sides = (line["a1"], line["a2"]) if line["label"] == "a1" else (line["a2"], line["a1"])
            topic = line["topic"].replace("_", ": ").replace("-", " ")
            rows.append(_preference(f"{line['topic']} {line['id']}", Prompt.of(topic), *sides))
        return rows
    for pair in read(_data() / FILES[name]).pairs:
        sides = (pair.first, pair.second) if pair.verdict == "first" else (pair.second, pair.first)
        prompt = Prompt.of(pair.prompt.messages[-1].content) if name == "hh" else pair.prompt
        rows.append(_preference(pair.where, prompt, *sides))
    return rows


def _preference(name: str, prompt: Prompt, chosen: str, rejected: str) -> Preference:
    return Preference(comparison=name, prompt=prompt, chosen=chosen, rejected=rejected, p_chosen=1.0)


def group_of(name: str, row: Preference) -> str:
    """What stays on one side of the split: the prompt, or the debate with both of its stands."""
    return row.prompt.text.partition(":")[0].strip() if name == "ukp" else row.prompt.id


def folds(name: str, rows: Sequence[Preference], seed: int) -> list[int]:
    """The fold of each row; groups in an order of their own are dealt out in turn."""
    groups = sorted({group_of(name, row) for row in rows}, key=lambda group: content_id("fold", [seed, group]))
    place = {group: index % FOLDS[name] for index, group in enumerate(groups)}
    return [place[group_of(name, row)] for row in rows]


def _lines(name: str) -> list[dict[str, Any]]:
    text = (_data() / FILES[name]).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line]


def _books() -> list[str]:
    texts = [(_data() / "tiny_corpora" / name).read_text(encoding="utf-8") for name in BOOKS]
    return [part.strip() for text in texts for part in text.split("\n\n") if part.strip()]


def _data() -> Path:
    given = os.environ.get("PALATE_DATA", "")
    if not given or not Path(given).is_dir():
        sys.exit("error: PALATE_DATA is not set\n  expected: the folder with the public data")
    return Path(given)


def _file(cell: Cell) -> Path:
    return cell.work / "cells" / f"{cell.name}.json"


def _one_thread() -> None:
    torch.set_num_threads(1)


def _row(name: str, figure: Figure, seeds: int = 1) -> dict[str, Any]:
    return {"name": name, "value": figure.value, "low": figure.low, "high": figure.high, "n": figure.n, "seeds": seeds}


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=WORK)
    given = parser.parse_args()
    for row in figures(given.seed, given.work):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
