"""Log-probabilities of tokens and completions; entropies."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from palate.functional import logprobs as module
from palate.functional.logprobs import entropy, sequence_logprobs, token_logprobs

LOG2 = math.log(2)


def random_case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(3, 5, 7, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 7, (3, 5), generator=generator)


def test_hand_case():
    # weights 1 : 2 : 1, so probabilities ¼, ½, ¼; entropy ¼·2 log 2 + ½·log 2 + ¼·2 log 2 = 1.5 log 2
    logits = tensor([[[0.0, LOG2, 0.0], [0.0, LOG2, 0.0]]], dtype=torch.float64)
    expected = tensor([[-LOG2, -2 * LOG2]], dtype=torch.float64)
    assert_close(token_logprobs(logits, tensor([[1, 2]])), expected)
    assert_close(entropy(logits), tensor([[1.5 * LOG2, 1.5 * LOG2]], dtype=torch.float64))
    mask = tensor([[True, False]])
    assert_close(sequence_logprobs(expected, mask), tensor([-LOG2], dtype=torch.float64))


def test_uniform_and_certain():
    uniform = torch.full((1, 4, 8), 3.0)
    assert_close(token_logprobs(uniform, tensor([[0, 3, 5, 7]])), torch.full((1, 4), -math.log(8)))
    assert_close(entropy(uniform), torch.full((1, 4), math.log(8)))
    certain = tensor([[[0.0, -math.inf, -math.inf]]])
    assert token_logprobs(certain, tensor([[0]])) == 0
    assert token_logprobs(certain, tensor([[1]])) == -math.inf
    assert entropy(certain) == 0


def test_probabilities_of_all_complete_sequences_sum_to_one():
    # A tabular model over {a, b, end}; completions end with `end` or are cut at 3 tokens. The end token is a
    # token: without its log-probability the sum would be above 1.
    end, length = 2, 3
    logits = torch.randn(length, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    total = 0.0
    for tokens in itertools.product(range(3), repeat=length):
        stop = tokens.index(end) if end in tokens else length - 1
        if any(token != 0 for token in tokens[stop + 1 :]):
            continue  # one spelling for each completion: padding is 0
        mask = torch.arange(length)[None] <= stop
        logprobs = token_logprobs(logits[None], tensor([tokens]))
        total += sequence_logprobs(logprobs, mask).exp().item()
    assert abs(total - 1) < 1e-12


def test_nan_stays_where_it_is():
    logits, tokens = random_case()
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[1, 2:] = False
    clean = sequence_logprobs(token_logprobs(logits, tokens), mask)
    dirty = logits.clone()
    dirty[1, 2:] = math.nan
    dirty.requires_grad_()
    values = sequence_logprobs(token_logprobs(dirty, tokens), mask)
    assert torch.equal(values, clean)
    (gradient,) = torch.autograd.grad(values.sum(), dirty)
    assert (gradient[1, 2:] == 0).all()
    assert gradient.isfinite().all()
    assert entropy(dirty).isnan().equal(~mask)


@given(st.integers(0, 2**16), st.floats(-1e3, 1e3))
@settings(max_examples=30)
def test_shift_and_relabelling_change_nothing(seed: int, shift: float):
    logits, tokens = random_case(seed)
    expected = token_logprobs(logits, tokens)
    assert_close(token_logprobs(logits + shift, tokens), expected, atol=1e-9, rtol=0)
    assert_close(entropy(logits + shift), entropy(logits), atol=1e-9, rtol=0)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(seed))
    assert_close(token_logprobs(logits[..., order], order.argsort()[tokens]), expected)
    assert (expected <= 0).all()
    assert (entropy(logits) >= 0).all()
    assert (entropy(logits) <= math.log(7) + 1e-12).all()


def test_hotter_is_more_uncertain():
    logits, _ = random_case()
    entropies = torch.stack([entropy(logits / temperature) for temperature in (0.3, 0.7, 1.0, 2.0, 10.0)])
    assert (entropies.diff(dim=0) > 0).all()


@pytest.mark.parametrize("block", [16, 2**20])
@pytest.mark.parametrize("part", [slice(None), slice(1, -1)], ids=["whole", "slice"])
def test_gradient(monkeypatch: pytest.MonkeyPatch, block: int, part: slice):
    monkeypatch.setattr(module, "_BLOCK_NUMBERS", block)
    logits, tokens = (x[:2] for x in random_case())
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: token_logprobs(z[:, part], tokens[:, part]), (logits,))


def test_gradient_of_the_rest():
    logits, _ = random_case()
    assert torch.autograd.gradcheck(entropy, (logits.requires_grad_(),))
    mask = torch.rand(3, 5, generator=torch.Generator().manual_seed(1)) < 0.5
    logprobs = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: sequence_logprobs(x, mask), (logprobs,))


@pytest.mark.parametrize("block", [1, 16, 2**20])
def test_slow_reference(monkeypatch: pytest.MonkeyPatch, block: int):
    monkeypatch.setattr(module, "_BLOCK_NUMBERS", block)
    logits, tokens = random_case()
    for row, position in itertools.product(range(3), range(5)):
        weights = [math.exp(z) for z in logits[row, position].tolist()]
        probabilities = [w / sum(weights) for w in weights]
        assert_close(
            token_logprobs(logits, tokens)[row, position].item(),
            math.log(probabilities[tokens[row, position]]),
        )
        assert_close(entropy(logits)[row, position].item(), -sum(p * math.log(p) for p in probabilities))


def test_shapes():
    logits, tokens = random_case()
    whole = token_logprobs(logits, tokens)
    assert torch.equal(token_logprobs(logits.flatten(0, 1), tokens.flatten()), whole.flatten())
    assert torch.equal(token_logprobs(logits[1, 2], tokens[1, 2]), whole[1, 2])
    assert torch.equal(token_logprobs(logits[:, 1:-1], tokens[:, 1:-1]), whole[:, 1:-1])
    assert torch.equal(token_logprobs(logits.transpose(0, 1), tokens.T), whole.T)
    assert token_logprobs(logits[:0], tokens[:0]).shape == (0, 5)
    along = logits[:, :, 0]
    assert not along[0, ::2].is_contiguous()
    assert_close(token_logprobs(along[0, ::2], tensor(1)), along[0, ::2].log_softmax(-1)[1])


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32])
def test_token_ids_of_any_width(dtype: torch.dtype):
    logits, tokens = random_case()
    logits.requires_grad_()
    narrow, wide = token_logprobs(logits, tokens.to(dtype)), token_logprobs(logits, tokens)
    assert torch.equal(narrow, wide)
    gradients = [torch.autograd.grad(x.sum(), logits)[0] for x in (narrow, wide)]
    assert torch.equal(*gradients)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_float32(dtype: torch.dtype):
    logits, tokens = random_case()
    half = logits.to(dtype).requires_grad_()
    wide = half.detach().float().requires_grad_()
    assert token_logprobs(half, tokens).dtype == torch.float32
    assert torch.equal(token_logprobs(half, tokens), token_logprobs(wide, tokens))
    assert torch.equal(entropy(half), entropy(wide))
    (gradient,) = torch.autograd.grad(token_logprobs(half, tokens).sum(), half)
    (wide_gradient,) = torch.autograd.grad(token_logprobs(wide, tokens).sum(), wide)
    assert torch.equal(gradient, wide_gradient.to(dtype))


def test_large_logits_do_not_overflow():
    logits = tensor([[[1e4, -1e4, 0.0]]])
    assert_close(token_logprobs(logits, tensor([[1]])), tensor([[-2e4]]))
    assert entropy(logits) == 0
