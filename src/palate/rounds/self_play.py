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

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import Manifest, Workspace, identify, read_manifest
from palate.core.errors import ConfigError, DataError
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Demonstration, Preference, Prompt
from palate.judging.collapse import Audited, DetectorConfig, Finding, Seen, Signs, findings, first
from palate.preferences import dataset
from palate.rounds import audits
from palate.rounds.audits import PAIRS
from palate.rounds.own_answers import Asked, Drawn, Ranked, against, compare, draw, itself, judged, ranked, signs
from palate.store.journal import Journal
from palate.training import dpo, sft
from palate.training.dpo import DPOConfig
from palate.training.run import RunOptions
from palate.training.sft import SFTConfig

HOW: Final = ("spin", "self-rewarding", "distil")
METRICS: Final = "metrics.jsonl"
FINDINGS: Final = "findings.jsonl"


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
    judges: Sequence[Asked] = ()
    """Who ranks answers: of each round one, the last of all that follow. The policy of each round itself when empty."""
    before: Sequence[Audited] = ()
    """What people said of the judge before; the first round that people looked at when not given."""


class Improved(NamedTuple):
    """What a run came to."""

    policies: list[Path]
    """The first one and that of each round, up to the last that may be believed in."""
    shown: list[Path]
    """The pairs of each round that was begun, as artefacts."""
    found: list[Finding]
    """What the detector says of each, with all that people have said by now."""
    ended: str
    """Why it ended before the last round, in a sentence; "" when it did not."""
    waiting: int
    """Pairs that wait for people."""

    @property
    def policy(self) -> Path:
        """The last one that may be believed in."""
        return self.policies[-1]

    @property
    def rounds(self) -> int:
        """That it learned from."""
        return len(self.policies) - 1


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
    run = _Run(config, given, workspace, journal, workspace.run_folder(f"improve-{_identity(config, given)}"))
    done = list(_lines(run.folder / METRICS))
    shown = [workspace.path(row["comparisons"]) for row in done]
    policies = [given.model, *(workspace.path(row["policy"]) for row in done)]
    while True:
        found = _look(run, shown)
        bad = first(found)
        if bad is not None:
            return _ended(run, shown, policies[:bad], found, "collapse: " + "; ".join(found[bad - 1].why))
        if len(done) == config.rounds:
            return _ended(run, shown, policies, found)
        number = len(done) + 1
        pairs = _pairs(run, number, policies[-1], progress)
        shown.append(pairs)
        missing = audits.ask(journal, _drawn(run, pairs), f"audit of round {number}")
        if config.wait and missing:
            why = f"{missing} pairs of round {number} wait for people; the same command goes on when they are judged"
            return _ended(run, shown, policies, found, why)
        if config.wait and first(found := _look(run, shown)) is not None:
            return _ended(run, shown, policies, found, "collapse: " + "; ".join(found[-1].why))
        data = _dataset(run, pairs)
        policies.append(_train(config, number, policies[-1], data, workspace, progress, options))
        row = {"round": number, "policy": policies[-1].name, "dataset": data.name, "comparisons": pairs.name}
        done.append(row | dict(read_manifest(pairs).facts))
        _write(run.folder / METRICS, done)


class _Run(NamedTuple):
    config: SelfPlayConfig
    given: Given
    workspace: Workspace
    journal: Journal
    folder: Path


def _refuse(config: SelfPlayConfig, given: Given) -> None:
    if (config.how == "spin") != bool(given.demonstrations):
        raise ConfigError(
            "`spin` learns from demonstrations, and nothing else does", where="--demonstrations",
            expected="a dataset of demonstrations" if config.how == "spin" else "none",
            found=f"{len(given.demonstrations)} demonstrations",
        )  # fmt: skip
    if config.how == "spin" and given.judges:
        raise ConfigError("`spin` asks no judge", where="--judge", hint="leave it out, or take another --how")
    if not given.prompts and not given.demonstrations:
        raise DataError("there is nothing to answer", expected="at least one prompt")


def _identity(config: SelfPlayConfig, given: Given) -> str:
    told = [[p.id for p in given.prompts], [d.id for d in given.demonstrations], list(map(list, given.before))]
    return content_id(
        "improve", [asdict(config), identify(given.model), [one.who.rater for one in given.judges], *told]
    )


def _judge(given: Given, number: int, policy: Path) -> Asked:
    """Who judges a round."""
    return given.judges[min(number, len(given.judges)) - 1] if given.judges else itself(policy)


class _Told(NamedTuple):
    """The pairs of a round, and what else is known of it."""

    drawn: Drawn
    found: list[Ranked]
    signs: Signs


def _pairs(run: _Run, number: int, policy: Path, progress: Progress) -> Path:
    """The pairs of a round: answered, judged and ranked; found where they are already."""
    config, given, spin = run.config, run.given, run.config.how == "spin"
    asked = {"each": 1 if spin else config.completions, "temperature": config.temperature}
    asked |= {"max_new_tokens": config.max_new_tokens, "seed": derive_seed(config.seed, "answers", number)}
    data = content_id("asked", [one.id for one in given.demonstrations or given.prompts])
    inputs = {"policy": identify(policy), "first": identify(given.model), "data": f"prompts-{data}"}
    if not spin:
        judges = {"judge": _judge(given, number, policy), "first_judge": _judge(given, 1, given.model)}
        inputs |= {name: one.who.rater for name, one in judges.items()}
    manifest = Manifest(
        kind="comparisons", made_by=f"improve {'spin' if spin else 'answers'}", config=asked, inputs=inputs
    )
    if not run.workspace.has(manifest.id):
        source = f"self-play/{content_id('self-play', [asked, inputs['policy'], data, spin])}"
        told = (
            _shown(run, asked, policy, source, progress)
            if spin
            else _ranked(run, asked, policy, source, **judges, progress=progress)
        )
        if not told.found:
            raise DataError(
                f"round {number} has no pair to learn from", expected="two answers to a prompt that can be told apart",
                found=f"{told.drawn.unfinished} answers without an end, {told.drawn.duplicates:.0%} of others twice",
            )  # fmt: skip
        facts = {"pairs": len(told.found), "unfinished": told.drawn.unfinished, **told.signs._asdict()}
        lines = [_line(row) for row in told.found]
        run.workspace.put(replace(manifest, facts=facts), lambda folder: dataset.write_lines(folder / PAIRS, lines))
    return run.workspace.path(manifest.id)


def _shown(run: _Run, asked: dict[str, Any], policy: Path, source: str, progress: Progress) -> _Told:
    """Demonstrations against the policy's own answers."""
    given = run.given
    prompts = [one.prompt for one in given.demonstrations]
    drawn = draw(policy, prompts, **asked, progress=progress)
    found = against(run.journal, given.demonstrations, drawn.groups, source, asked["seed"])
    return _Told(drawn, found, signs(drawn, prompts, policy, given.model, found))


def _ranked(
    run: _Run, asked: dict[str, Any], policy: Path, source: str, judge: Asked, first_judge: Asked, progress: Progress
) -> _Told:
    """The policy's best answers against its worst."""
    prompts = list(run.given.prompts)
    drawn = draw(policy, prompts, **asked, progress=progress)
    shown = compare(run.journal, prompts, drawn.groups, source, asked["seed"])
    said, failed = judged(run.journal, judge, source, progress)
    if failed:
        raise DataError(
            "the judge could not be asked everything", where=judge.who.name, found=f"{failed} questions failed",
            hint="the same command asks them again",
        )  # fmt: skip
    found = list(ranked(prompts, drawn.groups, shown, said))
    doubter = first_judge if first_judge.who.rater != judge.who.rater else None
    return _Told(drawn, found, signs(drawn, prompts, policy, run.given.model, found, said, doubter))


def _drawn(run: _Run, pairs: Path) -> list[dict[str, Any]]:
    """Those of a round's pairs that people are to see."""
    return audits.drawn(pairs, run.config.audit, run.config.seed)


def _look(run: _Run, shown: Sequence[Path]) -> list[Finding]:
    """What the detector says by now. Without audits from before, the first round with any is what is believed."""
    before, seen = list(run.given.before), []
    for folder in shown:
        drawn = _drawn(run, folder)
        told = audits.said(run.journal, [row["comparison"] for row in drawn])
        audited = [Audited(row["p_first"], told[row["comparison"]]) for row in drawn if row["comparison"] in told]
        if audited and not before:
            before, audited = audited, []
        facts = read_manifest(folder).facts
        seen.append(Seen(audited, Signs(**{name: facts[name] for name in Signs._fields})))
    found = findings(before, seen, replace(run.config.detector, horizon=run.config.rounds))
    lines = [one._asdict() | {"agreement": _known(one.agreement), "promised": _known(one.promised)} for one in found]
    _write(run.folder / FINDINGS, lines)
    return found


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value  # JSON knows no NaN


def _dataset(run: _Run, pairs: Path) -> Path:
    """What a round learns from. With `wait`, people's word stands in the place of the judge's."""
    lines = [row for _, row in dataset.read_lines(pairs / PAIRS)]
    wanted = [row["comparison"] for row in _drawn(run, pairs)] if run.config.wait else []
    told, how = audits.said(run.journal, wanted), run.config.how
    inputs = {"comparisons": pairs.name}
    if told:
        inputs["audits"] = f"judgements-{content_id('audits', sorted(told.items()))}"
    made = []
    for row in lines:
        p_first = told.get(row["comparison"], row["p_first"])
        if p_first != 0.5:  # people who are split teach nothing
            made.append(_example(how, row, p_first > 0.5))
    facts = {"train": len(made), "heldout": 0, "by_people": len(told)}
    manifest = Manifest(kind="dataset", made_by=f"improve {how}", config={"how": how}, inputs=inputs, facts=facts)

    def write(folder: Path) -> None:
        dataset.write_lines(folder / "train.jsonl", made)
        dataset.write_lines(folder / "heldout.jsonl", [])

    return run.workspace.put(manifest, write)


def _example(how: str, row: Mapping[str, Any], takes_first: bool) -> dict[str, Any]:
    chosen, rejected = (row["first"], row["second"]) if takes_first else (row["second"], row["first"])
    prompt = Prompt.from_dicts(row["prompt"], row["kind"])
    if how == "distil":
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


def _ended(run: _Run, shown: Sequence[Path], policies: Sequence[Path], found: list[Finding], why: str = "") -> Improved:
    ids = [row["comparison"] for pairs in shown for row in _drawn(run, pairs)]
    waiting = len(ids) - len(audits.said(run.journal, ids))
    return Improved(list(policies), list(shown), found, why, waiting)


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
