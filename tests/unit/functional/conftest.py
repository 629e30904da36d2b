"""Formulas are tested on small tensors, on which several threads only lose time."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import pytest
import torch
from torch import Tensor


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Tree(NamedTuple):
    """Every completion of at most three tokens over two letters and an end token: all 15 of them.

    A policy is a table of logits, a row for each of the 7 prefixes, so that an early token decides which row a
    later one is drawn from, as in a language model.
    """

    states_BT: Tensor
    tokens_BT: Tensor
    mask_BT: Tensor

    def logprobs(self, table: Tensor) -> Tensor:
        """Of each token of each completion, (B, T); NaN where a completion has ended."""
        logprobs = table.log_softmax(-1)[self.states_BT, self.tokens_BT]
        return torch.where(self.mask_BT, logprobs, torch.nan)

    def probabilities(self, table: Tensor) -> Tensor:
        """Of each completion, (B,)."""
        return torch.where(self.mask_BT, self.logprobs(table), 0.0).sum(-1).exp()

    def policy(self, seed: int) -> Tensor:
        """A table of random logits that learns."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(7, 3, generator=generator, dtype=torch.float64).requires_grad_()

    def scores(self, seed: int) -> Tensor:
        """A random score per completion, higher for longer ones."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(15, generator=generator, dtype=torch.float64) + self.mask_BT.sum(-1)

    def policy_gradient(self, table: Tensor, scores: Tensor) -> Tensor:
        """Of the expected score, exactly."""
        return torch.autograd.grad(self.probabilities(table) @ scores, table)[0]

    def kl_gradient(self, table: Tensor, reference: Tensor) -> Tensor:
        """Of KL(policy ‖ reference) over completions, exactly."""
        p, q = self.probabilities(table), self.probabilities(reference).detach()
        return torch.autograd.grad((p * (p / q).log()).sum(), table)[0]


@pytest.fixture(scope="session")
def tree() -> Tree:
    end, letters, length = 2, (0, 1), 3
    prefixes = [p for n in range(length) for p in product(letters, repeat=n)]
    whole = [(*p, end) for p in prefixes] + list(product(letters, repeat=length))
    rows = [
        [(prefixes.index(y[:t]), y[t], True) if t < len(y) else (0, 0, False) for t in range(length)] for y in whole
    ]
    states, tokens, mask = (torch.tensor([[cell[i] for cell in row] for row in rows]) for i in range(3))
    return Tree(states, tokens, mask)
