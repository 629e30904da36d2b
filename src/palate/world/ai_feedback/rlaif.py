"""A policy step on labels of judges of every quality, and on people's, in the practice world.

A judge is a reward model that learned from people's verdicts on other comparisons, few or many. It labels ten times as
many comparisons as people do, through the journal, as `palate judge label` has it, and a snapshot of its word alone is
what DPO learns from. People's own comparisons are as many prompts with two answers each, which spreads their verdicts
as widely as can be. All policies begin at one SFT model and take as many steps; how often a judge is right is measured
on held-out questions afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from palate.core.artefacts import Workspace, identify
from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Verdict
from palate.evaluation.reward_judge import RewardJudge
from palate.evaluation.statistics import win_rate
from palate.judging.labelling import BOTH, label
from palate.preferences import dataset
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store import backup, judgements, rows
from palate.store.journal import Journal
from palate.store.opinions import AIJudge
from palate.training import dpo, reward
from palate.world import collect, measure, settings, stages
from palate.world.gold import gold
from palate.world.measure import Answers
from palate.world.prompts import Question, split
from palate.world.settings import Size

PEOPLE, SCHOOL, ASKED = "rlaif/people", "rlaif/school", "rlaif/asked"
"""Sources: comparisons that people judge for the policy, that they judged for the judges, that judges label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much is asked of whom."""

    people: int = 200
    """Prompts of which people compare two answers, once."""
    ratio: int = 10
    """Comparisons that a judge labels for each of people's: what the price of one buys."""
    schoolings: tuple[int, ...] = (30, 200, 1500)
    """Verdicts that each judge learned from."""
    epochs: int = 3
    """Of DPO on people's labels. A judge's are seen once, in batches so much larger that both take as many steps."""

    def __post_init__(self) -> None:
        if not self.schoolings or min(self.people, self.epochs, *self.schoolings) < 1 or self.ratio < self.epochs:
            raise ConfigError(
                "these amounts cannot work",
                expected="numbers from 1 on, at least one judge, and a ratio of at least the epochs",
                found=str(self),
            )


class Arm(NamedTuple):
    """What one kind of label came to."""

    name: str
    """`people`, or `judge` and what it learned from."""
    accuracy: float
    """How often a label takes the better by gold of two answers; a tie is half."""
    labels: int
    win_rate: float
    """Over the SFT model on held-out questions, by gold."""
    gold: float
    """Mean gold of its answers."""
    kl_nats: float
    """From the SFT model, on its own answers."""


def run(
    root: Path, seed: int, sft: Path, size: Size, amounts: Amounts | None = None, progress: Progress = SILENT
) -> list[Arm]:
    """All arms of a seed, people's first.

    Args:
        root: The project's folder; finished work there is used again.
        seed: Of everything that is drawn.
        sft: Where every policy begins.
        size: Of the world.
        amounts: Of labels.
        progress: Who listens.
    """
    amounts = amounts or Amounts()
    tested = Tested(root, seed, sft, size)
    policies = [("people", *by_people(root, seed, sft, size, amounts, progress))]
    for labels in amounts.schoolings:
        judge = school(root, seed, sft, size, amounts, labels, progress)
        data = labelled(root, seed, sft, size, amounts, judge, labels, progress)
        made = step(root, seed, sft, data, larger=amounts.ratio / amounts.epochs, progress=progress)
        policies.append((f"judge {labels}", made, data, tested.accuracy(judge)))
    return [tested.arm(*one) for one in policies]


def by_people(
    root: Path, seed: int, sft: Path, size: Size, amounts: Amounts, progress: Progress = SILENT
) -> tuple[Path, Path, float]:
    """The policy of people's labels, its dataset, and how often one of them was right by gold."""
    data, right = _judged(root, seed, sft, replace(size, completions=2), PEOPLE, amounts.people, progress)
    return step(root, seed, sft, data, epochs=amounts.epochs, progress=progress), data, right


def school(
    root: Path, seed: int, sft: Path, size: Size, amounts: Amounts, labels: int, progress: Progress = SILENT
) -> Path:
    """A judge: a reward model that learned from the first so many verdicts of comparisons that no arm has."""
    data, _ = _judged(root, seed, sft, size, SCHOOL, _prompts(max(amounts.schoolings), size), progress)
    some = dataset.load_preferences(data)[:labels]
    return reward.train(settings.reward(seed), sft, some, Workspace(root), progress=progress)


def labelled(
    root: Path,
    seed: int,
    sft: Path,
    size: Size,
    amounts: Amounts,
    judge: Path,
    labels: int,
    progress: Progress = SILENT,
) -> Path:
    """What a judge says of ten times as many comparisons as people have judged, as a dataset.

    Each judge writes into a copy of the journal of comparisons, so that nobody's word is in another's dataset.
    """
    prompts = _prompts(amounts.people * amounts.ratio, size)
    questions = stages.asked(seed, prompts, about=ASKED)
    asked, own = (root / f"rlaif-asked-{prompts}{more}.db" for more in ("", f"-judge-{labels}"))
    with Journal.open(asked) as journal:
        _sample(journal, seed, sft, size, questions, ASKED, progress)
        if not own.exists():
            backup.backup(journal, own)
    judging = RewardJudge(judge)
    who = AIJudge(name=judge.name, model=identify(judge))
    with Journal.open(own) as journal:
        most = amounts.people * amounts.ratio - len(judgements.judgements(journal, [ASKED]))
        if most > 0:
            label(journal, judging, who, sources=[ASKED], orders=BOTH[:1], at_most=most, progress=progress)
        return freeze(journal, Workspace(root), _snapshot(ASKED, seed, models="alone"))


def step(
    root: Path, seed: int, sft: Path, data: Path, *, epochs: int = 1, larger: float = 1.0, progress: Progress = SILENT
) -> Path:
    """DPO from the SFT model on a dataset, in batches that are so much larger than the practice world's."""
    config = settings.dpo(seed)
    config = replace(config, epochs=epochs, batch_size=int(config.batch_size * larger))
    return dpo.train(config, sft, dataset.load_preferences(data), Workspace(root), data_id=data.name, progress=progress)


class Tested:
    """Held-out questions, what the SFT model answers them, and what others are worth beside it."""

    def __init__(self, root: Path, seed: int, sft: Path, size: Size) -> None:
        self.seed, self.size, self.sft = seed, size, sft
        questions = split()[1].sample(size.evaluated, 7)
        self._first, self._second = (self._ask(sft, questions, f"tested {side}") for side in "ab")

    def _ask(self, policy: Path, questions: Sequence[Question], about: str, reference: Path | None = None) -> Answers:
        return measure.ask(
            policy,
            questions,
            temperature=1.0,
            seed=derive_seed(self.seed, about),
            max_new_tokens=self.size.max_new_tokens,
            reference=reference,
        )

    def accuracy(self, judge: Path) -> float:
        """How often a judge takes the better by gold of two answers of the SFT model; a tie of its own is half."""
        one, other = (measure.proxy(judge, answers) for answers in (self._first, self._second))
        gaps = [a - b for a, b in zip(self._first.gold, self._second.gold, strict=True)]
        hits = [0.5 * (1 + _sign(a - b) * _sign(gap)) for a, b, gap in zip(one, other, gaps, strict=True) if gap]
        return sum(hits) / len(hits)

    def arm(self, name: str, policy: Path, data: Path, accuracy: float) -> Arm:
        """What a policy is worth."""
        found = self._ask(policy, self._first.questions, "policy", self.sft)
        rate = win_rate(found.gold, self._first.gold).value
        labels = len(dataset.load_preferences(data))
        return Arm(name, accuracy, labels, rate, _mean(found.gold), _mean(found.kl_nats))


def _judged(
    root: Path, seed: int, sft: Path, size: Size, source: str, prompts: int, progress: Progress
) -> tuple[Path, float]:
    """Comparisons of the SFT model's answers, each judged once by people: a dataset, and how often they were right."""
    questions = stages.asked(seed, prompts, about=source)
    with Journal.open(root / f"{source.replace('/', '-')}-{prompts}.db") as journal:
        _sample(journal, seed, sft, size, questions, source, progress)
        collect.judge_all(journal, questions, source=source, raters=1, seed=seed, progress=progress)
        data = freeze(journal, Workspace(root), _snapshot(source, seed))
        return data, _right(journal, source, questions)


def _right(journal: Journal, source: str, questions: Sequence[Question]) -> float:
    """How often a verdict takes the better by gold; a tie is half, comparisons of equal gold do not count."""
    meaning = {question.prompt.id: question for question in questions}
    texts, shown = rows.completions(journal), {c.id: c for c in rows.comparisons(journal, [source])}
    side = {Verdict.FIRST: 1, Verdict.SECOND: -1}
    hits = []
    for one in judgements.judgements(journal, [source]):
        comparison = shown[one.comparison]
        first, second = (
            gold(meaning[comparison.prompt], texts[id].text) for id in (comparison.first, comparison.second)
        )
        if first != second:
            hits.append(0.5 * (1 + side.get(one.verdict, 0) * _sign(first - second)))
    return _mean(hits)


def _sample(
    journal: Journal, seed: int, sft: Path, size: Size, questions: Sequence[Question], source: str, progress: Progress
) -> None:
    if rows.comparisons(journal, [source]):  # they are written at once, and drawn from the seed
        return
    collect.sample_comparisons(
        journal,
        [sft],
        questions,
        completions=size.completions,
        source=source,
        seed=seed,
        max_new_tokens=size.max_new_tokens,
        progress=progress,
    )


def _snapshot(source: str, seed: int, models: str = "apart") -> SnapshotConfig:
    return SnapshotConfig(sources=(source,), heldout_fraction=0.0, seed=seed, models=models)


def _prompts(comparisons: int, size: Size) -> int:
    """Whose answers make so many comparisons, and some more, since not every two answers can be compared."""
    each = size.completions * (size.completions - 1) // 2
    return -(-comparisons * 10 // (each * 9))


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
