"""What each dataset holds, and what of it counted: the one edge of the lineage that no table knows.

A dataset's files name the comparisons and judgements that it was frozen from. Reading a million lines takes seconds, so
what they say is kept as sorted arrays in `.lineage/` of the project: hashes of ids, and how each counted. An index is
made from its dataset's files alone, is found stale when their folder changes, and can be thrown away at any time
(`drop_index`), as an erasure must: it holds no id and no text, but it does say that something was there.

A judgement of a dataset is in one of these states:

| state | means |
|---|---|
| `learned` | it shaped the label of a row in `train.jsonl` |
| `measured` | it shaped a row in `heldout.jsonl` or `unseen_raters.jsonl`, by which models are measured |
| `superseded` … `apart` | the dataset holds it, but it did not count; the state says why |
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt64

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import PalateError
from palate.core.progress import SILENT, Progress
from palate.core.records import Verdict
from palate.preferences.dataset import SPLITS, read_lines
from palate.preferences.lossless import COMPARISONS, JUDGEMENTS
from palate.preferences.splits import UNSEEN_RATERS, rater_side
from palate.preferences.voices import DIRECTED

FOLDER: Final = ".lineage"
STATES: Final = ("learned", "measured", "superseded", "again", "skipped", "both_bad", "no_row", "apart", "none")
LEARNED, MEASURED, SUPERSEDED, AGAIN, SKIPPED, BOTH_BAD, NO_ROW, APART, NONE = range(len(STATES))
WHY: Final = {
    LEARNED: "counted: models learn from its row",
    MEASURED: "counted: models are measured by its row",
    SUPERSEDED: "held, but did not count: a later judgement corrects it",
    AGAIN: "held, but did not count: the same rater judged the pair again later",
    SKIPPED: "held, but did not count: the rater passed",
    BOTH_BAD: "held, but did not count: it says that neither will do, not which is better",
    NO_ROW: "held, but did not count: the pair was left out of the rows",
    APART: "held, but did not count: its rater was kept apart",
}
"""In words, by state."""
_VERSION: Final = 2
_PARTS: Final = (
    "judgements", "states", "raters", "comparisons", "splits", "prompts", "prompt_splits", "answers", "answer_splits",
)  # fmt: skip
_DIRECTED: Final = frozenset(verdict.value for verdict in DIRECTED)


class Index(NamedTuple):
    """What one dataset holds, by hash. Hashes are sorted, and what stands beside one is of it."""

    judgements_J: UInt64[np.ndarray, " J"]
    states_J: UInt8[np.ndarray, " J"]
    raters_R: UInt64[np.ndarray, " R"]
    """Those with a judgement that counted."""
    comparisons_N: UInt64[np.ndarray, " N"]
    splits_N: UInt8[np.ndarray, " N"]
    """`LEARNED`, `MEASURED`, or `NO_ROW` of a comparison that was read and has none."""
    prompts_P: UInt64[np.ndarray, " P"]
    """Of rows."""
    splits_P: UInt8[np.ndarray, " P"]
    answers_A: UInt64[np.ndarray, " A"]
    """A prompt with a text, of demonstrations and approvals."""
    splits_A: UInt8[np.ndarray, " A"]
    lossless: bool
    """Whether the dataset says which judgements it was made from."""

    def judgement(self, uid: str) -> int:
        """The state of a judgement, `NONE` where it is not held."""
        return _look(self.judgements_J, self.states_J, hashed(uid))

    def comparison(self, id: str) -> int:
        """`LEARNED`, `MEASURED`, `NO_ROW`, or `NONE` where it is not held."""
        return _look(self.comparisons_N, self.splits_N, hashed(id))

    def answer(self, prompt: str, text: str) -> int:
        """`LEARNED`, `MEASURED`, or `NONE`: whether a text is a row, as an answer to a prompt."""
        return _look(self.answers_A, self.splits_A, hashed(prompt, text))

    def prompt(self, id: str) -> int:
        """`LEARNED`, `MEASURED`, or `NONE`: whether a row is of this prompt."""
        return _look(self.prompts_P, self.splits_P, hashed(id))

    def states_of(self, uids: Iterable[str]) -> UInt8[np.ndarray, " U"]:
        """As `judgement`, of many at once."""
        return states_among(self, np.fromiter((hashed(uid) for uid in uids), dtype=np.uint64))


def hashed(*words: str) -> int:
    """64 bits of BLAKE2b, by which an id, or a prompt with a text, is known to an index."""
    said = "\0".join(words).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "little")


def states_among(index: Index, hashes_U: UInt64[np.ndarray, " U"]) -> UInt8[np.ndarray, " U"]:
    """The states of judgements, by their hashes."""
    keys_J = index.judgements_J
    if not len(keys_J):
        return np.full(len(hashes_U), NONE, np.uint8)
    place_U = np.minimum(np.searchsorted(keys_J, hashes_U), len(keys_J) - 1)
    return np.where(keys_J[place_U] == hashes_U, index.states_J[place_U], np.uint8(NONE))


def load(workspace: Workspace, dataset: str, progress: Progress = SILENT) -> Index:
    """The index of a dataset; made where there is none, or none of the files as they are now.

    Raises:
        DataError: a file of the dataset cannot be read.
    """
    folder, kept = workspace.path(dataset), workspace.root / FOLDER / dataset
    facts = {"version": _VERSION, "changed": stamp(workspace, dataset)}
    try:
        told = json.loads((kept / "facts.json").read_text(encoding="ascii"))
        if {name: told.get(name) for name in facts} == facts:
            return _read(kept, told["lossless"])
    except (OSError, ValueError, KeyError):
        pass
    progress.start(f"reading {dataset} for its lineage, once", 1)
    made = build(folder)
    progress.finish(f"{len(made.judgements_J):,} judgements")
    try:
        _write(kept, made, facts | {"lossless": made.lossless})
        return _read(kept, made.lossless)
    except OSError:  # a project that may only be read can be traced too
        return made


def stamp(workspace: Workspace, dataset: str) -> int:
    """When the files of a dataset were last added or taken away."""
    return workspace.path(dataset).stat().st_mtime_ns


def drop_index(workspace: Workspace) -> None:
    """Take away all that is kept here; whoever asks next makes it anew from the datasets as they are then."""
    shutil.rmtree(workspace.root / FOLDER, ignore_errors=True)


def build(folder: Path) -> Index:
    """Read a dataset's files."""
    rowed: dict[str, int] = {}
    prompts: dict[int, int] = {}
    answers: dict[int, int] = {}
    apart: set[str] = set()  # rows of raters who were kept apart; what the others said is in none of them
    for split in (*SPLITS, UNSEEN_RATERS):
        state = LEARNED if split == "train" else MEASURED
        for row in _rows(folder / f"{split}.jsonl"):
            if "comparison" in row:
                if split == UNSEEN_RATERS:
                    apart.add(row["comparison"])
                else:
                    rowed[row["comparison"]] = min(state, rowed.get(row["comparison"], NONE))
            elif "completion" in row:
                key = hashed(row.get("prompt_id", ""), row["completion"])
                answers[key] = min(state, answers.get(key, NONE))
            if "prompt_id" in row:
                asked = hashed(row["prompt_id"])
                prompts[asked] = min(state, prompts.get(asked, NONE))
    uids, states, raters = _judged(folder, rowed, apart)
    shown = dict.fromkeys((row["id"] for row in _rows(folder / COMPARISONS)), NO_ROW)
    shown |= dict.fromkeys(apart, MEASURED) | rowed
    judgements_J, states_J = _sorted(uids, states)
    comparisons_N, splits_N = _sorted(array("Q", map(hashed, shown)), array("B", shown.values()))
    answers_A, splits_A = _sorted(array("Q", answers), array("B", answers.values()))
    prompts_P, splits_P = _sorted(array("Q", prompts), array("B", prompts.values()))
    raters_R = np.array(sorted(raters), dtype=np.uint64)
    lossless = (folder / JUDGEMENTS).is_file()
    return Index(
        judgements_J, states_J, raters_R, comparisons_N, splits_N, prompts_P, splits_P, answers_A, splits_A, lossless
    )


def _judged(folder: Path, rowed: Mapping[str, int], unseen: set[str]) -> tuple[array[int], array[int], set[int]]:
    """Hashes and states of all judgements, and hashes of the raters who counted; the file is read once."""
    config = read_manifest(folder).config
    share, seed = float(config.get("heldout_raters", 0.0)), int(config.get("seed", 0))
    sides: dict[str, bool] = {}
    uids, states, raters = array("Q"), array("B"), set[int]()
    corrected: set[str] = set()
    silent: list[tuple[int, str]] = []  # what did not count, by place: a correction may come later
    apart: list[tuple[int, str, str, str, str]] = []
    for place, row in enumerate(_rows(folder / JUDGEMENTS)):
        uid, rater = row["uid"], row["rater"]
        uids.append(hashed(uid))
        if row["supersedes"]:
            corrected.add(row["supersedes"])
        if share and rater not in sides:
            sides[rater] = rater_side(rater, share, seed) == "heldout"
        state = AGAIN
        if share and sides[rater]:
            apart.append((place, uid, rater, row["comparison"], row["verdict"]))
        elif row.get("counted", True):
            state = _state(row["verdict"], rowed.get(row["comparison"], NO_ROW))
            if state <= MEASURED:
                raters.add(hashed(rater))
        else:
            silent.append((place, uid))
        states.append(state)
    # Of raters who were kept apart, nobody has written down what counts: as `voices` hears everyone.
    last = {(rater, comparison): uid for _, uid, rater, comparison, _ in apart if uid not in corrected}
    for place, uid, rater, comparison, verdict in apart:
        if last.get((rater, comparison)) != uid:
            silent.append((place, uid))
            continue
        states[place] = _state(verdict, MEASURED if comparison in unseen else APART)
        if states[place] == MEASURED:
            raters.add(hashed(rater))
    for place, uid in silent:
        states[place] = SUPERSEDED if uid in corrected else AGAIN
    return uids, states, raters


def _state(verdict: str, row: int) -> int:
    """Of a judgement that was heard, on a comparison with such a row."""
    if verdict in _DIRECTED:
        return row
    return SKIPPED if verdict == Verdict.SKIP.value else BOTH_BAD


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        for _, row in read_lines(path):
            yield row


def _sorted(hashes: array[int], beside: array[int]) -> tuple[UInt64[np.ndarray, " X"], UInt8[np.ndarray, " X"]]:
    keys_X, states_X = np.array(hashes, dtype=np.uint64), np.array(beside, dtype=np.uint8)
    order_X = np.argsort(keys_X, kind="stable")
    return keys_X[order_X], states_X[order_X]


def _look(keys_X: UInt64[np.ndarray, " X"], states_X: UInt8[np.ndarray, " X"], key: int) -> int:
    # A plain int would turn the whole array into floats.
    place = int(np.searchsorted(keys_X, np.uint64(key)))
    if place == len(keys_X) or int(keys_X[place]) != key:
        return NONE
    return int(states_X[place])


def _arrays(index: Index) -> dict[str, Any]:
    return dict(zip(_PARTS, index, strict=False))


def _write(kept: Path, index: Index, facts: Mapping[str, Any]) -> None:
    """Whole or not at all; of two processes that make it the later one wins, which made the same."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{kept.name}.", dir=kept.parent))
    try:
        for name, values in _arrays(index).items():
            np.save(staging / f"{name}.npy", values, allow_pickle=False)
        (staging / "facts.json").write_text(json.dumps(facts), encoding="ascii")
        if kept.exists():
            shutil.rmtree(kept, ignore_errors=True)
        os.replace(staging, kept)
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _read(kept: Path, lossless: bool) -> Index:
    # Mapped, not read: a look touches a few pages of a million rows.
    parts = (np.asarray(np.load(kept / f"{name}.npy", mmap_mode="r", allow_pickle=False)) for name in _PARTS)
    return Index._make([*parts, lossless])


class Indices:
    """The indices of a project's datasets, each read once by this process.

    Args:
        workspace: The project.
        progress: Who listens while a dataset is read.
    """

    def __init__(self, workspace: Workspace, progress: Progress = SILENT) -> None:
        self.workspace, self.progress = workspace, progress
        self._known: dict[str, tuple[int, Index]] = {}
        self.unreadable: dict[str, str] = {}
        """Datasets whose files cannot be read, and why: what they hold cannot be told."""

    def of(self, dataset: str) -> Index | None:
        """The index of a dataset; None when its files cannot be read, see `unreadable`."""
        try:
            changed = stamp(self.workspace, dataset)
            known = self._known.get(dataset)
            if known is None or known[0] != changed:
                known = self._known[dataset] = (changed, load(self.workspace, dataset, self.progress))
        except (OSError, PalateError, KeyError, TypeError) as error:
            self._known.pop(dataset, None)
            self.unreadable[dataset] = str(error).splitlines()[0]
            return None
        self.unreadable.pop(dataset, None)
        return known[1]
