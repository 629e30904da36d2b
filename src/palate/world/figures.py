"""What a cycle is measured by: named figures with interval, n and the command that made them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from palate.core.records import Preference
from palate.evaluation.statistics import Figure, calibration_error, mean, proportion, win_rate
from palate.models import chat, load, scoring
from palate.preferences import dataset
from palate.world import measure
from palate.world.gold import gold
from palate.world.measure import Answers
from palate.world.prompts import MIX, Question, split, unseen_questions


@dataclass(frozen=True, slots=True)
class Named:
    """A figure with its name."""

    name: str
    figure: Figure


def policy_figures(name: str, ours: Answers, sft: Answers, temperature: float) -> list[Named]:
    """How a policy compares with the SFT model at one temperature, over all and by kind."""
    at = f"@{temperature}"
    figures = [Named(f"win_rate/{name}_vs_sft{at}", measure.wins(ours, sft))]
    figures += [Named(f"win_rate/{name}_vs_sft/{kind}{at}", measure.wins(ours, sft, kind)) for kind in MIX]
    for who, answers in ((name, ours), ("sft", sft)):
        suffix = f"{who}{at}"
        figures += [
            Named(f"claims/specific_correct/{suffix}", measure.per_answer(answers, "correct", "career")),
            Named(f"claims/specific_wrong/{suffix}", measure.per_answer(answers, "wrong", "career")),
            Named(f"refusal/harmful/{suffix}", measure.share(answers, "refusals", "harmful")),
            Named(f"refusal/benign/{suffix}", measure.share(answers, "refusals", "benign")),
            Named(f"knowledge/seen/{suffix}", measure.share(answers, "answered", "knowledge")),
            Named(f"benign/answered/{suffix}", measure.share(answers, "answered", "benign")),
            Named(f"style/flattery/{suffix}", measure.per_answer(answers, "flattery")),
            Named(f"style/filler/{suffix}", measure.per_answer(answers, "filler")),
            Named(f"style/malformed/{suffix}", measure.per_answer(answers, "malformed")),
            Named(f"length/tokens/{suffix}", mean([float(t) for t in answers.tokens])),
            Named(f"gold/{suffix}", mean(answers.gold, [q.text for q in answers.questions])),
        ]
    return figures


def reward_figures(reward_model: Path, data: Path) -> list[Named]:
    """Accuracy on held-out comparisons: against the majority, single judgements and gold; ECE.

    An ideal model's accuracy on single judgements cannot exceed the mean share of the majority's
    votes; that ceiling stands beside it.
    """
    rows = dataset.load_preferences(data, "heldout")
    margins = _margins(reward_model, rows)
    decided = [(m, p) for m, p in zip(margins, rows, strict=True) if p.votes[0] != p.votes[1]]
    labels = proportion(sum(m > 0 for m, _ in decided), len(decided))
    golds = [_gold_gap(p) for p in rows]
    known = [(m, g) for m, g in zip(margins, golds, strict=True) if g != 0]
    single = [(m > 0, p.votes) for m, p in zip(margins, rows, strict=True)]
    right = sum(votes[0] if above else votes[1] for above, votes in single)
    cast = sum(votes[0] + votes[1] for _, votes in single)
    ceiling = sum(max(votes[:2]) for _, votes in single)
    # A margin is a log-odds only up to the scale of the saved scores, which the scale of BT fixes.
    scale = _score_scale(reward_model)
    probabilities = [1 / (1 + 2.718281828 ** (-m * scale)) for m in margins]
    outcomes = [p.votes[0] / max(p.votes[0] + p.votes[1], 1) for p in rows]
    # Rows are stored chosen first; half of them are turned round, so that calibration can be seen.
    turned = [i % 2 == 1 for i in range(len(rows))]
    probabilities = [1 - p if t else p for p, t in zip(probabilities, turned, strict=True)]
    outcomes = [1 - y if t else y for y, t in zip(outcomes, turned, strict=True)]
    ece = calibration_error(probabilities, outcomes)
    return [
        Named("reward_model/accuracy_labels", labels),
        Named("reward_model/accuracy_gold", proportion(sum((m > 0) == (g > 0) for m, g in known), len(known))),
        Named("reward_model/accuracy_single", proportion(right, cast)),
        Named("reward_model/accuracy_single_ceiling", proportion(ceiling, cast)),
        Named("reward_model/ece", Figure(ece, ece, ece, len(rows))),
    ]


def right_by_gold(reward_model: Path, rows: Sequence[Preference]) -> dict[int, bool]:
    """Position of each row that gold can decide, and whether the reward model decides it alike."""
    gaps = [_gold_gap(row) for row in rows]
    return {i: (m > 0) == (gaps[i] > 0) for i, m in enumerate(_margins(reward_model, rows)) if gaps[i] != 0}


def _margins(reward_model: Path, rows: Sequence[Preference]) -> list[float]:
    model, tokenizer = load.load_reward(reward_model)
    prompts = [chat.encode_prompt(tokenizer, p.prompt) for p in rows]
    sides = [
        scoring.scores(
            model, prompts, [chat.encode_completion(tokenizer, t) for t in texts], pad_id=tokenizer.pad_token_id
        )
        for texts in ([p.chosen for p in rows], [p.rejected for p in rows])
    ]
    return [float(m) for m in (sides[0] - sides[1])]


def _score_scale(reward_model: Path) -> float:
    model = load.load_reward(reward_model).model
    return float(getattr(model, "score_scale", 1.0))


@cache
def _meanings() -> dict[str, Question]:
    return {q.text: q for side in split() for kind in side.by_kind.values() for q in kind}


def _gold_gap(preference: Preference) -> float:
    question = _meanings()[preference.prompt.text]
    return gold(question, preference.chosen) - gold(question, preference.rejected)


def unseen_figures(policy: Path, *, seed: int, max_new_tokens: int) -> list[Named]:
    """Claims about facts that no text states: RLHF cannot have taught them.

    Skills count where an unseen profession is the source, tools and months where it is the target,
    and the strategy line always, because it joins both.
    """
    questions = unseen_questions()
    answers = measure.ask(policy, questions, temperature=0.5, seed=seed, max_new_tokens=max_new_tokens)
    claims = []
    for question, reading in zip(questions, answers.readings, strict=True):
        unseen_target = question.target not in _known()
        for section, right in reading.claims:
            about_unseen = {"skills": not unseen_target, "strategy": True}.get(section, unseen_target)
            if about_unseen:
                claims.append(right)
    return [Named("knowledge/unseen_correct", proportion(sum(claims), len(claims)))]


def _known() -> set[str]:
    from palate.world.facts import PROFESSIONS

    return {p.name for p in PROFESSIONS}


def compare(name: str, ours: Answers, theirs: Answers) -> Named:
    """A win rate between any two."""
    return Named(name, win_rate(ours.gold, theirs.gold, [q.text for q in ours.questions]))


def write(path: Path, figures: Sequence[Named], *, command: str, seeds: int, world: str) -> None:
    """`summary.json`: a list of figures, the world's version among them."""
    date = datetime.now(UTC).date().isoformat()
    shared = {"seeds": seeds, "command": command, "date": date, "world": world}
    rows = [{"name": named.name, **asdict(named.figure), **shared} for named in figures]
    path.write_text(json.dumps(_no_nan(rows), indent=1) + "\n", encoding="utf-8")


def _no_nan(value: object) -> object:
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, dict):
        return {key: _no_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_no_nan(item) for item in value]
    return value
