"""Completions token by token: a policy is a table of logits, a row for each prefix.

An early token decides which rows the later ones are drawn from, and completions differ in length, as in a
language model; what a bandit cannot show (end tokens, sums over tokens, values) shows here. A bandit is a tree
of one prefix.

Shapes: `K` completions, `S` prefixes, `V` tokens, `T` tokens of the longest completion, `B` samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.functional.logprobs import sequence_logprobs, token_logprobs
from palate.world.exact.bandit import TabularBandit, unit_variance

NONE: Final = -1
"""In `Tree.children_SV` no further prefix, in `Tree.completions_SV` no completion yet."""


@dataclass(frozen=True, eq=False)
class Tree:
    """All completions of a prompt, and the way to each; prefixes stand in order of their length."""

    children_SV: Int[Tensor, "S V"]
    """The prefix that a token leads to."""
    completions_SV: Int[Tensor, "S V"]
    """The completion that a token ends."""
    prefixes_KT: Int[Tensor, "K T"]
    """Before each token of each completion; 0 in padding."""
    tokens_KT: Int[Tensor, "K T"]
    """0 in padding."""
    mask_KT: Bool[Tensor, "K T"]
    """True on the tokens of a completion, its end token among them."""

    def logprobs(self, logits_SV: Float[Tensor, "S V"]) -> Float[Tensor, "K T"]:
        """Of every token of every completion, in nats; padding holds numbers that do not count."""
        return token_logprobs(logits_SV[self.prefixes_KT], self.tokens_KT)

    def sequence_logprobs(self, logits_SV: Float[Tensor, "S V"]) -> Float[Tensor, " K"]:
        """Of every completion, in nats."""
        return sequence_logprobs(self.logprobs(logits_SV), self.mask_KT)

    def probabilities(self, logits_SV: Float[Tensor, "S V"]) -> Float[Tensor, " K"]:
        """Of every completion; they sum to 1."""
        return self.sequence_logprobs(logits_SV).exp()

    def visits(self, logits_SV: Float[Tensor, "S V"]) -> Float[Tensor, "S V"]:
        """How often a completion comes by a prefix and goes on with a token."""
        chances_KT = self.probabilities(logits_SV).unsqueeze(-1).expand_as(self.mask_KT)
        cells_KT = self.prefixes_KT * logits_SV.shape[1] + self.tokens_KT
        flat = logits_SV.new_zeros(logits_SV.numel())
        return flat.index_add(0, cells_KT[self.mask_KT], chances_KT[self.mask_KT]).view_as(logits_SV)

    def sample(self, logits_SV: Float[Tensor, "S V"], count: int, generator: torch.Generator) -> Int[Tensor, " B"]:
        """Completions drawn token by token, as numbers in [0, K)."""
        prefix_B = torch.zeros(count, dtype=torch.long)
        completion_B = torch.full((count,), NONE)
        for _ in range(self.tokens_KT.shape[1]):
            token_B = logits_SV[prefix_B].softmax(-1).multinomial(1, generator=generator).squeeze(-1)
            reached_B = torch.where(completion_B == NONE, self.completions_SV[prefix_B, token_B], completion_B)
            prefix_B = torch.where(reached_B == NONE, self.children_SV[prefix_B, token_B], 0)
            completion_B = reached_B
        return completion_B


def tree_of(completions: Sequence[Sequence[int]], vocabulary: int) -> Tree:
    """The tree of given completions, none of which may be the beginning of another.

    Args:
        completions: Tokens in [0, V), end tokens among them.
        vocabulary: V.

    Raises:
        ConfigError: Some way through the tree ends nowhere, or goes on where a completion has ended.
    """
    beginnings = {tuple(y[:t]) for y in completions for t in range(len(y))}
    prefixes = {prefix: i for i, prefix in enumerate(sorted(beginnings, key=lambda p: (len(p), p)))}
    numbers = {tuple(y): i for i, y in enumerate(completions)}
    width = max(len(y) for y in completions)
    children = [[prefixes.get((*p, v), NONE) for v in range(vocabulary)] for p in prefixes]
    ends = [[numbers.get((*p, v), NONE) for v in range(vocabulary)] for p in prefixes]
    tree = Tree(
        children_SV=torch.tensor(children),
        completions_SV=torch.tensor(ends),
        prefixes_KT=torch.tensor(
            [[prefixes[tuple(y[:t])] if t < len(y) else 0 for t in range(width)] for y in numbers]
        ),
        tokens_KT=torch.tensor([[*y, *[0] * (width - len(y))] for y in numbers]),
        mask_KT=torch.tensor([[t < len(y) for t in range(width)] for y in numbers]),
    )
    if not bool(((tree.children_SV == NONE) != (tree.completions_SV == NONE)).all()):
        raise ConfigError(
            "the completions make no tree",
            expected="every token after every prefix to end a completion, or to lead on, and not both",
        )
    return tree


def words(letters: int, longest: int) -> Tree:
    """Every word of up to `longest` tokens: some letters and an end token, or, cut off, `longest` letters.

    Args:
        letters: V - 1; the end token is the last.
        longest: T.
    """
    ended = [(*word, letters) for length in range(longest) for word in product(range(letters), repeat=length)]
    return tree_of([*ended, *product(range(letters), repeat=longest)], letters + 1)


def arms(count: int) -> Tree:
    """A bandit as a tree: completions of one token."""
    return tree_of([(arm,) for arm in range(count)], count)


@dataclass(frozen=True, eq=False)
class TreeWorld:
    """A tree with a reference, a score for every completion, and the price of a nat.

    Over whole completions it is a bandit, `whole`, from which J, J* and π* come.
    """

    tree: Tree
    reference_SV: Float[Tensor, "S V"]
    """Logits of π_ref."""
    rewards_K: Float[Tensor, " K"]
    """r, the score of each completion, in reward units."""
    beta: float
    """β, reward units per nat."""

    @cached_property
    def whole(self) -> TabularBandit:
        """The same world with completions for arms."""
        return TabularBandit(self.rewards_K, self.tree.probabilities(self.reference_SV), self.beta)

    def gap(self, logits_SV: Float[Tensor, "S V"]) -> float:
        """J* - J(π): what the policy still misses, in reward units."""
        return self.whole.best - self.whole.objective(self.tree.probabilities(logits_SV.detach()))

    def share_of_gain(self, logits_SV: Float[Tensor, "S V"]) -> float:
        """(J(π) - J(π_ref)) / (J* - J(π_ref)): 0 at the reference, 1 at the optimum."""
        return 1 - self.gap(logits_SV) / self.gap(self.reference_SV)


def random_world(tree: Tree, seed: int, beta: float) -> TreeWorld:
    """A world with a random reference, and random rewards of variance 1 under it that also pay for length.

    The reference is mild, logits of deviation ½, so that samples find every completion that matters. At deviation
    1 some of the best are too rare to be seen, and sampled runs miss up to 8 % of the gain: a matter of
    exploration, and not of the formulas that these worlds are for.

    Args:
        tree: The completions.
        seed: Of reference and rewards.
        beta: β, reward units per nat.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "exact world"))
    reference_SV = 0.5 * torch.randn(tree.children_SV.shape, generator=generator, dtype=torch.float64)
    rewards_K = torch.randn(len(tree.tokens_KT), generator=generator, dtype=torch.float64)
    rewards_K = rewards_K + 0.3 * tree.mask_KT.sum(-1)
    return TreeWorld(tree, reference_SV, unit_variance(rewards_K, tree.probabilities(reference_SV)), beta)
