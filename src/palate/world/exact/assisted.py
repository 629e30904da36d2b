"""Raters who read k of n lines, and helpers that choose which: labels and reward models with help and without.

A line is a sequence of the enumerable language, and all lines are known. What a line is worth is its content times its
weight. The content is in its neighbours and takes reading; of the weight a part shows on the surface (letters, place),
and a part does not. So a few lines carry most of an answer, and a heavy line that is bad is a trap for whoever skips
it. An answer is worth the sum of its lines. A rater adds up the lines read, and says which answer is better with
logistic noise. A helper sees surfaces alone, of which it cannot tell good from bad, and only chooses what is read.

Helpers are trained, and never on gold. Raters who read all lines of a few pairs mark those that weighed most, and the
helper learns to choose as they mark (`taught`); or raters judge by what it chose, and it is paid where they say what a
rater who read everything said (`rewarded`), or, as a control, where they do not.

Shapes: `K` lines, `B` answers, or choices of lines in one, `N` lines of an answer, `T` lines chosen, `D` features.

Source: Leike et al. 2018, arXiv:1811.07871.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.functional.advantages import leave_one_out_advantages
from palate.functional.choices import choice_logprobs, draw_choices
from palate.functional.policy_gradient import reinforce_loss
from palate.preferences.filtering import fit_logistic
from palate.world.exact.bandit import unit_variance
from palate.world.exact.language import LETTERS, all_sequences

LINE: Final = 5
"""Letters of a line: 1,024 lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistedConfig:
    """A world of answers, and how its raters and helpers work."""

    lines: int = 8
    """n, of an answer."""
    read: int = 2
    """k, that a rater reads of each answer."""
    heaviness: float = 1.0
    """Standard deviation of the logarithm of a line's weight; 0 makes all lines weigh alike."""
    visible: float = 0.8
    """Correlation of that logarithm with what the surface shows; at 0 a helper has only to go by that contents, too,
    depend on letters."""
    sharpness: float = 3.0
    """Log-odds of a rater for a difference of one standard deviation of what answers are worth."""
    teaching: int = 60
    """Pairs that raters read as a whole for a helper to be trained on."""
    labels: int = 600
    """Pairs that are labelled for a reward model."""
    held_out: int = 4000
    """Pairs on which everything is measured."""
    seed: int = 0
    """Of the world and of all that is drawn."""

    def __post_init__(self) -> None:
        counts = (self.read, self.teaching, self.labels, self.held_out, self.sharpness)
        if min(counts) <= 0 or self.read > self.lines or self.heaviness < 0 or not 0 <= self.visible <= 1:
            raise ConfigError(
                "there is no such world of lines",
                expected="numbers above 0, read up to lines, heaviness from 0, visible from 0 to 1",
                found=str(self),
            )


class Lines(NamedTuple):
    """All lines, and how their place counts."""

    probabilities_K: Float[Tensor, " K"]
    """Of each line in an answer."""
    worth_K: Float[Tensor, " K"]
    """At a place of weight 1, in reward units; mean 0, and a variance with which answers have variance 1."""
    place_N: Float[Tensor, " N"]
    """The weight of each place."""
    surface_KD: Float[Tensor, "K D"]
    """What a helper sees of a line: how often it has each letter, mean 0 and variance 1."""
    content_KD: Float[Tensor, "K D"]
    """What a reward model sees of it: pairs of neighbours, and the same times letters."""


class Answers(NamedTuple):
    """Pairs of answers: rows of even and odd number belong together."""

    lines_BN: Int[Tensor, "B N"]
    worth_BN: Float[Tensor, "B N"]
    """Gold: of each line at its place."""
    seen_BND: Float[Tensor, "B N D"]
    """What a helper sees."""
    content_BD: Float[Tensor, "B D"]
    """What a reward model sees, summed over lines."""


def lines(config: AssistedConfig) -> Lines:
    """The language and its worth, drawn by the config's seed."""
    generator = _generator(config, "lines")

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    tokens_KT = all_sequences(LETTERS, LINE)
    first_V, next_VV = draw(LETTERS).log_softmax(-1), draw(LETTERS, LETTERS).log_softmax(-1)
    before_KT, after_KT = tokens_KT[:, :-1], tokens_KT[:, 1:]
    p_K = (first_V[tokens_KT[:, 0]] + next_VV[before_KT, after_KT].sum(-1)).exp()
    p_K = p_K / p_K.sum()
    counts_KV, pairs_KP = _counted()
    shown_K = unit_variance(counts_KV @ draw(LETTERS), p_K)
    hidden_K = unit_variance(draw(len(p_K)), p_K)
    log_weight_K = config.visible * shown_K + (1 - config.visible**2) ** 0.5 * hidden_K
    content_K = unit_variance(pairs_KP @ draw(LETTERS * LETTERS), p_K)
    worth_K = unit_variance(content_K * (config.heaviness * log_weight_K).exp(), p_K)
    slope = config.heaviness * 0.4 * float(draw(1))
    place_N = (slope * torch.linspace(-1, 1, config.lines, dtype=torch.float64)).exp()
    surface_KD = torch.stack([unit_variance(counts_KV[:, letter], p_K) for letter in range(LETTERS)], dim=-1)
    both_KD = (pairs_KP.unsqueeze(-1) * counts_KV.unsqueeze(-2)).flatten(1)
    content_KD = torch.cat([pairs_KP, both_KD], dim=-1)
    scale_D = (p_K @ (content_KD - p_K @ content_KD).square()).sqrt().clamp_min(1e-9)
    return Lines(
        p_K, worth_K / place_N.square().sum().sqrt(), place_N, surface_KD, (content_KD - p_K @ content_KD) / scale_D
    )


def answers(world: Lines, pairs: int, generator: torch.Generator) -> Answers:
    """Pairs of answers, lines drawn one by one."""
    places = len(world.place_N)
    drawn = torch.multinomial(world.probabilities_K, 2 * pairs * places, replacement=True, generator=generator)
    lines_BN = drawn.view(2 * pairs, places)
    place_BN = torch.linspace(-1, 1, places, dtype=torch.float64).expand(2 * pairs, places)
    return Answers(
        lines_BN,
        world.worth_K[lines_BN] * world.place_N,
        torch.cat([world.surface_KD[lines_BN], place_BN.unsqueeze(-1)], dim=-1),
        world.content_KD[lines_BN].sum(1) / places**0.5,
    )


def margins(worth_BN: Float[Tensor, "B N"], chosen_BT: Int[Tensor, "B T"] | None = None) -> Float[Tensor, " P"]:
    """First less second of each pair, by the lines chosen, or by all."""
    worth_B = worth_BN.sum(-1) if chosen_BT is None else worth_BN.gather(1, chosen_BT).sum(-1)
    return worth_B[0::2] - worth_B[1::2]


def accuracy(told: Answers, config: AssistedConfig, chosen_BT: Int[Tensor, "B T"] | None = None) -> Float[Tensor, " P"]:
    """How probably a rater who reads these lines takes the better answer of each pair."""
    better_P = margins(told.worth_BN).sign()
    return (config.sharpness * margins(told.worth_BN, chosen_BT) * better_P).sigmoid()


def said(
    told: Answers, config: AssistedConfig, generator: torch.Generator, chosen_BT: Int[Tensor, "B T"] | None = None
) -> Float[Tensor, " P"]:
    """What raters who read these lines say: 1 where it is the first."""
    p_P = (config.sharpness * margins(told.worth_BN, chosen_BT)).sigmoid()
    return (torch.rand(len(p_P), generator=generator, dtype=torch.float64) < p_P).double()


def at_random(told: Answers, config: AssistedConfig, generator: torch.Generator) -> Int[Tensor, "B T"]:
    """So many lines of each answer, by chance."""
    return torch.rand(told.worth_BN.shape, generator=generator).argsort(-1)[:, : config.read]


def the_first(told: Answers, config: AssistedConfig) -> Int[Tensor, "B T"]:
    """The first lines of each answer."""
    return torch.arange(config.read).expand(len(told.worth_BN), config.read)


def chosen(told: Answers, config: AssistedConfig, weights_D: Float[Tensor, " D"]) -> Int[Tensor, "B T"]:
    """The k lines that a helper likes best; it sees surfaces alone."""
    return (told.seen_BND @ weights_D).topk(config.read, dim=-1).indices


def taught(
    told: Answers, config: AssistedConfig, generator: torch.Generator, *, price: float = 1.0
) -> Float[Tensor, " D"]:
    """A helper that chooses as raters mark who have read everything.

    They mark k lines of each answer, one after the other, each with a probability in proportion to how much it weighed
    with them, good or bad. The helper's weights are the likeliest ones, with a price on their square.

    Args:
        told: What was read as a whole.
        config: How many are marked.
        generator: Of the marks.
        price: On squared weights.
    """
    marks_BT = draw_choices(told.worth_BN.abs().log(), config.read, generator)
    weights_D = torch.zeros(told.seen_BND.shape[-1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights_D], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -choice_logprobs(told.seen_BND @ weights_D, marks_BT).sum() + price / 2 * weights_D.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights_D.detach()


def rewarded(
    told: Answers, config: AssistedConfig, generator: torch.Generator, *, sign: float = 1.0, steps: int = 60,
    group: int = 8, learning_rate: float = 0.1,
) -> Float[Tensor, " D"]:  # fmt: skip
    """A helper that is paid where a rater with its help says what one who has read everything said.

    Each step asks a rater `group` times for each pair; that is `steps * group` judgements a pair.

    Args:
        told: Pairs that somebody has read as a whole.
        config: How many lines it chooses.
        generator: Of verdicts and choices.
        sign: -1 pays where the two differ: an adversary.
        steps: Of Adam.
        group: G, choices for each pair and step; each is held against the mean of the others.
        learning_rate: Of Adam.
    """
    whole_P = said(told, config, generator)
    repeated = Answers(
        *(part.view(len(whole_P), 2, *part.shape[1:]).repeat_interleave(group, 0).flatten(0, 1) for part in told)
    )
    truth_P, pair_P = whole_P.repeat_interleave(group), torch.arange(len(whole_P)).repeat_interleave(group)
    weights_D = torch.zeros(told.seen_BND.shape[-1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([weights_D], lr=learning_rate)
    for _ in range(steps):
        scores_BN = repeated.seen_BND @ weights_D
        choice_BT = draw_choices(scores_BN.detach(), config.read, generator)
        agreed_P = (said(repeated, config, generator, choice_BT) == truth_P).double()
        # The choices of both answers of a pair are one completion.
        logprobs_PT = choice_logprobs(scores_BN, choice_BT).view(len(agreed_P), -1)
        advantages_P = leave_one_out_advantages(sign * agreed_P, pair_P).advantages_B
        optimizer.zero_grad()
        reinforce_loss(logprobs_PT, advantages_P, torch.ones_like(logprobs_PT, dtype=torch.bool)).backward()
        optimizer.step()
    return weights_D.detach()


def alone(told: Answers, labels_P: Float[Tensor, " P"], *, price: float = 1.0) -> Float[Tensor, " D"]:
    """A judge that sees what a helper sees: weights on surfaces, from what raters said who had read everything."""
    return _fitted(told.seen_BND.sum(1), labels_P, price)


def reward_model(told: Answers, labels_P: Float[Tensor, " P"], *, price: float = 300.0) -> Float[Tensor, " D"]:
    """Weights of a Bradley-Terry model on contents, from labels; with a price on their square.

    Of 3, 10, 30, 100, 300 and 1,000 the price was the best on six pilot worlds, over raters who read all lines, two by
    chance, and two by a helper's choice.
    """
    return _fitted(told.content_BD, labels_P, price)


def traps(told: Answers) -> Bool[Tensor, " P"]:
    """Pairs of which the better answer has fewer good lines than the other: what is heavy decides them."""
    good_B = (told.worth_BN > 0).sum(-1)
    return (good_B[0::2] - good_B[1::2]) * margins(told.worth_BN).sign() < 0


def right(features_BD: Float[Tensor, "B D"], weights_D: Float[Tensor, " D"], told: Answers) -> Float[Tensor, " P"]:
    """1 where weighted features take the better answer of a pair."""
    scores_B = features_BD @ weights_D
    return ((scores_B[0::2] - scores_B[1::2]) * margins(told.worth_BN) > 0).double()


def _fitted(features_BD: Tensor, labels_P: Tensor, price: float) -> Tensor:
    difference_PD = features_BD[0::2] - features_BD[1::2]
    return torch.from_numpy(fit_logistic(difference_PD.numpy(), labels_P.numpy(), price))


@lru_cache(maxsize=1)
def _counted() -> tuple[Tensor, Tensor]:
    """How often each line has each letter, and each pair of neighbours."""
    tokens_KT = all_sequences(LETTERS, LINE)
    pairs_KT = tokens_KT[:, :-1] * LETTERS + tokens_KT[:, 1:]
    letters_KV = torch.nn.functional.one_hot(tokens_KT, LETTERS).sum(1).double()
    return letters_KV, torch.nn.functional.one_hot(pairs_KT, LETTERS * LETTERS).sum(1).double()


def _generator(config: AssistedConfig, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(config.seed, "assisted", name))
