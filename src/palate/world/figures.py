"""What a cycle is measured by: named figures with interval, n and the command that made them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch

from palate.core.records import Preference
from palate.evaluation.statistics import Figure, calibration_error, mean, proportion, win_rate
from palate.functional.pairwise import bradley_terry_loss
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
    """On held-out comparisons: accuracy against the majority, single judgements and gold; loss; ECE.

    An ideal model's accuracy on single judgements cannot exceed the mean share of the majority's
    votes; that ceiling stands beside it. Comparisons of one prompt share answers, so intervals
    come from resampling prompts.
    """
    rows = dataset.load_preferences(data, "heldout")
    margins = heldout_margins(reward_model, rows)
    found = accuracies(margins, rows)
    single: list[float] = []
    best: list[float] = []
    voters: list[str] = []
    for margin, p in zip(margins, rows, strict=True):
        above, below = p.votes[:2]
        single += [float(margin > 0)] * above + [float(margin <= 0)] * below
        best += [1.0] * max(above, below) + [0.0] * min(above, below)
        voters += [p.prompt.id] * (above + below)
    # A margin is a log-odds only up to the scale of the saved scores, which the scale of BT fixes.
    scale = _score_scale(reward_model)
    odds = torch.tensor(margins) * scale
    p_chosen = torch.tensor([p.p_chosen for p in rows])
    losses = [float(bradley_terry_loss(odds[i : i + 1], p_chosen[i : i + 1])) for i in range(len(rows))]
    probabilities = odds.sigmoid().tolist()
    outcomes = [p.votes[0] / max(p.votes[0] + p.votes[1], 1) for p in rows]
    # Rows are stored chosen first; half of them are turned round, so that calibration can be seen.
    turned = [i % 2 == 1 for i in range(len(rows))]
    probabilities = [1 - p if t else p for p, t in zip(probabilities, turned, strict=True)]
    outcomes = [1 - y if t else y for y, t in zip(outcomes, turned, strict=True)]
    ece = calibration_error(probabilities, outcomes)
    return [
        Named("reward_model/accuracy_labels", found["labels"]),
        Named("reward_model/accuracy_gold", found["gold"]),
        Named("reward_model/accuracy_single", mean(single, voters)),
        Named("reward_model/accuracy_single_ceiling", mean(best, voters)),
        Named("reward_model/heldout_loss", mean(losses, [p.prompt.id for p in rows])),
        Named("reward_model/ece", Figure(ece, ece, ece, len(rows))),
    ]


def accuracies(margins: Sequence[float], rows: Sequence[Preference]) -> dict[str, Figure]:
    """How often margins point where the raters' majority (`labels`) and where `gold` points."""
    sides = {"labels": right_by_votes(margins, rows), "gold": right_by_gold(margins, rows)}
    return {
        name: mean([float(hit) for hit in found.values()], [rows[i].prompt.id for i in found])
        for name, found in sides.items()
    }


def right_by_votes(margins: Sequence[float], rows: Sequence[Preference]) -> dict[int, bool]:
    """Position of each row that has a majority, and whether its margin agrees."""
    return {i: margins[i] > 0 for i, row in enumerate(rows) if row.votes[0] != row.votes[1]}


def right_by_gold(margins: Sequence[float], rows: Sequence[Preference]) -> dict[int, bool]:
    """Position of each row that gold can decide, and whether its margin agrees."""
    gaps = [_gold_gap(row) for row in rows]
    return {i: (margins[i] > 0) == (gap > 0) for i, gap in enumerate(gaps) if gap != 0}


def heldout_margins(reward_model: Path, rows: Sequence[Preference]) -> list[float]:
    """Score of the chosen side minus score of the other; an answer in several rows is scored once."""
    model, tokenizer = load.load_reward(reward_model)
    sides = [((p.prompt, p.chosen), (p.prompt, p.rejected)) for p in rows]
    answers = list(dict.fromkeys(answer for row in sides for answer in row))
    scores = scoring.scores(
        model,
        [chat.encode_prompt(tokenizer, prompt) for prompt, _ in answers],
        [chat.encode_completion(tokenizer, text) for _, text in answers],
        pad_id=tokenizer.pad_token_id,
    ).tolist()
    known = dict(zip(answers, scores, strict=True))
    return [known[chosen] - known[rejected] for chosen, rejected in sides]


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
