"""Draws are the plain inverse of the running sum of probabilities, computed in two steps."""

import pytest
import torch

from palate.models.drawing import draw


def plain(logits, uniforms):
    """Index at which the running sum passes the number."""
    sums = torch.softmax(logits, dim=-1).cumsum(dim=-1)
    return torch.searchsorted(sums, uniforms[:, None] * sums[:, -1:], right=True)[:, 0]


@pytest.mark.parametrize("vocabulary", [1, 2, 63, 64, 65, 128, 1000])
def test_it_is_the_inverse_of_the_running_sum(vocabulary):
    # In float64 the two ways of summing differ by 1e-15, and 2000 numbers at random miss such a gap.
    generator = torch.Generator().manual_seed(vocabulary)
    logits = 3 * torch.randn(2000, vocabulary, generator=generator, dtype=torch.float64)
    uniforms = torch.rand(2000, generator=generator, dtype=torch.float64)
    found = draw(logits, uniforms, 1.0)
    assert torch.equal(found.tokens_B, plain(logits, uniforms))
    expected = torch.log_softmax(logits, dim=-1).gather(1, found.tokens_B[:, None])[:, 0]
    torch.testing.assert_close(found.logprobs_B, expected, atol=1e-13, rtol=0)


def test_logprobs_are_exact_in_single_precision():
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(500, 4096, generator=generator)
    for temperature in (1.0, 0.6, 2.0):
        found = draw(logits, torch.rand(500, generator=generator), temperature)
        exact = torch.log_softmax(logits.double() / temperature, dim=-1).gather(1, found.tokens_B[:, None])[:, 0]
        assert (found.logprobs_B - exact).abs().max() < 3e-6


def test_at_temperature_0_it_is_the_likeliest_token_with_its_plain_probability():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    found = draw(logits, torch.tensor([0.99, 0.99]), 0.0)
    assert found.tokens_B.tolist() == [1, 0]
    torch.testing.assert_close(found.logprobs_B, torch.log_softmax(logits, -1)[[0, 1], [1, 0]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_has_no_chance_is_never_drawn_not_even_at_the_edges(dtype):
    # The largest number below 1 in float64 is 1 in float32: it must still point at a token that has a chance.
    logits = torch.full((3, 200), -torch.inf, dtype=dtype)
    logits[:, [10, 70, 130]] = torch.tensor([0.0, 1.0, 0.5], dtype=dtype)
    found = draw(logits, torch.tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64), 1.0)
    assert found.tokens_B.tolist() == [10, 70, 130]
    assert found.logprobs_B.isfinite().all()


def test_logits_that_are_no_numbers_give_logprobs_that_are_none():
    found = draw(torch.full((2, 100), torch.nan), torch.tensor([0.2, 0.9]), 1.0)
    assert found.logprobs_B.isnan().all()
    assert ((found.tokens_B >= 0) & (found.tokens_B < 100)).all()
