"""A model that improves itself, round after round, while people look at a share of what it learns from.

reads   a policy, prompts; with `spin` demonstrations; a judge, or the policy itself
writes  a `comparisons`, a `dataset` and a `policy` artefact a round; `metrics.jsonl` and `findings.jsonl`
run     palate improve MODEL --prompts FILE --how self-rewarding --rounds 3 --audit 0.05
expect  `first_judge_doubts` near 0, and people who agree with the judge in round 3 as they did in round 1

| how | chosen | rejected | step |
|---|---|---|---|
| `spin` | a demonstration | the policy's own answer to its prompt | DPO, the policy its own reference |
| `self-rewarding` | the best of k own answers, as the judge ranks them | the worst | the same |
| `distil` | the best of k | - | SFT |

The audited share of a round's pairs is put into the queue for people. What they said by the start of the next round the
detector holds against the judge; where it says `collapse`, the run ends with the policy that the round began with. With
`wait` a round is trained only when people have judged its share, and their word stands in the place of the judge's.

Every round is found by its id: the same call goes on where it was cut off, and looks at what people said since.

Source: Chen et al. 2024, arXiv:2401.01335, algorithm 1 (SPIN); Yuan et al. 2024, arXiv:2401.10020 (self-rewarding;
here answers are compared, both orders, where they score one at a time); Dong et al. 2023, arXiv:2304.06767 (best of k,
then SFT, repeated).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import Manifest, Workspace, identify, read_manifest
from palate.core.errors import ConfigError, DataError
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Demonstration, Preference, Prompt
from palate.judging.collapse import Audited, DetectorConfig, Finding, Seen, Signs, State, findings, first
from palate.preferences import dataset
from palate.preferences.voices import by_comparison
from palate.rounds.own_answers import Asked, Ranked, against, compare, draw, itself, judged, ranked, signs
from palate.store import judgements, queue, rows
from palate.store.journal import Journal
from palate.training import dpo, sft
from palate.training.dpo import DPOConfig
from palate.training.run import RunOptions
from palate.training.sft import SFTConfig

HOW: Final = ("spin", "self-rewarding", "distil")
METRICS: Final = "metrics.jsonl"
FINDINGS: Final = "findings.jsonl"
PAIRS: Final = "pairs.jsonl"
WORTH: Final = {"first": 1.0, "second": 0.0, "tie": 0.5}
"""Of a verdict, to the first side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfPlayConfig:
    """Settings of self-improvement."""

    how: str = "self-rewarding"
    """`spin`, `self-rewarding` or `distil`."""
    rounds: int = 3
    """So often it learns from itself."""
    completions: int = 4
    """k, answers to a prompt, of which all pairs are judged; `spin` takes one."""
    audit: float = 0.05
    """Share of the pairs learned from that are put into the queue for people; 0 asks nobody."""
    wait: bool = False
    """Learn from a round only when people have judged its share, and take their word there."""
    temperature: float = 1.0
    """Of its answers."""
    max_new_tokens: int = 256
    """Longest answer; what does not come to an end is left out."""
    seed: int = 0
    """All the randomness of the run."""
    dpo: DPOConfig = field(default_factory=DPOConfig)
    """Of a round's step; its seed is the round's."""
    sft: SFTConfig = field(default_factory=SFTConfig)
    """The same for `distil`."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    """When it speaks; its horizon is the number of rounds."""

    def __post_init__(self) -> None:
        if self.how not in HOW:
            raise ConfigError("nothing improves like this", where="--how", expected=", ".join(HOW), found=self.how)
        if not 0 <= self.audit <= 1 or (self.wait and self.audit == 0):
            raise ConfigError(
                "this share of audits cannot be used", where="--audit",
                expected="0 to 1, and above 0 with --wait", found=f"{self.audit:g}",
            )  # fmt: skip
        least = min(self.rounds, self.max_new_tokens, self.completions - (self.how != "spin"))
        if least < 1 or self.temperature <= 0:
            raise ConfigError(
                "these settings of self-play cannot work",
                expected="a round or more, 2 completions or more, and a temperature above 0",
                found=f"{self.rounds} rounds, {self.completions} completions, temperature {self.temperature:g}",
            )


class Given(NamedTuple):
    """What a run is made from."""

    model: Path
    """The policy to begin with."""
    prompts: Sequence[Prompt]
    demonstrations: Sequence[Demonstration] = ()
    """For `spin`, which asks their prompts."""
    judge: Asked | None = None
    """Who ranks answers; the policy of each round itself when not given."""
    before: Sequence[Audited] = ()
    """What people said of the judge before; the first round that people looked at when not given."""


class Improved(NamedTuple):
    """What a run came to."""

    policy: Path
    """The last one that may be believed in."""
    rounds: int
    """Rounds that were trained."""
    found: list[Finding]
    """What the detector says of each, with all that people have said by now."""
    ended: str
    """Why it ended before the last round, in a sentence; "" when it did not."""
    waiting: int
    """Pairs that wait for people."""


def improve(
    config: SelfPlayConfig,
    given: Given,
    workspace: Workspace,
    journal: Journal,
    progress: Progress = SILENT,
    options: RunOptions | None = None,
) -> Improved:
    """Improve a model by its own answers.

    Args:
        config: Settings.
        given: What it is made from.
        workspace: Where the artefacts go.
        journal: Where answers, opinions and people's judgements are.
        progress: Who listens.
        options: Device and checkpoints of training.

    Raises:
        ConfigError: the settings want demonstrations, or no judge.
        DataError: a round has no pair to learn from, or the judge failed; the same call asks it again.
        Interrupted: someone stopped the run; the same call goes on from there.
    """
    _refuse(config, given)
    run = workspace.run_folder(f"improve-{_identity(config, given)}")
    done = list(_lines(run / METRICS))
    policies = [given.model, *(workspace.path(row["policy"]) for row in done)]
    while True:
        found = _look(config, given, workspace, journal, run, [row["comparisons"] for row in done])
        bad = first(found)
        if bad is not None:
            return _ended(journal, workspace, done, policies[bad - 1], found, found[bad - 1].why)
        if len(done) == config.rounds:
            return _ended(journal, workspace, done, policies[-1], found)
        number = len(done) + 1
        pairs = _pairs(config, given, number, policies[-1], workspace, journal, progress)
        missing = _queue(journal, pairs, number)
        if config.wait:
            if missing:
                why = (
                    f"{missing} pairs of round {number} wait for people; the same command goes on when they are judged"
                )
                return _ended(journal, workspace, [*done, {"comparisons": pairs.name}], policies[-1], found, (why,))
            found = _look(config, given, workspace, journal, run, [*(row["comparisons"] for row in done), pairs.name])
            if first(found) == number:
                return _ended(journal, workspace, done, policies[-1], found, found[-1].why)
        data = _dataset(config, pairs, workspace, journal)
        policy = _train(config, number, policies[-1], data, workspace, progress, options)
        row = {"round": number, "policy": policy.name, "dataset": data.name, "comparisons": pairs.name}
        row |= dict(read_manifest(pairs).facts)
        done.append(row)
        _write(run / METRICS, done)
        policies.append(policy)


def _refuse(config: SelfPlayConfig, given: Given) -> None:
    if (config.how == "spin") != bool(given.demonstrations):
        raise ConfigError(
            "`spin` learns from demonstrations, and nothing else does", where="--demonstrations",
            expected="a dataset of demonstrations" if config.how == "spin" else "none",
            found=f"{len(given.demonstrations)} demonstrations",
        )  # fmt: skip
    if config.how == "spin" and given.judge is not None:
        raise ConfigError("`spin` asks no judge", where="--judge", hint="leave it out, or take another --how")
    if not given.prompts and not given.demonstrations:
        raise DataError("there is nothing to answer", expected="at least one prompt")


def _identity(config: SelfPlayConfig, given: Given) -> str:
    told = [[p.id for p in given.prompts], [d.id for d in given.demonstrations], list(map(list, given.before))]
    return content_id("improve", [asdict(config), identify(given.model), _who(given), *told])


def _who(given: Given) -> str:
    return given.judge.who.rater if given.judge else "itself"


def _pairs(
    config: SelfPlayConfig, given: Given, number: int, policy: Path, workspace: Workspace, journal: Journal,
    progress: Progress,
) -> Path:  # fmt: skip
    """The pairs of a round: answered, judged, ranked, and drawn for people; found where they are already."""
    spin = config.how == "spin"
    prompts = [d.prompt for d in given.demonstrations] if spin else list(given.prompts)
    each = 1 if spin else config.completions
    asked = {"each": each, "temperature": config.temperature, "max_new_tokens": config.max_new_tokens}
    asked |= {"seed": derive_seed(config.seed, "answers", number)}
    data = content_id("asked", [d.id for d in given.demonstrations] if spin else [p.id for p in prompts])
    inputs = {
        "policy": identify(policy),
        "first": identify(given.model),
        "data": f"prompts-{data}",
        "judge": _who(given),
    }
    manifest = Manifest(
        kind="comparisons", made_by=f"improve {'spin' if spin else 'answers'}", config=asked, inputs=inputs
    )
    if not workspace.has(manifest.id):
        source = f"self-play/{content_id('self-play', [asked, inputs['policy'], data, spin])}"
        drawn = draw(policy, prompts, **asked, progress=progress)
        if spin:
            found, said, doubter = (
                against(journal, given.demonstrations, drawn.groups, source, asked["seed"]),
                None,
                None,
            )
        else:
            judge = given.judge or itself(policy)
            shown = compare(journal, prompts, drawn.groups, source, asked["seed"])
            said, failed = judged(journal, judge, source, progress)
            if failed:
                raise DataError(
                    "the judge could not be asked everything", where=judge.who.name, found=f"{failed} questions failed",
                    hint="the same command asks them again",
                )  # fmt: skip
            found = list(ranked(prompts, drawn.groups, shown, said))
            doubter = itself(given.model) if given.judge is None and number > 1 else None
        if not found:
            raise DataError(
                f"round {number} has no pair to learn from", expected="two answers to a prompt that can be told apart",
                found=f"{drawn.unfinished} answers without an end, {drawn.duplicates:.0%} duplicates of the others",
            )  # fmt: skip
        told = signs(drawn, prompts, policy, given.model, found, said, doubter)
        manifest = replace(manifest, facts={"pairs": len(found), "unfinished": drawn.unfinished, **told._asdict()})
        workspace.put(manifest, lambda folder: dataset.write_lines(folder / PAIRS, [_line(row) for row in found]))
    return _audits(config, number, workspace.path(manifest.id), workspace)


def _audits(config: SelfPlayConfig, number: int, pairs: Path, workspace: Workspace) -> Path:
    """The same pairs, with those that people are to see; a larger share holds a smaller one."""
    rows_ = [row for _, row in dataset.read_lines(pairs / PAIRS)]
    order = list(range(len(rows_)))
    random.Random(derive_seed(config.seed, "audits", number)).shuffle(order)
    people = set(order[: round(config.audit * len(rows_))])
    manifest = Manifest(
        kind="comparisons", made_by="improve audits", inputs={"comparisons": pairs.name},
        config={"audit": config.audit, "seed": derive_seed(config.seed, "audits", number)},
        facts={**read_manifest(pairs).facts, "audits": len(people)},
    )  # fmt: skip
    lines = [row | {"audit": place in people} for place, row in enumerate(rows_)]
    return workspace.put(manifest, lambda folder: dataset.write_lines(folder / PAIRS, lines))


def _queue(journal: Journal, pairs: Path, number: int) -> int:
    """Put a round's audits into the queue; how many of them nobody has judged."""
    ids = [row["comparison"] for row in _drawn_for_people(pairs)]
    queue.enqueue(journal, ids, reason=f"audit of round {number}")
    return len(set(ids) - set(_people(journal, ids)))


def _drawn_for_people(pairs: Path) -> list[dict[str, Any]]:
    return [row for _, row in dataset.read_lines(pairs / PAIRS) if row["audit"]]


def _people(journal: Journal, ids: Sequence[str]) -> dict[str, float]:
    """What people said of some comparisons: 1 for the first, 0 for the second, the mean of them all."""
    if not ids:
        return {}
    models = {id for id, one in rows.raters(journal).items() if one.kind == "model"}
    sources = {one.source for one in rows.some_comparisons(journal, ids).values()}
    told = [j for j in judgements.judgements(journal, sorted(sources)) if j.rater not in models]
    wanted = set(ids)
    return {
        id: sum(WORTH[j.verdict] for j in some) / len(some) for id, some in by_comparison(told).items() if id in wanted
    }


def _look(
    config: SelfPlayConfig, given: Given, workspace: Workspace, journal: Journal, run: Path, rounds: Sequence[str]
) -> list[Finding]:
    """What the detector says by now. Without audits from before, the first round with any is what is believed."""
    before, seen = list(given.before), []
    for name in rounds:
        folder = workspace.path(name)
        drawn = _drawn_for_people(folder)
        told = _people(journal, [row["comparison"] for row in drawn])
        audited = [Audited(row["p_first"], told[row["comparison"]]) for row in drawn if row["comparison"] in told]
        if audited and not before:
            before, audited = audited, []
        facts = read_manifest(folder).facts
        seen.append(Seen(audited, Signs(**{name: facts[name] for name in Signs._fields})))
    found = findings(before, seen, replace(config.detector, horizon=config.rounds))
    lines = [one._asdict() | {"agreement": _known(one.agreement), "promised": _known(one.promised)} for one in found]
    _write(run / FINDINGS, lines)
    return found


def _known(value: float) -> float | None:
    return None if value != value else value  # NaN is no JSON


def _dataset(config: SelfPlayConfig, pairs: Path, workspace: Workspace, journal: Journal) -> Path:
    """What a round learns from. With `wait`, people's word stands in the place of the judge's."""
    lines = [row for _, row in dataset.read_lines(pairs / PAIRS)]
    told = _people(journal, [row["comparison"] for row in lines if row["audit"]]) if config.wait else {}
    inputs = {"comparisons": pairs.name}
    if told:
        inputs["audits"] = f"judgements-{content_id('audits', sorted(told.items()))}"
    made = []
    for row in lines:
        p_first = told.get(row["comparison"], row["p_first"])
        if p_first != 0.5:  # people who are split teach nothing
            made.append(_example(config, row, p_first > 0.5))
    facts = {"train": len(made), "heldout": 0, "by_people": len(told)}
    manifest = Manifest(
        kind="dataset", made_by=f"improve {config.how}", config={"how": config.how}, inputs=inputs, facts=facts
    )

    def write(folder: Path) -> None:
        dataset.write_lines(folder / "train.jsonl", made)
        dataset.write_lines(folder / "heldout.jsonl", [])

    return workspace.put(manifest, write)


def _example(config: SelfPlayConfig, row: Mapping[str, Any], takes_first: bool) -> dict[str, Any]:
    chosen, rejected = (row["first"], row["second"]) if takes_first else (row["second"], row["first"])
    prompt = Prompt.from_dicts(row["prompt"], row["kind"])
    if config.how == "distil":
        return {"prompt": row["prompt"], "prompt_id": prompt.id, "kind": prompt.kind, "completion": chosen}
    return dataset.preference_row(
        Preference(comparison=row["comparison"], prompt=prompt, chosen=chosen, rejected=rejected, p_chosen=1.0)
    )


def _train(
    config: SelfPlayConfig, number: int, policy: Path, data: Path, workspace: Workspace, progress: Progress,
    options: RunOptions | None,
) -> Path:  # fmt: skip
    seed = derive_seed(config.seed, "train", number)
    if config.how == "distil":
        shown, step = dataset.load_demonstrations(data), replace(config.sft, seed=seed)
        return sft.train(step, policy, shown, workspace, data_id=identify(data), progress=progress, options=options)
    found, also = dataset.load_preferences(data), replace(config.dpo, seed=seed)
    return dpo.train(also, policy, found, workspace, data_id=identify(data), progress=progress, options=options)


def _ended(
    journal: Journal, workspace: Workspace, done: Sequence[Mapping[str, Any]], policy: Path, found: list[Finding],
    why: Sequence[str] = (),
) -> Improved:  # fmt: skip
    ids = [row["comparison"] for one in done for row in _drawn_for_people(workspace.path(one["comparisons"]))]
    waiting = len(ids) - len(_people(journal, ids))
    trained = sum("policy" in one for one in done)
    loud = any(one.state is State.COLLAPSE for one in found)
    return Improved(policy, trained, found, ("collapse: " if loud else "") + "; ".join(why), waiting)


def _line(row: Ranked) -> dict[str, Any]:
    told = {"prompt": row.prompt.as_dicts(), "kind": row.prompt.kind, "comparison": row.comparison}
    return told | {"first": row.first, "second": row.second, "p_first": row.p_first}


def _write(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """All of it or nothing: a death while it is written leaves what was there."""
    beside = path.with_suffix(".new")
    dataset.write_lines(beside, lines)
    beside.replace(path)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in dataset.read_lines(path)] if path.is_file() else []
