"""How long `palate trace` takes in a project with a million judgements, and whether what it says is all there is.

| name | what it averages |
|---|---|
| `trace/p95_ms` | milliseconds within which 95 of 100 clicks are found and walked upward, in a warm process; |
| | from and to: the 95 % interval of that quantile, by order statistics |
| `trace/p50_ms` | the same for half of them |
| `trace/exact` | share of these clicks whose upward walk names the artefacts, roles and releases that a walk |
| | over plain files and rows finds, which shares no code with it |
| `trace/down_exact` | share of the counts of every release, and of its first hundred judgements, that are as counted |
| | by hand |
| `trace/down_ms` | milliseconds for a release downward: its counts and the first hundred of each; mean over releases |
| `trace/all_exact` | 1 if the stream of `--all` of a release names each of its judgements once, with its role |
| `trace/index_s` | seconds to read all datasets into the index, once for each dataset |

`n` is the number of clicks, counts, releases, or lines of judgements. The clicks are drawn at random from all
judgements; the store and its datasets are made by `scripts.rounds.trace_store`.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from scripts.evaluation.rows import row, share
from scripts.rounds import trace_store

from palate.core.artefacts import Workspace
from palate.evaluation.statistics import Figure, Z, mean
from palate.rounds import lineage_down, lineage_held
from palate.rounds.lineage import Lineage, find
from palate.rounds.lineage_up import ROLES, up
from palate.store.journal import Journal

CLICKS: Final = 1_000
_Roles = dict[str, str]


def figures(seed: int, size: float = 1.0, folder: Path | None = None) -> list[dict[str, Any]]:
    """All rows; `size` is the share of the full store, for a trial, `folder` one that was made before."""
    with tempfile.TemporaryDirectory() as name:
        place = folder or Path(name)
        if not (place / "palate.db").exists():
            begun = time.process_time()
            count = trace_store.make(place, seed, size)
            print(
                f"{count:,} judgements made in {time.process_time() - begun:.0f} s of CPU", file=sys.stderr, flush=True
            )
        with Journal.open(place / "palate.db") as journal:
            return _measured(Lineage(journal, Workspace(place)), place, seed)


def _measured(lineage: Lineage, place: Path, seed: int) -> list[dict[str, Any]]:
    begun = time.perf_counter()
    lines = sum(len(lineage.indices.of(id).judgements_J) for id in lineage.artefacts.datasets())  # type: ignore[union-attr]
    index_s = time.perf_counter() - begun
    plain = Plain(place)
    clicks = random.Random(seed).sample(list(plain.pairs), CLICKS)
    up(lineage, find(lineage, clicks[-1]))  # warm
    times, told = [], {}
    for uid in clicks:
        begun = time.perf_counter()
        side = up(lineage, find(lineage, uid))
        times.append(1000 * (time.perf_counter() - begun))
        told[uid] = side
    expected = plain.upward(clicks)
    exact = [_said(side) == expected[uid] for uid, side in told.items()]
    down_ms, down, every = _downward(lineage, plain)
    return [
        row("trace/p95_ms", _quantile(times, 0.95)),
        row("trace/p50_ms", _quantile(times, 0.5)),
        row("trace/exact", share(exact)),
        row("trace/down_exact", share(down)),
        row("trace/down_ms", mean(down_ms)),
        row("trace/all_exact", share(every)),
        row("trace/index_s", Figure(index_s, index_s, index_s, lines)),
    ]


def _said(side: Any) -> tuple[_Roles, set[str]]:
    """Artefacts with their best role, and releases, of a walk."""
    found: _Roles = {}
    for edge in side.edges:
        if edge.node.kind not in ("release", "round"):
            found[edge.node.id] = min(edge.role, found.get(edge.node.id, edge.role), key=ROLES.index)
    return found, {edge.node.id for edge in side.edges if edge.node.kind == "release"}


def _downward(lineage: Lineage, plain: Plain) -> tuple[list[float], list[bool], list[bool]]:
    took, right, every = [], [], []
    for number, (release, policy) in enumerate(plain.releases):
        node = find(lineage, release)
        begun = time.perf_counter()
        side = lineage_down.down(lineage, node)
        took.append(1000 * (time.perf_counter() - begun))
        best, pairs = plain.held(policy)
        counted = lineage_held.counts(lineage, lineage_down.datasets_of(lineage, node))
        told = Counter(best.values())
        right += [getattr(counted, role) == told[role] for role in ("learned", "measured", "held")]
        right.append(counted.comparisons == pairs)
        first = next(one.first for one in side.members if one.kind == "judgement")
        right.append(len({one.id for one in first}) == 100 and all(best[one.id] == "learned" for one in first))
        if number == 0:
            stream = lineage_down.stream(lineage, node)
            seen = Counter(one.id for one, role in stream if one.kind == "judgement" and best[one.id] == role)
            every.append(seen == Counter(dict.fromkeys(best, 1)))
        print(f"{release}: {took[-1]:.0f} ms, {dict(told)}", file=sys.stderr, flush=True)
    return took, right, every


def _quantile(values: list[float], q: float) -> Figure:
    """A quantile with the order statistics that hold it in 95 of 100 samples."""
    ordered, n = sorted(values), len(values)
    spread = Z * (n * q * (1 - q)) ** 0.5
    low, high = max(int(n * q - spread), 0), min(int(n * q + spread) + 1, n - 1)
    return Figure(float(np.quantile(values, q)), ordered[low], ordered[high], n)


class Plain:
    """The walk by hand: files read line by line, rows by SQL, nothing of `palate.rounds`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        with sqlite3.connect(place / "palate.db") as database:
            self.pairs = dict(database.execute("SELECT uid, comparison FROM judgement ORDER BY seq"))
            self.releases = database.execute("SELECT id, policy FROM release ORDER BY seq").fetchall()
        database.close()
        self.manifests = {
            path.parent.name: json.loads(path.read_text()) for path in (place / "artefacts").glob("*/manifest.json")
        }
        self.datasets = [id for id, told in self.manifests.items() if told["kind"] == "dataset"]
        self._told: dict[str, tuple[_Roles, set[str], set[str]]] = {}

    def lines(self, dataset: str, name: str) -> Iterator[dict[str, Any]]:
        """The rows of one of a dataset's files."""
        path = self.place / "artefacts" / dataset / f"{name}.jsonl"
        if path.exists():
            with path.open() as handle:
                yield from map(json.loads, handle)

    def told(self, dataset: str) -> tuple[_Roles, set[str], set[str]]:
        """What became of each judgement that a dataset holds, the pairs that have a row, and all pairs."""
        if dataset not in self._told:
            self._told[dataset] = self._read(dataset)
        return self._told[dataset]

    def _read(self, dataset: str) -> tuple[_Roles, set[str], set[str]]:
        split: dict[str, str] = {}
        for name, role in (("train", "learned"), ("heldout", "measured")):
            split |= {line["comparison"]: role for line in self.lines(dataset, name)}
        unseen = {line["comparison"] for line in self.lines(dataset, "unseen_raters")}
        found: _Roles = {}
        apart = []
        inside: set[str] = set()
        corrected: set[str] = set()
        for line in self.lines(dataset, "judgements"):
            directed = line["verdict"] in ("first", "second", "tie")
            found[line["uid"]] = split.get(line["comparison"], "held") if line["counted"] and directed else "held"
            corrected.add(line["supersedes"])
            if line["counted"]:
                inside.add(line["rater"])
            elif unseen:
                apart.append((line["rater"], line["comparison"], line["uid"], directed))
        # Raters of whom nothing counts were kept apart; their last word stands, where it is a row.
        standing = [one for one in apart if one[0] not in inside and one[2] not in corrected]
        last = {(rater, pair): (uid, directed) for rater, pair, uid, directed in standing}
        found |= {uid: "measured" for (_, pair), (uid, directed) in last.items() if directed and pair in unseen}
        return found, {*split, *unseen}, {line["id"] for line in self.lines(dataset, "comparisons")}

    def upward(self, clicks: list[str]) -> dict[str, tuple[_Roles, set[str]]]:
        """Artefacts with roles, and releases, of each click; `held` too where a dataset holds its pair alone."""
        found: dict[str, _Roles] = {uid: {} for uid in clicks}
        for dataset in self.datasets:
            roles, _, shown = self.told(dataset)
            for uid in clicks:
                if uid in roles or self.pairs[uid] in shown:
                    found[uid][dataset] = roles.get(uid, "held")
        return {uid: self._followed(roles) for uid, roles in found.items()}

    def _followed(self, roles: _Roles) -> tuple[_Roles, set[str]]:
        reached = {id: role for id, role in roles.items() if role != "held"}
        while True:
            before = dict(reached)
            for id, told in self.manifests.items():
                for name, source in told["inputs"].items():
                    role = reached.get(source)
                    if role is None:
                        continue
                    if told["made_by"] == "train ppo" and name == "data":
                        if role not in ("learned", "asked"):
                            continue
                        role = "asked"
                    reached[id] = min(role, reached.get(id, role), key=_RANK.index)
            if reached == before:
                break
        named = {release for release, policy in self.releases if policy in reached}
        return {**roles, **reached}, named

    def held(self, policy: str) -> tuple[_Roles, int]:
        """Every judgement behind a policy with its best role, and how many pairs have a row."""
        whole, queue = {policy}, [policy]
        while queue:
            told = self.manifests.get(queue.pop(), {"inputs": {}, "made_by": ""})
            for name, source in told["inputs"].items():
                if source not in whole and not (told["made_by"] == "train ppo" and name == "data"):
                    whole.add(source)
                    queue.append(source)
        best: _Roles = {}
        pairs: set[str] = set()
        for dataset in sorted(whole & set(self.datasets)):
            roles, rows, _ = self.told(dataset)
            pairs |= rows
            for uid, role in roles.items():
                best[uid] = min(role, best.get(uid, role), key=_RANK.index)
        return best, len(pairs)


_RANK: Final = ("learned", "measured", "paired", "asked", "held")


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=float, default=1.0, help="of the full store, for a trial")
    parser.add_argument("--folder", type=Path, help="where to make it, or where it was made before")
    options = parser.parse_args()
    for one in figures(options.seed, options.size, options.folder):
        print(json.dumps(one), flush=True)


if __name__ == "__main__":
    main()
