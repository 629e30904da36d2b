"""Influence: what each comparison, judgement, rater and group did to a reward model, and to the answer asked about.

reads   a `reward` artefact or folder; a frozen dataset with held-out rows, and its judgements
writes  an `influence` artefact: `influence.jsonl`, a line for each comparison, judgement, rater and group
run     palate influence REWARD_MODEL DATASET
expect  seconds: nothing is trained but a linear head

The reward model's last layer is fitted again on its own features, so that it stands at its optimum; what the head
would be without something follows in closed form (`functional.influence`). All numbers say what having it did: a loss
above 0 was raised by it.

Source: Koh and Liang 2017, arXiv:1703.04730, section 5.4 (finding wrong labels), on the last layer only.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from palate.core.artefacts import MANIFEST, Manifest, Workspace, identify, read_manifest
from palate.core.errors import ConfigError
from palate.core.progress import SILENT, Progress
from palate.core.records import Preference
from palate.functional.influence import Rows
from palate.models import load
from palate.models.last_layer import last_features
from palate.models.layout import longest_row
from palate.models.tokenizers import pad_id_of
from palate.preferences import shares
from palate.preferences.dataset import load_preferences, read_lines
from palate.preferences.lossless import JUDGEMENTS
from palate.preferences.shares import Rule, Vote
from palate.rounds import effects
from palate.rounds.effects import Change, Effects, Lens
from palate.training.pairs import encode, identity
from palate.training.reward import RewardConfig
from palate.training.reward_batch import sides_of

TABLE: Final = "influence.jsonl"
BY: Final = ("comparison", "judgement", "rater", "group")


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluenceConfig:
    """Settings."""

    price: float = effects.PRICE
    """On squared weights of the head that is fitted again, in nats, with features of mean squared length 1."""

    def __post_init__(self) -> None:
        if not self.price > 0:
            raise ConfigError("--price is out of range", expected="above 0", found=f"{self.price:g}")


class Line(NamedTuple):
    """What one thing did."""

    by: str
    """One of `BY`."""
    id: str
    """Of the comparison or the judgement; the rater's id; the group's name."""
    loss_nats: float
    """To the held-out loss, nats a row: above 0 it did harm."""
    moved_nats: float
    """To held-out margins, root mean square: how much it moved the reward model."""
    answer_nats: float
    """To the margin of what was asked about; 0 where nothing was."""
    surprise_nats: float | None
    """Loss of what it said, under the head that was not told it; of raters and groups the mean of their judgements."""
    judgements: int
    """How many it is made of."""
    comparison: str = ""
    rater: str = ""
    said: str = ""
    """Of a judgement: `chosen`, `rejected` or `tie`, in the words of the dataset's row."""


class Material(NamedTuple):
    """Rows as features, and the judgements behind those that were learned from."""

    rows: list[Preference]
    """Of the train split, those that can be learned from."""
    x_ND: Tensor
    outside: Rows
    answers_AD: Tensor
    votes: list[Vote]
    rule: Rule

    def lens(self, price: float) -> Lens:
        """The head, fitted again."""
        p_N, a_N = (torch.tensor([getattr(row, name) for row in self.rows]) for name in ("p_chosen", "weight"))
        return effects.look(Rows(self.x_ND, p_N, a_N), self.outside, self.answers_AD, price=price)


def influence(
    config: InfluenceConfig,
    reward: Path,
    dataset: Path,
    workspace: Workspace,
    *,
    answers: Sequence[Preference] = (),
    progress: Progress = SILENT,
) -> Path:
    """Say what each thing in a dataset did to a reward model.

    Args:
        config: Settings.
        reward: A reward model with one linear last layer: a scalar head on any model, or a pooled one.
        dataset: What it was trained on, frozen, with held-out rows.
        workspace: Where the artefact goes.
        answers: Pairs of which the margin, chosen less rejected, is asked about; their mean.
        progress: Who listens.

    Returns:
        The folder of the `influence` artefact.

    Raises:
        DataError: a split of the dataset is empty.
        ModelError: the reward model is an ensemble, or has no linear last layer.
    """
    inputs = {"reward": identify(reward), "data": identify(dataset)}
    settings = asdict(config) | ({"answers": identity(answers)} if answers else {})
    wanted = Manifest(kind="influence", made_by="influence", config=settings, inputs=inputs)
    if workspace.has(wanted.id):
        return workspace.path(wanted.id)
    _note_other_data(reward, inputs["data"], progress)
    material = gather(reward, dataset, answers, progress)
    lines, unsaid = table(material, config.price)
    facts = {by: sum(line.by == by for line in lines) for by in BY} | {
        "heldout": len(material.outside.p_N), "without_a_share": unsaid,
    }  # fmt: skip
    if unsaid:
        progress.note(f"{unsaid} judgements have no share of their own: their labels are believed from all comparisons")

    def write(folder: Path) -> None:
        text = "".join(json.dumps(line._asdict()) + "\n" for line in lines)
        (folder / TABLE).write_text(text, encoding="utf-8")

    manifest = Manifest(kind="influence", made_by="influence", config=settings, inputs=inputs, facts=facts)
    return workspace.put(manifest, write)


def read(folder: Path) -> list[Line]:
    """The lines of an artefact."""
    return [Line(**row) for _, row in read_lines(folder / TABLE)]


def gather(reward: Path, dataset: Path, answers: Sequence[Preference] = (), progress: Progress = SILENT) -> Material:
    """Read the dataset, and everything in it with the reward model's eyes; what was too long for it is left out."""
    found = load.load_reward(reward)
    learned = read_manifest(reward).config if (reward / MANIFEST).is_file() else {}
    longest = int(learned.get("max_tokens", RewardConfig().max_tokens))
    limit = longest_row(getattr(found.model, "trunk", found.model), longest)

    def seen(preferences: Sequence[Preference]) -> tuple[list[Preference], Tensor]:
        return features(found.model, found.tokenizer, preferences, limit, progress)

    rows, x_ND = seen(load_preferences(dataset, "train"))
    held, x_HD = seen(load_preferences(dataset, "heldout"))
    _, x_AD = seen(answers)
    p_H, a_H = (torch.tensor([getattr(row, name) for row in held]) for name in ("p_chosen", "weight"))
    votes = shares.votes_in_dataset(dataset, rows) if (dataset / JUDGEMENTS).is_file() else []
    return Material(rows, x_ND, Rows(x_HD, p_H, a_H), x_AD, votes, shares.rule_of(dataset))


def features(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    preferences: Sequence[Preference],
    limit: int,
    progress: Progress = SILENT,
) -> tuple[list[Preference], Tensor]:
    """The preferences that a reward model can learn from, and the last layer's view of chosen less rejected."""
    pairs = encode(tokenizer, preferences, limit).rows
    by_id = {row.comparison: row for row in preferences}
    if not pairs:
        return [], torch.zeros(0, 0)
    sides = sides_of(pairs)
    progress.start("reading answers", len(sides.prompts))
    x_BD = last_features(model, sides.prompts, sides.completions, pad_id=pad_id_of(tokenizer)).double()
    progress.finish(f"{len(sides.prompts)} answers read")
    both_N2D = x_BD[sides.place_N2]
    return [by_id[pair.comparison] for pair in pairs], both_N2D[:, 0] - both_N2D[:, 1]


def table(material: Material, price: float) -> tuple[list[Line], int]:
    """All lines, and how many judgements nobody can tell the share of."""
    lens = material.lens(price)
    rows, votes = material.rows, material.votes
    voices = [0] * len(rows)
    for vote in votes:
        voices[vote.place] += 1
    lines = [
        Line("comparison", row.comparison, *numbers, count, row.comparison)
        for row, count, numbers in zip(rows, voices, _numbers(effects.of_rows(lens)), strict=True)
    ]
    alone = [(vote, change) for vote in votes if (change := without(material, [vote])) is not None]
    said = torch.tensor([vote.p_chosen for vote, _ in alone])
    told = _numbers(effects.of_changes(lens, [change for _, change in alone], said))
    surprise: dict[str, float] = {}
    for (vote, _), numbers in zip(alone, told, strict=True):
        word = {1.0: "chosen", 0.0: "rejected"}.get(vote.p_chosen, "tie")
        comparison = rows[vote.place].comparison
        lines.append(Line("judgement", vote.uid, *numbers, 1, comparison, vote.rater, word))
        surprise[vote.uid] = numbers[3] or 0.0
    for by, key in (("rater", lambda vote: vote.rater), ("group", lambda vote: vote.group)):
        lines += _together(material, lens, by, key, surprise)
    return lines, len(votes) - len(alone)


def _together(
    material: Material, lens: Lens, by: str, key: Callable[[Vote], str], surprise: dict[str, float]
) -> list[Line]:
    """Lines of raters or groups: all that each said is taken away at once."""
    parts: dict[str, list[Vote]] = defaultdict(list)
    for vote in material.votes:
        if vote.uid in surprise:
            parts[key(vote)].append(vote)
    changed = [(name, some, change) for name, some in parts.items() if (change := without(material, some)) is not None]
    lines = []
    numbers = _numbers(effects.of_changes(lens, [change for *_, change in changed]))
    for (name, some, _), (loss, moved, answer, _) in zip(changed, numbers, strict=True):
        mean = sum(surprise[vote.uid] for vote in some) / len(some)
        lines.append(Line(by, name, loss, moved, answer, mean, len(some), rater=name if by == "rater" else ""))
    return lines


def without(material: Material, gone: Sequence[Vote]) -> Change | None:
    """What rows become without some judgements; None where nobody can say."""
    by_place: dict[int, list[float]] = defaultdict(list)
    for vote in gone:
        by_place[vote.place].append(vote.p_chosen)
    found = [
        (place, shares.without(material.rows[place], some, material.rule)) for place, some in sorted(by_place.items())
    ]
    known = [(place, now) for place, now in found if now is not None]
    if not known:
        return None
    return Change([place for place, _ in known], [p for _, (p, _) in known], [a for _, (_, a) in known])


def _numbers(found: Effects) -> list[tuple[float, float, float, float | None]]:
    columns = zip(*(column.tolist() for column in found), strict=True)
    return [
        (loss, moved, answer, None if math.isnan(surprise) else surprise) for loss, moved, answer, surprise in columns
    ]


def _note_other_data(reward: Path, data: str, progress: Progress) -> None:
    """A reward model may have learned from something else, and then this is about another one."""
    if (reward / MANIFEST).is_file():
        learned = read_manifest(reward).inputs.get("data", "")
        if learned and learned != data:
            progress.note(f"the reward model learned from {learned}; what follows is about {data}")
