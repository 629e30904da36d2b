"""Self-rewarding in the practice world, with a judge that turns: the recipe for real, and what gold says afterwards.

The judge is a reward model that learned from people's verdicts on answers of the SFT model. From one round on it is
fond of flattery and of length, on top of what it learned. All arms of a seed share their rounds: people look at pairs
and are not learned from, so that arms differ by when the detector, if anybody asks it, ends them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from palate.core.artefacts import Workspace, identify, read_manifest
from palate.core.errors import ConfigError
from palate.core.ids import content_id, derive_seed
from palate.core.judges import Judge, Opinion, Pair
from palate.core.progress import SILENT, Progress
from palate.core.records import Judgement, Prompt, Rater
from palate.evaluation.reward_judge import RewardJudge
from palate.judging.collapse import Audited, first
from palate.preferences import dataset
from palate.rounds import audits
from palate.rounds.own_answers import Asked
from palate.rounds.self_play import Given, Improved, SelfPlayConfig, improve
from palate.store import judgements, rows
from palate.store.journal import Journal
from palate.store.opinions import AIJudge
from palate.world import measure, settings, stages
from palate.world.grammar import read
from palate.world.prompts import Question
from palate.world.raters import rater_pool
from palate.world.settings import Size

SOURCE = "practice/first"
_LEAST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much of everything."""

    labelled: int = 250
    """Prompts with four answers each, which people compare to teach the judge."""
    prompts: int = 300
    """That the policy answers four times in every round."""
    rounds: int = 4
    turns: tuple[int, ...] = (2, 3)
    """Rounds of which one is drawn, from which on the judge is fond."""
    flattery: float = 3.0
    """Nats for a flattering line."""
    length: float = 1.0
    """Nats for 20 words more."""
    shares: tuple[float, ...] = (0.05, 0.1)
    """Of the pairs learned from, that people look at."""
    beta: float = 0.2
    """DPO's, in a round."""
    epochs: int = 1
    learning_rate: float = 5e-5
    """With twice as much and two passes gold falls under a fair judge too (docs/log.md)."""

    def __post_init__(self) -> None:
        if min(self.labelled, self.prompts, self.rounds, self.epochs, *self.turns) < 1 or not self.shares:
            raise ConfigError("these amounts cannot work", expected="numbers from 1 on, and a share", found=str(self))


class Fond:
    """A judge that has grown fond of flattery and of length, in nats on top of what it thought.

    Args:
        judge: As it was.
        questions: What prompts mean.
        amounts: How fond.
    """

    def __init__(self, judge: Judge, questions: Sequence[Question], amounts: Amounts) -> None:
        self.before, self.amounts = judge, amounts
        self._meanings = {question.text: question for question in questions}

    @property
    def name(self) -> str:
        """As reports call it."""
        return f"{self.before.name}, fond"

    def judge(self, pairs: Sequence[Pair], progress: Progress = SILENT) -> list[Opinion]:
        """One opinion a pair."""
        return [
            one if one.p_first is None else one._replace(p_first=self._shifted(one.p_first, pair))
            for one, pair in zip(self.before.judge(pairs, progress), pairs, strict=True)
        ]

    def _shifted(self, p_first: float, pair: Pair) -> float:
        p = min(max(p_first, _LEAST), 1 - _LEAST)
        nats = math.log(p / (1 - p)) + self._fondness(pair, pair.first) - self._fondness(pair, pair.second)
        return 0.5 * (1 + math.tanh(nats / 2))

    def _fondness(self, pair: Pair, text: str) -> float:
        found = read(self._meanings[pair.prompt.text], text)
        return self.amounts.flattery * found.flattery + self.amounts.length * found.tokens / 20


class Arm(NamedTuple):
    """What one run came to."""

    name: str
    """`unaudited`, `audited 5` …, or `never`, of a judge that does not turn."""
    gold: list[float]
    """Mean gold of answers to held-out questions: the SFT model's, and after every round it learned from."""
    turns: int
    """The first round of the fond judge."""
    spoke: int | None
    """The round of which the detector said `collapse`, with all audits by then."""
    doubts: list[float]
    """Of the first judge, a round: what it gives less to the sides that were taken."""


def run(
    root: Path, seed: int, sft: Path, size: Size, amounts: Amounts | None = None, progress: Progress = SILENT
) -> list[Arm]:
    """All arms of a seed.

    Args:
        root: The project's folder; finished work there is used again.
        seed: Of everything that is drawn.
        sft: Where the policy begins.
        size: Of the world.
        amounts: Of prompts, rounds and fondness.
        progress: Who listens.
    """
    amounts = amounts or Amounts()
    questions = stages.asked(seed, amounts.prompts, about="self-play")
    turns = amounts.turns[derive_seed(seed, "turns") % len(amounts.turns)]
    fair, before = taught(root, seed, sft, size, amounts, progress)
    fond = _fond(fair, questions, amounts)
    arms = []
    with Journal.open(root / "self-play.db") as journal:

        def improved(judges: Sequence[Asked], audit: float) -> Improved:
            given = Given(sft, [q.prompt for q in questions], judges=judges, before=before)
            config = replace(_config(seed, size, amounts), audit=audit)
            return improve(config, given, Workspace(root), journal, progress)

        for name, judges in (("unaudited", [fair] * (turns - 1) + [fond]), ("never", [fair])):
            whole = improved(judges, 0.0)
            gold = [_gold(policy, seed, size) for policy in whole.policies]
            said = [read_manifest(pairs).facts["first_judge_doubts"] or 0.0 for pairs in whole.shown]
            arms.append(Arm(name, gold, turns, None, said))
            _look(journal, questions, whole, max(amounts.shares), seed)
            for share in amounts.shares:
                ended = improved(judges, share)
                audited = f"{'audited' if name == 'unaudited' else name} {100 * share:g}"
                arms.append(Arm(audited, gold[: ended.rounds + 1], turns, first(ended.found), said))
    return arms


def taught(
    root: Path, seed: int, sft: Path, size: Size, amounts: Amounts, progress: Progress = SILENT
) -> tuple[Asked, list[Audited]]:
    """A judge that people taught, and what they say of it on prompts that it did not learn from."""
    data = stages.judged(
        root, seed, size, [sft], source=SOURCE, prompts=amounts.labelled, about="self-play judge", progress=progress
    )
    folder = stages.make_reward(root, seed, sft, data, progress=progress)
    judge = RewardJudge(folder)
    unseen = dataset.load_preferences(data, "heldout")
    told = judge.judge([Pair(one.prompt, one.chosen, one.rejected) for one in unseen])
    before = [
        Audited(opinion.p_first, (one.votes[0] + 0.5 * one.votes[2]) / sum(one.votes))
        for opinion, one in zip(told, unseen, strict=True)
        if opinion.p_first is not None and any(one.votes)
    ]
    return Asked(judge, AIJudge(name=judge.name, model=identify(folder)), (False,)), before


def _fond(fair: Asked, questions: Sequence[Question], amounts: Amounts) -> Asked:
    judge = Fond(fair.judge, questions, amounts)
    model = f"{fair.who.model}-{content_id('fond', [amounts.flattery, amounts.length])}"
    return Asked(judge, AIJudge(name=judge.name, model=model), fair.orders)


def _config(seed: int, size: Size, amounts: Amounts) -> SelfPlayConfig:
    return SelfPlayConfig(
        rounds=amounts.rounds,
        completions=size.completions,
        max_new_tokens=size.max_new_tokens,
        seed=derive_seed(seed, "self-play"),
        dpo=replace(
            settings.dpo(seed),
            beta=amounts.beta,
            epochs=amounts.epochs,
            learning_rate=amounts.learning_rate,
            batch_size=8,
        ),
    )


def _gold(policy: Path, seed: int, size: Size) -> float:
    return fmean(measure.ask_heldout(policy, seed, size, 1.0).gold)


def _look(journal: Journal, questions: Sequence[Question], run: Improved, share: float, seed: int) -> None:
    """A person looks at each pair that is drawn; who, and what they say, follows from the pair."""
    meaning, pool = {q.prompt.id: q for q in questions}, rater_pool()
    rows.add_raters(journal, [Rater(one.id, "simulated") for one in pool])
    told = []
    for pairs in run.shown:
        for row in audits.drawn(pairs, share, derive_seed(seed, "self-play")):
            uid = content_id("self-play audit", [row["comparison"], seed])
            rater = random.Random(derive_seed(seed, uid)).choice(pool)
            question = meaning[Prompt.from_dicts(row["prompt"]).id]
            verdict, strength, seconds = rater.judge(
                question, read(question, row["first"]), read(question, row["second"]), derive_seed(seed, uid)
            )
            told.append(
                Judgement(
                    uid=uid, comparison=row["comparison"], rater=rater.id, verdict=verdict, strength=strength,
                    seconds=seconds, guideline="practice-1",
                )
            )  # fmt: skip
    judgements.judge(journal, told)
