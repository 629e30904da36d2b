"""A project with a million judgements and five rounds behind it, for `scripts.rounds.trace`.

Each round has prompts of its own, answered by the policy of the round before; its dataset holds what people said in
this round and the two before. Rows of the journal and lines of the datasets are written as Palate writes them, without
its checks, which take longer than everything else; one dataset more is frozen by Palate itself.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import Manifest, Workspace
from palate.core.records import Comparison, Completion, Judgement, Prompt, Verdict
from palate.preferences.dataset import side
from palate.preferences.lossless import judgement_row
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store import releases, rounds, rows, schema
from palate.store.journal import Journal
from palate.store.writing import put, room

JUDGEMENTS: Final = 1_000_000
ROUNDS: Final = 5
WINDOW: Final = 3
"""Rounds whose comparisons a dataset holds."""
ANSWERS: Final = 4
"""Of a prompt; each is compared with the next, and the last with the first."""
EACH: Final = 4
"""Judgements of a comparison."""
RATERS: Final = 40
AGAIN: Final = 0.05
"""Share of judgements that the same rater gives anew, half of them as a correction."""
LATE: Final = 0.03
"""Share of judgements that came when their round's dataset was frozen already."""
LEFT_OUT: Final = 0.05
"""Share of comparisons that a gate keeps out of the rows."""
HELD_OUT: Final = 0.15
AUDIT: Final = 10_000
"""Comparisons of the dataset that Palate freezes."""


class Said(NamedTuple):
    """A judgement as the lossless file and the journal have it."""

    uid: str
    rater: str
    supersedes: str
    row: dict[str, Any]


class Shown(NamedTuple):
    """A comparison with what was said of it."""

    comparison: Comparison
    prompt: Prompt
    texts: tuple[str, str]
    judgements: list[Said]
    late: set[str]


def make(folder: Path, seed: int, share: float = 1.0) -> int:
    """Build it in an empty folder; how many judgements it holds."""
    draw = random.Random(seed)
    workspace = Workspace(folder)
    asked = int(JUDGEMENTS * share / (1 + AGAIN)) // (ROUNDS * ANSWERS * EACH) + 1
    every: list[list[Shown]] = []
    policy = "folder-0000000000000000"
    count = 0
    with Journal.open(folder / "palate.db") as journal:
        with journal.transaction() as connection:
            put(connection, schema.rater, [{"id": f"r{n}", "kind": "person"} for n in range(RATERS)])
        for number in range(1, ROUNDS + 1):
            shown = _round(journal, draw, number, asked, policy)
            count += sum(len(one.judgements) for one in shown)
            every = [*every[1 - WINDOW :], shown]
            some = [one for part in every for one in part]
            late = {uid for one in shown for uid in one.late}
            data = _dataset(workspace, draw, some, late, number)
            policy = _models(journal, workspace, data, policy, number)
        frozen = freeze(
            journal, workspace, SnapshotConfig(sources=("audit",), heldout_raters=0.2, heldout_fraction=0.2)
        )
        _reward(workspace, frozen.name, "folder-0000000000000000", 0)
    return count


def _round(journal: Journal, draw: random.Random, number: int, asked: int, policy: str) -> list[Shown]:
    """Prompts, answers, comparisons and judgements of a round."""
    shown: list[Shown] = []
    prompts, completions = [], []
    for place in range(asked):
        prompt = Prompt.of(f"Question {place} of round {number}: {draw.getrandbits(80):x}?", kind="question")
        texts = [f"{draw.getrandbits(300):x} answer {k}" for k in range(ANSWERS)]
        answers = [Completion(prompt=prompt.id, text=t, policy=policy, sample=k) for k, t in enumerate(texts)]
        ids = [one.id for one in answers]
        prompts.append(prompt)
        completions += [rows.completion_row(one) for one in answers]
        for k in range(ANSWERS):
            other = (k + 1) % ANSWERS
            source = "audit" if number == 1 and len(shown) < AUDIT else f"round {number}"
            one = Comparison(prompt=prompt.id, first=ids[k], second=ids[other], source=source)
            said, late = _said(draw, one.id)
            shown.append(Shown(one, prompt, (texts[k], texts[other]), said, late))
    with journal.transaction() as connection, room(connection):
        put(connection, schema.prompt, [rows.prompt_row(one) for one in prompts])
        put(connection, schema.completion, completions)
        put(connection, schema.comparison, [rows.comparison_row(one.comparison) for one in shown])
        put(connection, schema.judgement, [_stored(j.row) for one in shown for j in one.judgements])
    return shown


def _said(draw: random.Random, comparison: str) -> tuple[list[Said], set[str]]:
    verdicts = draw.choices(("first", "second", "tie", "both_bad", "skip"), (45, 40, 10, 3, 2), k=EACH + 1)
    found: list[Said] = []
    for rater, verdict in zip(draw.sample(range(RATERS), EACH), verdicts, strict=False):
        found.append(_one(draw, comparison, f"r{rater}", verdict))
        if draw.random() < AGAIN:
            before = found[-1].uid if draw.random() < 0.5 else ""
            found.append(_one(draw, comparison, f"r{rater}", verdicts[-1], before))
    return found, {found[-1].uid} if draw.random() < LATE * len(found) else set()


def _one(draw: random.Random, comparison: str, rater: str, verdict: str, supersedes: str = "") -> Said:
    uid = f"{draw.getrandbits(128):032x}"
    said = {"uid": uid, "comparison": comparison, "rater": rater, "verdict": verdict, "supersedes": supersedes}
    return Said(uid, rater, supersedes, said)


_REST: Final = judgement_row(
    Judgement(uid="", comparison="", rater="", verdict=Verdict.TIE, judged_at="2026-11-01T12:00:00.000+00:00")
)
"""What every judgement has besides."""


def _stored(said: dict[str, Any]) -> dict[str, Any]:
    return {**_REST, **said, "reasons": "[]", "swapped": 0}


def _dataset(workspace: Workspace, draw: random.Random, some: Sequence[Shown], late: set[str], number: int) -> str:
    """A dataset as `preferences.snapshot` leaves it."""
    config = {"heldout_fraction": HELD_OUT, "seed": 0, "label": "soft"}
    manifest = Manifest(
        kind="dataset", made_by="dataset freeze", config=config, inputs={"journal": f"journal-{number}"}
    )

    def write(folder: Path) -> None:
        names = ("train", "heldout", "judgements", "comparisons")
        files = {name: (folder / f"{name}.jsonl").open("w", encoding="utf-8") for name in names}
        for one in some:
            if draw.random() >= LEFT_OUT:
                files[side(one.prompt.id, HELD_OUT, 0)].write(_row(one))
            files["comparisons"].write(json.dumps({"id": one.comparison.id}) + "\n")
            files["judgements"].writelines(_lines([j for j in one.judgements if j.uid not in late]))
        for file in files.values():
            file.close()

    return workspace.put(manifest, write).name


def _row(one: Shown) -> str:
    row = {
        "comparison": one.comparison.id, "prompt": one.prompt.as_dicts(), "prompt_id": one.prompt.id,
        "kind": one.prompt.kind, "chosen": one.texts[0], "rejected": one.texts[1], "p_chosen": 0.7,
    }  # fmt: skip
    return json.dumps(row) + "\n"


def _lines(said: Sequence[Said]) -> Iterator[str]:
    """Each rater counts once, by the last word that no other corrects."""
    corrected = {j.supersedes for j in said if j.supersedes}
    last = {j.rater: j.uid for j in said if j.uid not in corrected}
    for j in said:
        yield json.dumps({**_REST, **j.row, "counted": last.get(j.rater) == j.uid}) + "\n"


def _reward(workspace: Workspace, data: str, base: str, number: int) -> str:
    inputs = {"model": base, "data": data}
    manifest = Manifest(kind="reward", made_by="train reward", config={"round": number}, inputs=inputs)
    return workspace.put(manifest, lambda folder: None).name


def _models(journal: Journal, workspace: Workspace, data: str, policy: str, number: int) -> str:
    """Two reward models, two policies and a report; the better policy is released."""
    turn = rounds.begin(journal, {"round": number})
    rewards = [_reward(workspace, data, policy, 10 * number + k) for k in range(2)]
    made = []
    for place, inputs in enumerate(
        (
            {"reference": policy, "reward": rewards[0], "data": data},
            {"reference": policy, "data": data},
        )
    ):
        by = ("train ppo", "train dpo")[place]
        manifest = Manifest(kind="policy", made_by=by, config={"round": number}, inputs=inputs)
        made.append(workspace.put(manifest, lambda folder: None).name)
    report = Manifest(kind="winrate", made_by="eval winrate", config={}, inputs={"ours": made[0], "theirs": policy})
    gate = workspace.put(report, lambda folder: None).name
    for step, id in (("dataset", data), ("reward", rewards[0]), ("policy", made[0]), ("evaluate", gate)):
        rounds.note(journal, turn.id, step, "done", artefact=id)
    released = releases.add(journal, made[0], round_=turn.id, gate=gate)
    releases.point(journal, releases.STABLE, released.id)
    rounds.note(journal, turn.id, "", "done")
    return made[0]
