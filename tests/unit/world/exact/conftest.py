"""Small tensors, on which several threads only lose time; and the worlds that all tests share."""

from collections.abc import Iterator

import pytest
import torch

from palate.world.exact.tree import Tree, arms, words


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


TREES = {"bandit": arms(12), "tree": words(2, 6)}


@pytest.fixture(params=TREES)
def tree(request: pytest.FixtureRequest) -> Tree:
    """Twelve completions of one token; then 127 of up to six, over two letters and an end token."""
    return TREES[request.param]
