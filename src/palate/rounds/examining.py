"""The red team looks at the new policy and at the one before: harm, refusals of what is harmless, and knowledge.

Harm and refusals are held against the policy before, for nothing may come back; knowledge is held against the
reference, so that small losses of many rounds do not add up unseen. Each is a difference over the same requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from palate.core.artefacts import identify
from palate.core.ids import content_id
from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt
from palate.core.subjects import Answer
from palate.evaluation.paired import difference
from palate.evaluation.pieces import Kept
from palate.evaluation.red_team import behaviours, report
from palate.evaluation.red_team.attack import Attacked, Tools
from palate.evaluation.red_team.examination import Examination, examine
from palate.evaluation.red_team.families import FAMILIES, flattened
from palate.evaluation.red_team.playing import Player
from palate.evaluation.red_team.probes import questions as asking
from palate.evaluation.red_team.report import RedTeamReport
from palate.evaluation.red_team.searches import SEARCHES
from palate.evaluation.statistics import Figure, proportion
from palate.evaluation.subjects import Folder
from palate.rounds.evaluating import ASKED
from palate.rounds.measured import Example, Measured

if TYPE_CHECKING:
    from palate.rounds.evaluating import EvaluateConfig
    from palate.rounds.step import Context

OFF: Final = "off"
ATTACKS: Final[Mapping[str, tuple[str, ...]]] = {
    OFF: (),
    "direct": ("direct",),
    "small": ("direct", "role play", "prefix injection", "refusal suppression", "paraphrase"),
    "full": (*FAMILIES, *SEARCHES),
}
"""By name, the attack families."""


class Remembering:
    """A subject that is asked nothing twice, not even by the next process.

    Args:
        subject: Who answers.
        keep: A file of answers.
    """

    def __init__(self, subject: Folder, keep: Path) -> None:
        self.subject, self._kept = subject, Kept(keep)

    @property
    def name(self) -> str:
        """The subject's."""
        return self.subject.name

    def answer(self, prompts: Sequence[Prompt], *, seed: int = 0, progress: Progress = SILENT) -> list[Answer]:
        """What it said to these prompts together, or says now."""
        key = content_id("asked", [[prompt.id for prompt in prompts], seed])
        if key not in self._kept.rows:
            said = self.subject.answer(prompts, seed=seed, progress=progress)
            self._kept.add({key: {"said": [list(one) for one in said]}})
        return [Answer(*one) for one in self._kept.rows[key]["said"]]


def examined(context: Context) -> Measured:
    """What the red team found, and what of it is worse than before."""
    config = context.project.evaluate
    wanted = {
        "red_team": config.red_team != OFF,
        "over_refusal": config.over_refusal,
        "knowledge": config.knowledge,
    }
    off = {name: "[evaluate] leaves it out" for name, asked in wanted.items() if not asked}
    if not any(wanted.values()):
        return Measured(unmeasured=off)
    what = _examination(context.root, config)
    policy, last, reference = context.path("policy"), context.last, context.reference
    now = examine(
        _player(context, policy), what, progress=context.progress,
        before=_player(context, reference) if config.knowledge else None,
    )  # fmt: skip
    found = Measured(unmeasured=off)
    inputs = {"red team": _keep(context, now, policy, reference if config.knowledge else None)}
    if wanted["red_team"] or wanted["over_refusal"]:
        then = examine(_player(context, last), _without_probes(what), progress=context.progress)
        inputs["red team before"] = _keep(context, then, last, None)
        parts = [_harm(now, then)] * wanted["red_team"] + [_refusals(now, then)] * wanted["over_refusal"]
        for part in parts:
            found = found.with_(part)
    if config.knowledge:
        found = found.with_(_knowledge(now))
    return found._replace(inputs=inputs)


def _examination(root: Path, config: EvaluateConfig) -> Examination:
    names = ATTACKS[config.red_team]
    tools = Tools(
        families={name: FAMILIES[name] for name in names if name in FAMILIES},
        searches={name: SEARCHES[name] for name in names if name in SEARCHES},
        seed=config.seed,
    )
    harmful = behaviours.behaviours(root / config.behaviours) if config.behaviours else behaviours.HARMFUL
    benign = behaviours.behaviours(root / config.benign, safe=True) if config.benign else behaviours.BENIGN
    return Examination(
        behaviours=harmful if names else (),
        benign=benign if config.over_refusal else (),
        tools=tools,
        probes=("knowledge",) if config.knowledge else (),
        questions=asking.questions(root / config.questions) if config.questions else asking.QUESTIONS,
    )


def _without_probes(what: Examination) -> Examination:
    return Examination(behaviours=what.behaviours, benign=what.benign, tools=what.tools, probes=())


def _player(context: Context, folder: Path) -> Player:
    config = context.project.evaluate
    asked = [identify(folder), config.max_new_tokens, config.one_turn]
    keep = context.workspace.run_folder(f"examined-{content_id('examined', asked)}") / "answers.jsonl"
    who = Remembering(Folder(folder, temperature=0.0, max_new_tokens=config.max_new_tokens), keep)
    shape = flattened if config.one_turn else None
    return Player(who, seed=config.seed, shape=shape, progress=context.progress)


def _keep(context: Context, found: RedTeamReport, folder: Path, before: Path | None) -> str:
    """The artefact of one examination."""
    config = context.project.evaluate
    names = ("red_team", "over_refusal", "knowledge", "one_turn", "max_new_tokens", "seed")
    settings: dict[str, Any] = {name: asdict(config)[name] for name in names}
    files = {name: getattr(config, name) for name in ASKED if getattr(config, name)}
    inputs = {name: identify(context.root / file) for name, file in files.items()}
    inputs |= {"subject": identify(folder)} | ({"before": identify(before)} if before else {})
    return report.keep(found, context.workspace, settings, inputs).name


def _harm(now: RedTeamReport, then: RedTeamReport) -> Measured:
    """What is brought about, of the same requests."""
    ours, theirs = now.broken, then.broken
    both = [id for id in ours if id in theirs]
    if not both:
        return Measured(unmeasured={"red_team": "no attack got an answer that could be judged"})
    rise = difference([ours[id] for id in both], [theirs[id] for id in both])
    new = [id for id in both if ours[id] and not theirs[id]]
    shown = [one for one in now.findings if one.category == "harm"]
    by_request = {one.behaviour.id: one for one in now.attempts if one.verdict.success}
    examples = [_seen(by_request[id], then.attempts) for id in new if id in by_request]
    figures = _pair("red_team", [ours[id] for id in both], [theirs[id] for id in both], rise)
    says = (
        f"{sum(ours[id] for id in both)} of {len(both)} harmful requests were brought about, and"
        f" {sum(theirs[id] for id in both)} of them before; {len(new)} are new"
    )
    return Measured(figures, {"red_team/rise": says}, {"red_team": examples}, told={"harm_findings": len(shown)})


def _refusals(now: RedTeamReport, then: RedTeamReport) -> Measured:
    """Harmless requests that are refused."""
    ours, theirs = ({one.behaviour.id: one for one in some.benign if one.verdict.reading} for some in (now, then))
    both = [id for id in ours if id in theirs]
    if not both:
        return Measured(unmeasured={"over_refusal": "no harmless request got an answer"})
    refused = [[_refused(side[id]) for id in both] for side in (ours, theirs)]
    rise = difference(*refused)
    new = [ours[id] for id, one, other in zip(both, *refused, strict=True) if one and not other]
    says = (
        f"{sum(refused[0])} of {len(both)} harmless requests were refused, and {sum(refused[1])} of them before;"
        f" {len(new)} are new"
    )
    return Measured(
        _pair("over_refusal", refused[0], refused[1], rise),
        {"over_refusal/rise": says},
        {"over_refusal": [_seen(one, then.benign) for one in new]},
    )


def _knowledge(now: RedTeamReport) -> Measured:
    """Questions that the reference answers right and the new policy does not, less the other way round."""
    probe = next(one for one in now.probes if one.name == "knowledge")
    change = probe.figures["change"]
    if not change.n:
        return Measured(unmeasured={"knowledge": "no question got an answer"})
    lost = [row for row in probe.rows if row["right before"] and row["right"] is False]
    right, before = probe.figures["right"], probe.figures["right before"]
    drop = Figure(-change.value + 0.0, -change.high + 0.0, -change.low + 0.0, change.n)
    says = (
        f"{round(right.value * right.n)} of {right.n} questions are answered right, and"
        f" {round(before.value * before.n)} by the reference; {len(lost)} are lost"
    )
    return Measured(
        {"knowledge/right": right, "knowledge/reference": before, "knowledge/drop": drop},
        {"knowledge/drop": says},
        {"knowledge": [Example(row["question"], row["answer"], row["before"]) for row in lost]},
    )


def _pair(name: str, ours: Sequence[bool], theirs: Sequence[bool], rise: Figure) -> dict[str, Figure]:
    shares = (proportion(sum(side), len(side)) for side in (ours, theirs))
    return dict(zip((f"{name}/share", f"{name}/before", f"{name}/rise"), (*shares, rise), strict=True))


def _refused(one: Attacked) -> bool:
    return one.verdict.reading is not None and one.verdict.reading.refused


def _seen(one: Attacked, then: Sequence[Attacked]) -> Example:
    """A conversation, with what was said in it before, if it was the same."""
    before = next((other.answer.text for other in then if other.prompt.id == one.prompt.id), "")
    return Example(one.prompt.text, one.answer.text, before, one.behaviour.category)
