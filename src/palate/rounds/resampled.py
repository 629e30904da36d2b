"""Ask an old and a new policy again what people judged: an artefact of fresh answers, as `palate.rounds.fresh` says.

| | |
|---|---|
| reads | two policies, the prompts with their judged answers from the journal, a reward model if one is named |
| writes | `resampled-…/answers.jsonl`, a line each prompt: the judged answers, fresh ones of the old, of the new |
| expect | with a reward model, in the manifest's facts: mean scores of what was liked, old and new, and new less old |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from palate.core.artefacts import Manifest, Workspace, identify
from palate.core.errors import ConfigError, DataError
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt
from palate.evaluation.reward_scores import RewardScores
from palate.evaluation.statistics import Figure, mean
from palate.evaluation.subjects import Folder
from palate.preferences.dataset import write_lines
from palate.rounds.fresh import ANSWERS, KIND, SIDES, Answered, judged_answers, line
from palate.store.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampleConfig:
    """Settings."""

    each: int = 4
    """Fresh answers of each policy to a prompt."""
    temperature: float = 0.7
    """0 always takes the likeliest token, and then all answers of a policy are one."""
    max_new_tokens: int = 256
    """Longest answer."""
    seed: int = 0
    """Of the answers."""

    def __post_init__(self) -> None:
        if self.each < 1 or self.max_new_tokens < 1:
            raise ConfigError(
                "there would be no answer", expected="1 or more of --each and --max-new-tokens",
                found=f"--each {self.each} --max-new-tokens {self.max_new_tokens}",
            )  # fmt: skip
        if not self.temperature >= 0:
            raise ConfigError("--temperature is out of range", expected="0 or more", found=str(self.temperature))


def resample(
    config: ResampleConfig,
    old: Path,
    new: Path,
    prompts: Sequence[Prompt],
    journal: Journal,
    workspace: Workspace,
    *,
    reward: Path | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Fresh answers of two policies to prompts; found at once where they were asked for before.

    Args:
        config: How they are asked.
        old: Folder of the policy whose answers were judged.
        new: Folder of the one that learned from it.
        prompts: What to ask.
        journal: Where the judged answers are.
        workspace: Where the artefact goes.
        reward: Folder of a reward model that scores all of them.
        progress: Who listens.

    Raises:
        DataError: there is no prompt.
    """
    if not prompts:
        raise DataError("there is nothing to ask", expected="at least one prompt with judged answers")
    judged = {prompt.id: judged_answers(journal, prompt.id) for prompt in prompts}
    told = [[id, [one.completion for one in some], [one.liked for one in some]] for id, some in sorted(judged.items())]
    inputs = {"old": identify(old), "new": identify(new), "prompts": f"records-{content_id('judged prompts', told)}"}
    inputs |= {"reward": identify(reward)} if reward else {}
    manifest = Manifest(kind=KIND, made_by="later", config=asdict(config), inputs=inputs)
    if workspace.has(manifest.id):
        return workspace.path(manifest.id)
    asked = {prompt.id: prompt for prompt in prompts}
    sides = {
        "judged": judged,
        "old": _answers(config, old, list(asked.values()), progress),
        "new": _answers(config, new, list(asked.values()), progress),
    }
    if reward:
        progress.start("the reward model reads them", len(sides))
        for number, side in enumerate(SIDES, start=1):
            sides[side] = _scored(RewardScores(reward), asked, sides[side])
            progress.advance(number)
        progress.finish()
    facts = {"prompts": len(asked), "each": config.each, **(_facts(sides) if reward else {})}
    lines = [line(id, {side: sides[side][id] for side in SIDES}) for id in asked]
    made = Manifest(kind=KIND, made_by="later", config=asdict(config), inputs=inputs, facts=facts)
    return workspace.put(made, lambda folder: write_lines(folder / ANSWERS, lines))


_Side = dict[str, list[Answered]]


def _answers(config: ResampleConfig, policy: Path, prompts: Sequence[Prompt], progress: Progress) -> _Side:
    """Both policies draw from streams of their own: shared luck would look like agreement."""
    subject = Folder(policy, temperature=config.temperature, max_new_tokens=config.max_new_tokens)
    name = identify(policy)
    every = [prompt for prompt in prompts for _ in range(config.each)]
    told = subject.answer(every, seed=derive_seed(config.seed, "fresh", name), progress=progress)
    found: _Side = {prompt.id: [] for prompt in prompts}
    for prompt, answer in zip(every, told, strict=True):
        if not answer.error:
            found[prompt.id].append(Answered(answer.text, name))
    return found


def _scored(scores: RewardScores, prompts: dict[str, Prompt], side: _Side) -> _Side:
    flat = [(id, one) for id, some in side.items() for one in some]
    if not flat:
        return side
    values = scores([prompts[id] for id, _ in flat], [one.text for _, one in flat])
    found: _Side = {id: [] for id in side}
    for (id, one), value in zip(flat, values, strict=True):
        found[id].append(one._replace(score=value))
    return found


def _facts(sides: dict[str, _Side]) -> dict[str, Any]:
    """Mean scores over prompts that have all of it; a prompt counts once, however many answers it has."""
    liked = {id: _mean([one for one in some if one.liked]) for id, some in sides["judged"].items()}
    old, new = ({id: _mean(some) for id, some in sides[side].items()} for side in ("old", "new"))
    both = [id for id in old if old[id] is not None and new[id] is not None]
    seen = [id for id in both if liked[id] is not None]
    told: dict[str, Any] = {
        "score_old": _told(mean([_known(old[id]) for id in both])),
        "score_new": _told(mean([_known(new[id]) for id in both])),
        "new_less_old": _told(mean([_known(new[id]) - _known(old[id]) for id in both])),
    }
    if seen:
        told["score_liked"] = _told(mean([_known(liked[id]) for id in seen]))
        told["old_less_liked"] = _told(mean([_known(old[id]) - _known(liked[id]) for id in seen]))
    return {name: value for name, value in told.items() if value is not None}


def _mean(some: Sequence[Answered]) -> float | None:
    values = [one.score for one in some if one.score is not None]
    return fmean(values) if values else None


def _known(value: float | None) -> float:
    assert value is not None
    return value


def _told(figure: Figure) -> dict[str, float] | None:
    return asdict(figure) if figure.n else None
