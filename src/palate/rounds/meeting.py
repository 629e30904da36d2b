"""The new policy against the one before: who wins, in whose eyes, and how each group of raters sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from palate.core.artefacts import identify, read_manifest
from palate.core.errors import ConfigError
from palate.core.ids import content_id
from palate.core.judges import Judge
from palate.evaluation import contest, groups
from palate.evaluation.contest import Contest, ContestConfig, Side, Two
from palate.evaluation.group_scores import GroupScores
from palate.evaluation.reward_judge import RewardJudge
from palate.evaluation.statistics import Figure
from palate.evaluation.subjects import Folder
from palate.evaluation.win_rates import Judged, Match
from palate.models import ensemble
from palate.preferences.by_group import OTHERS, said_in_journal
from palate.rounds.measured import Example, Measured

if TYPE_CHECKING:
    from palate.rounds.evaluating import EvaluateConfig
    from palate.rounds.step import Context

PEOPLE: Final = "people"
PRACTICE: Final = "practice"
"""People, whose part the raters of the practice world take at once."""
NEW, BEFORE = "the new policy", "the one before"
GROUP: Final = "group/"
"""Before a group's name, its win rate."""


class Referee(NamedTuple):
    """A judge that is no person, with what lineage says of it."""

    judge: Judge
    settings: Mapping[str, Any]
    """As the report records them."""
    inputs: Mapping[str, str] = {}
    """Its artefact, if it is one."""


class Met(NamedTuple):
    """What a meeting came to."""

    measured: Measured
    open: int = 0
    """Pairs that people have still to judge."""
    pairs: int = 0


def pursued(context: Context) -> Path | None:
    """The reward model that the policy was trained to please; None where there was none."""
    id = context.made.get("reward", "") or read_manifest(context.path("policy")).inputs.get("reward", "")
    return context.workspace.path(id) if id and context.workspace.has(id) else None


def referee(context: Context) -> Referee | None:
    """Who judges; None stands for people.

    Raises:
        ConfigError: a judge is named and nobody has brought it.
    """
    named = context.project.evaluate.judge
    reward = pursued(context)
    if named in (PEOPLE, PRACTICE) or (not named and reward is None):
        return None
    if not named and reward is not None:
        id = identify(reward)
        return Referee(RewardJudge(reward), {"reward": id}, {"judge": id})
    if context.judge is None:
        raise ConfigError(
            "nobody has brought the judge of the evaluation", where="[evaluate] judge", found=repr(named),
            expected="a model that judges, or people",
        )  # fmt: skip
    return context.judge


def held(context: Context) -> Met:
    """Both policies answer the held-out prompts, and who judges compares.

    Answers and opinions are kept, so that a step that was cut off, or that people have yet to judge, asks nobody
    twice.
    """
    config = context.project.evaluate
    policy, last = context.path("policy"), context.last
    if identify(policy) == identify(last):
        return Met(Measured(unmeasured=dict.fromkeys(("win_rate", "groups"), "the new policy is the one before")))
    answering = ContestConfig(
        samples=config.samples, temperature=config.temperature, max_new_tokens=config.max_new_tokens, seed=config.seed
    )
    prompts = context.material.heldout[: config.count]
    sides = [_side(NEW, policy, config), _side(BEFORE, last, config)]
    met = contest.meet(sides, prompts, answering, context.workspace, context.progress)
    judging = referee(context)
    if judging is None:
        found = _by_people(context, met, sides, answering)
        settings: Mapping[str, Any] = {"people": config.judgements}
    else:
        settings = judging.settings
        id = str(sorted(settings.items()))
        found = contest.by_judge(met, judging.judge, id, context.workspace, context.progress)
    asked = f"prompts-{content_id('prompts', [prompt.id for prompt in prompts])}"
    inputs = {"prompts": asked, **(judging.inputs if judging else {})}
    pairs = sum(map(len, met.values()))
    waiting = found.open or 0
    if waiting > math.floor((1 - config.enough) * pairs):
        return Met(Measured(), waiting, pairs)
    kept = contest.keep(found, sides, answering, context.workspace, judge=settings, inputs=inputs)
    measured = _told(context, found, judging, kept).with_(_groups(context, met, sides, answering, judging))
    return Met(measured, 0, pairs)


def _by_people(
    context: Context, met: Mapping[Two, Sequence[Match]], sides: Sequence[Side], answering: ContestConfig
) -> Contest:
    """What people have said so far; in a practice project, their stand-ins say it now."""
    project = context.project
    wanted = project.evaluate.judgements
    found, _ = contest.by_people(met, sides, answering, context.journal, wanted=wanted)
    stand_ins = PRACTICE in (project.evaluate.judge, "" if project.evaluate.judge else project.collect.raters)
    if found.open and stand_ins:
        (some,) = met.values()
        context.judges["collect"](context, contest.source(sides, answering, some))
        found, _ = contest.by_people(met, sides, answering, context.journal, wanted=wanted)
        return found._replace(open=0)  # they have said what they will; nobody adjudicates where they differ
    return found


def _side(name: str, folder: Path, config: EvaluateConfig) -> Side:
    who = Folder(folder, temperature=config.temperature, max_new_tokens=config.max_new_tokens)
    return contest.side(name, who, "")


def _told(context: Context, found: Contest, judging: Referee | None, kept: Path) -> Measured:
    (rate,) = found.rates
    reward = pursued(context)
    partial = judging is not None and reward is not None and judging.inputs.get("judge") == identify(reward)
    who = "people" if judging is None else "the reward model that it was trained to please" if partial else (
        judging.judge.name
    )  # fmt: skip
    judge = {"name": PEOPLE if judging is None else judging.judge.name, "independent": not partial}
    (judged,) = found.judged.values()
    lost = sorted((one for one in judged if one.win is not None and one.win < 0.5), key=lambda one: one.win or 0.0)
    told = Measured(
        inputs={"win rate": kept.name}, told={"judge": judge}, examples={"win_rate": [_example(one) for one in lost]}
    )
    if not rate.rate.n:
        return told._replace(unmeasured={"win_rate": "no pair was judged"})
    says = (
        f"in the eyes of {who} the new policy wins {rate.rate.value:.0%} of {rate.rate.n} pairs on {rate.prompts}"
        f" held-out prompts against {'the reference' if context.last == context.reference else 'the last one'}, ties"
        " half"
    )
    return told._replace(figures={"win_rate": rate.rate}, says={"win_rate": says})


def _example(one: Judged) -> Example:
    match = one.match
    return Example(match.prompt.text, match.ours.text, match.theirs.text, one.why)


def _groups(
    context: Context,
    met: Mapping[Two, Sequence[Match]],
    sides: Sequence[Side],
    answering: ContestConfig,
    judging: Referee | None,
) -> Measured:
    """Win rates of each group: what its raters said, or what its own reward model says."""
    reward = pursued(context)
    ((_, some),) = met.items()
    if judging is None:
        said = said_in_journal(context.journal, [contest.source(sides, answering, some)])
        rates = groups.judged_win_rates(said, sides[0].id, sides[1].id)
        if set(rates) <= {OTHERS}:
            return Measured(unmeasured={"groups": "no rater who judged has told a group"})
        return _by_group(rates, "raters of the group who were asked")
    if reward is None or not ensemble.is_ensemble(reward) or not ensemble.read(reward).groups:
        return Measured(unmeasured={"groups": "a model judged, and the reward model does not know groups"})
    answered = [match for match in some if match.answered]
    score, prompts = GroupScores(reward), [match.prompt for match in answered]
    ours, theirs = (score(prompts, [one.text for one in side]) for side in _texts(answered))
    rows = groups.welfare(ours, theirs, [prompt.id for prompt in prompts]) if prompts else []
    return _by_group({row.group: row.win_rate for row in rows}, "the group's own reward model")


def _texts(answered: Sequence[Match]) -> tuple[list[Any], list[Any]]:
    return [match.ours for match in answered], [match.theirs for match in answered]


def _by_group(rates: Mapping[str, Figure], who: str) -> Measured:
    return Measured(
        figures={f"{GROUP}{name}": rate for name, rate in rates.items()},
        says={f"{GROUP}{name}": f"by {who}, {rate.n} pairs" for name, rate in rates.items()},
    )
