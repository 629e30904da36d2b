"""One step of a reward model: scores of pairs, their loss, and its gradient, however the step is parted.

Shapes: `N` preference rows, `F` features of a completion's length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from palate.functional.length import explained_loss
from palate.functional.pairwise import bradley_terry_accuracy, bradley_terry_loss
from palate.models.layout import last_scores, lay
from palate.training.micro_batches import micro_batches
from palate.training.pairs import Pair
from palate.training.parallel import only_first, share, sum_facts, together, world
from palate.training.settings import TuningConfig

Loss = Callable[[Tensor, Tensor, Tensor, Tensor | None, float], Tensor]
"""From scores (N, 2), labels, weights, length scores (N, 2) if any, and the weight of the whole step."""


class Sides(NamedTuple):
    """The completions of some pairs, each once."""

    prompts: list[list[int]]
    completions: list[list[int]]
    place_N2: Int[Tensor, "N 2"]
    """Where a pair's chosen and rejected side are among them."""

    @property
    def lengths(self) -> list[int]:
        """Tokens of each, the prompt's included."""
        return [len(p) + len(c) for p, c in zip(self.prompts, self.completions, strict=True)]

    def parted(self, config: TuningConfig, rows: int) -> list[list[int]]:
        """Which of them go through a model together."""
        return micro_batches(config, self.prompts, self.lengths, rows=rows)


class LengthHead(nn.Module):
    """What length alone says: a score linear in the number of tokens and in its logarithm.

    It stands beside the head that is kept, and takes what length explains. It begins where the best fit without any
    other head is, learns on with the rest, and is dropped at the end.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        super().__init__()
        self.weight_F = nn.Parameter(torch.zeros(2))
        lengths_N2 = torch.tensor([[float(len(pair.chosen)), float(len(pair.rejected))] for pair in pairs])
        self.scale = float(lengths_N2.mean())
        labels_N, weights_N = (torch.tensor([getattr(p, name) for p in pairs]) for name in ("p_chosen", "weight"))
        differences_NF = self.features(pairs).diff(dim=1)[:, 0].neg()
        fit = torch.optim.LBFGS([self.weight_F], max_iter=50, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            fit.zero_grad()
            # A little decay: where the longer side always wins, the best weight has no end.
            found = bradley_terry_loss(differences_NF @ self.weight_F, labels_N, weights_N)
            found = found + 1e-4 * self.weight_F.square().sum()
            found.backward()
            return found

        fit.step(loss)
        self.weight_F.grad = None  # or the first step would add its own to what is left here

    def features(self, pairs: Sequence[Pair]) -> Float[Tensor, "N 2 F"]:
        """Length of both sides of each pair, in mean lengths, and its logarithm."""
        lengths_N2 = torch.tensor([[float(len(pair.chosen)), float(len(pair.rejected))] for pair in pairs])
        return torch.stack([lengths_N2 / self.scale, lengths_N2.log()], dim=-1)

    def forward(self, pairs: Sequence[Pair]) -> Float[Tensor, "N 2"]:
        """What length adds to the scores of both sides."""
        return self.features(pairs).to(self.weight_F.device) @ self.weight_F


class Step(NamedTuple):
    """How a step is computed."""

    config: TuningConfig
    pad_id: int
    loss: Loss
    length: LengthHead | None = None
    price: float = 0.0
    """Of margins that follow length; see `explained_loss`."""


def sides_of(pairs: Sequence[Pair]) -> Sides:
    """The distinct completions of some pairs: one that stands in many pairs is computed once."""
    index: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
    places = [
        [index.setdefault((tuple(pair.prompt), tuple(side)), len(index)) for side in (pair.chosen, pair.rejected)]
        for pair in pairs
    ]
    return Sides(
        [list(p) for p, _ in index], [list(c) for _, c in index], torch.tensor(places, dtype=torch.long).reshape(-1, 2)
    )


def backward(reward: Any, pairs: Sequence[Pair], step: Step) -> dict[str, float]:
    """Gradient of one step; how it is parted changes nothing.

    Returns:
        Figures of the step.
    """
    sides = sides_of(pairs)
    weight = sum(pair.weight for pair in pairs)
    if step.length is None and len(sides.prompts) == 2 * len(pairs):
        # Nothing is shared, so the losses of parts add up to that of the step.
        facts = {"loss": 0.0, "accuracy": 0.0}
        for part in share(_pair_parted(pairs, step)):
            group = [pairs[i] for i in part]
            own = sides_of(group)
            scores_N2 = _scores(reward, own, range(len(own.prompts)), step)[own.place_N2]
            found = _loss(scores_N2, group, step, weight)
            found["loss"].backward()
            facts["loss"] += float(found["loss"].detach())
            facts["accuracy"] += float(found["accuracy"]) * len(group) / len(pairs)
        return sum_facts(facts)
    found = _whole(reward, sides, pairs, step, weight)
    return {name: float(value.detach()) for name, value in found.items()}


def pair_scores(reward: Any, pairs: Sequence[Pair], step: Step) -> Float[Tensor, "N 2"]:
    """Scores (chosen, rejected) without gradient."""
    sides = sides_of(pairs)
    with torch.inference_mode():
        scores_R = _all_scores(reward, sides, sides.parted(step.config, 32), step)
    return scores_R[sides.place_N2]


def _whole(reward: Any, sides: Sides, pairs: Sequence[Pair], step: Step, weight: float) -> dict[str, Tensor]:
    """A loss that wants all scores of the step at once, with only a part's graph in memory.

    The scores come first, without a graph; the loss says how much it depends on each; then each part is computed
    again and takes its share back. It is the exact gradient.

    Source:
        Gao et al. 2021, arXiv:2101.06983 (gradient cache).
    """
    parted = sides.parted(step.config, step.config.micro_batch)
    if len(parted) == 1 and world().size == 1:
        found = _loss(_scores(reward, sides, range(len(sides.prompts)), step)[sides.place_N2], pairs, step, weight)
        found["loss"].backward()
        return found
    with torch.no_grad():
        scores_R = _all_scores(reward, sides, parted, step)
    scores_R.requires_grad_()
    found = _loss(scores_R[sides.place_N2], pairs, step, weight)
    found["loss"].backward()
    assert scores_R.grad is not None
    only_first(step.length)
    for part in share(parted):
        _scores(reward, sides, part, step).backward(scores_R.grad[part])
    return found


def _pair_parted(pairs: Sequence[Pair], step: Step) -> list[list[int]]:
    prompts, lengths = [pair.prompt for pair in pairs], [pair.tokens for pair in pairs]
    return micro_batches(step.config, prompts, lengths, rows=max(step.config.micro_batch // 2, 1), sides=2)


def _loss(scores_N2: Tensor, pairs: Sequence[Pair], step: Step, weight: float) -> dict[str, Tensor]:
    p_chosen_N, weights_N = (torch.tensor([getattr(pair, name) for pair in pairs]) for name in ("p_chosen", "weight"))
    length_N2 = None if step.length is None else step.length(pairs).cpu()
    loss = step.loss(scores_N2, p_chosen_N, weights_N, length_N2, weight)
    margins_N = scores_N2.diff(dim=1)[:, 0].neg()
    facts = {"accuracy": bradley_terry_accuracy(margins_N.detach(), p_chosen_N)}
    if step.length is not None:
        differences_NF = step.length.features(pairs).diff(dim=1)[:, 0].neg()
        explained = explained_loss(margins_N, differences_NF, weights_N)
        facts["length/explained"] = explained.detach() / margins_N.detach().square().mean().clamp(min=1e-12)
        loss = loss + step.price * explained
    return {"loss": loss} | facts


def _all_scores(reward: Any, sides: Sides, parts: Sequence[Sequence[int]], step: Step) -> Float[Tensor, " R"]:
    """Scores of all completions, part by part, in their own order."""
    found = torch.zeros(len(sides.prompts))
    for part in share(parts):
        found[part] = _scores(reward, sides, part, step).to(found.dtype)
    return together(found)


def _scores(reward: Any, sides: Sides, rows: Sequence[int], step: Step) -> Float[Tensor, " R"]:
    """Scores of some of the completions, all from one forward pass."""
    laid = lay(
        [sides.prompts[i] for i in rows],
        [sides.completions[i] for i in rows],
        pad_id=step.pad_id,
        layout=step.config.layout,
        device=reward.device,
        ends=True,
    )
    with step.config.arithmetic(reward.device):
        return last_scores(reward, laid).cpu()
