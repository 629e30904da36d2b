"""`kill -9` in the middle of rounds: what comes out must be what a round in peace leaves, bit for bit.

| name | what it averages |
|---|---|
| `kill/resumed_bit_equal` | share of killed rounds that were resumed and ended with the same weights, dataset rows, content ids and judgements |
| `kill/resumed_bit_equal/random` | of those that were killed at a random moment |
| `kill/resumed_bit_equal/boundary` | of those that were killed just before or just after a step was written down |
| `kill/resumed_bit_equal/artefact` | of those that were killed inside the writing of an artefact: before its manifest, before and after it got its name |
| `kill/half_written` | artefacts that had a name and lacked a file, after any of the kills |
| `kill/round_s` | seconds of a quick round in peace, in a process that has imported everything |

A round of the practice world at its smallest, by the command `palate round start`, in processes forked from one that
has imported everything. Each killed round is taken up by `palate round resume` in another process.
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads do not survive a fork

import json
import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from scripts.evaluation.rows import row, share
from scripts.rounds.open_gates import opened

from palate.cli import init, round, turns
from palate.core import artefacts
from palate.core.artefacts import MANIFEST, read_manifest
from palate.core.ids import content_id, derive_seed, file_id
from palate.evaluation.statistics import mean
from palate.rounds import machine
from palate.rounds.turn import look
from palate.store import judgements, rounds, rows
from palate.world import stages
from palate.world.trials.kills import Ended, fork

RANDOM: Final = 20
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00|Z)?")
PLACES: Final = ("before a note", "after a note", "before a manifest", "before a name", "after a name")
"""Where a process can be ended: around each line of a round in the journal, and inside each artefact's writing."""


class Trial(NamedTuple):
    """A round that was killed and taken up."""

    where: str
    equal: bool
    half_written: int


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows, but for seconds."""
    with tempfile.TemporaryDirectory() as folder:
        return report(list(trials(Path(folder), seed)))


def report(found: list[Trial | float]) -> list[dict[str, Any]]:
    """Rows of all trials; a number among them is the seconds of a round in peace."""
    told = [one for one in found if isinstance(one, Trial)]
    kinds = {"random": "random", "boundary": "note", "artefact": "manifest|name"}
    parts = {kind: [t for t in told if any(w in t.where for w in words.split("|"))] for kind, words in kinds.items()}
    half = sum(one.half_written for one in told)
    return [
        row("kill/resumed_bit_equal", share(one.equal for one in told)),
        *(row(f"kill/resumed_bit_equal/{kind}", share(t.equal for t in some)) for kind, some in parts.items()),
        {"name": "kill/half_written", "value": half, "low": None, "high": None, "n": len(told), "seeds": 1},
        row("kill/round_s", mean([one for one in found if not isinstance(one, Trial)])),
    ]


def trials(folder: Path, seed: int, *, most: int = 0) -> Iterator[Trial | float]:
    """Kill rounds of one project at every place and at random moments.

    Args:
        folder: An empty one.
        seed: Of the project and of the moments.
        most: At most so many places, drawn at random, and as many random moments; 0: all, and 20 moments.
    """
    stages.quiet(1)  # a progress bar's lock is shared between forks, and who is killed never gives it back
    fresh = folder / "fresh"
    init.init(fresh, practice=True, size="tiny", seed=seed)
    opened(fresh, red_team='"direct"', over_refusal="false", knowledge="false", look="false")
    peace, began = copied(fresh, folder / "peace"), time.monotonic()
    ended = fork(lambda: start(peace))
    if ended.code:
        raise RuntimeError(f"a round in peace ended with {ended.code}: {ended.said[-2000:]}")
    seconds = time.monotonic() - began
    yield seconds
    wanted, counts = left_by(peace), hits(copied(fresh, folder / "counted"))
    rng = random.Random(derive_seed(seed, "kills"))
    places = [(place, hit) for place, count in counts.items() for hit in range(1, count + 1)]
    if most:
        places = rng.sample(places, most)
    for number, (place, hit) in enumerate(places):
        root = copied(fresh, folder / f"place-{number}")
        killed = fork(lambda root=root, place=place, hit=hit: (armed(place, hit), start(root)))  # type: ignore[misc]
        yield taken_up(root, killed, place, wanted)
    for number in range(most or RANDOM):
        root = copied(fresh, folder / f"random-{number}")
        killed = fork(lambda root=root: start(root), after_s=rng.uniform(0.02, seconds))  # type: ignore[misc]
        yield taken_up(root, killed, "random", wanted)


def taken_up(root: Path, killed: Ended, where: str, wanted: dict[str, Any]) -> Trial:
    """Resume a killed round, and hold what it left against a round in peace."""
    if killed.code not in (-signal.SIGKILL, 0):
        raise RuntimeError(f"at {where} it ended with {killed.code}: {killed.said[-2000:]}")
    half = sum(1 for path in (root / "artefacts").glob("[!.]*") if not (path / MANIFEST).is_file())
    ended = fork(lambda: resume(root))
    if ended.code:
        raise RuntimeError(f"after {where} it could not be resumed: {ended.said[-2000:]}")
    equal = left_by(root) == wanted
    shutil.rmtree(root)
    return Trial(where, equal, half)


def copied(fresh: Path, to: Path) -> Path:
    """The project at the same path in all trials: ids must not hang on it, so this is another one."""
    shutil.copytree(fresh, to)
    return to


def start(root: Path) -> None:
    """`palate round start`."""
    round.start(out=root)


def resume(root: Path) -> None:
    """`palate round resume`, or `start` where it was killed before it began."""
    _, journal = turns.project(root)
    with journal:
        every = rounds.every(journal)
        over = bool(every) and look(journal, artefacts.Workspace(root), every[-1]).state == "done"
    if not every:
        round.start(out=root)
    elif not over:
        round.resume(out=root)


def left_by(root: Path) -> dict[str, Any]:
    """All that a round leaves and that must not hang on when it was made: weights, rows, ids, judgements."""
    _, journal = turns.project(root)
    with journal:
        made = rounds.every(journal)
        turn = look(journal, artefacts.Workspace(root), made[0])
        said = sorted((j.uid, j.comparison, j.rater, j.verdict.value) for j in judgements.judgements(journal))
        told: dict[str, Any] = {
            "state": turn.state,
            "made": dict(turn.made),
            "comparisons": sorted(one.id for one in rows.comparisons(journal)),
            "completions": sorted(rows.completions(journal)),
            "judgements": said,
            "rounds": len(made),
        }
    for id in sorted({id for id in turn.made.values() if id}):
        folder = root / "artefacts" / id
        files = {p.name: timeless(p) for p in sorted(folder.rglob("*")) if p.is_file() and p.name != MANIFEST}
        manifest = read_manifest(folder)
        facts = {name: value for name, value in manifest.facts.items() if name != "time_s"}
        told[id] = [files, json.loads(json.dumps([dict(manifest.config), dict(manifest.inputs), facts]))]
    return told


def timeless(path: Path) -> str:
    """Id of a file's content without moments: when a judgement was made is no part of what it says."""
    if path.suffix not in (".jsonl", ".md", ".json"):
        return file_id(path)
    return content_id("file", MOMENT.sub("", path.read_text(encoding="utf-8")))


class _Counter:
    """Counts how often a process comes by each place, and ends it at one of them."""

    def __init__(self, place: str = "", hit: int = 0) -> None:
        self.place, self.hit = place, hit
        self.hits = dict.fromkeys(PLACES, 0)

    def by(self, place: str) -> None:
        self.hits[place] += 1
        if (place, self.hits[place]) == (self.place, self.hit):
            os.kill(os.getpid(), signal.SIGKILL)


def armed(place: str = "", hit: int = 0) -> _Counter:
    """Put the counter at all places of this process."""
    counter = _Counter(place, hit)

    def around(work: Callable[..., Any], before: str, after: str) -> Callable[..., Any]:
        def wrapped(*given: Any, **more: Any) -> Any:
            counter.by(before)
            told = work(*given, **more)
            if after:
                counter.by(after)
            return told

        return wrapped

    machine.rounds.note = around(rounds.note, "before a note", "after a note")
    artefacts.write_manifest = around(artefacts.write_manifest, "before a manifest", "")
    artefacts.os.replace = around(os.replace, "before a name", "after a name")
    return counter


def hits(root: Path) -> dict[str, int]:
    """How often a whole round comes by each place."""
    told = root / "hits.json"

    def work() -> None:
        counter = armed()
        start(root)
        told.write_text(json.dumps(counter.hits), encoding="utf-8")

    ended = fork(work)
    if ended.code:
        raise RuntimeError(ended.said[-2000:])
    found: dict[str, int] = json.loads(told.read_text(encoding="utf-8"))
    return found
