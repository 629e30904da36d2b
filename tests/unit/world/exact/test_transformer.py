"""A small transformer, exactly: every sequence's probability, samples that follow it, and what pretraining leaves."""

import pytest
import torch
from torch.testing import assert_close
from transformers import PreTrainedModel

from palate.world.exact.language import all_sequences, random_language, sequence_numbers
from palate.world.exact.transformer import all_logprobs, fresh_model, pretrain, read, sample


def opinionated(length: int) -> PreTrainedModel:
    """Weights large enough that every place and every prefix tells."""
    model = fresh_model(3, width=16, length=length)
    for parameter in model.parameters():
        parameter.requires_grad_(False).mul_(4)
    return model


def test_every_sequence_against_brute_force():
    """One pass over all 4⁵ sequences, against the walk down the tree."""
    model, tokens = opinionated(5), all_sequences(4, 5)
    found = all_logprobs(model, length=5)
    assert found.dtype == torch.float64
    assert_close(found, read(model, tokens).double().sum(-1), atol=1e-4, rtol=1e-5)
    assert abs(found.logsumexp(-1)) < 1e-12
    assert found.max() - found.min() > 3, "far from uniform, or a wrong order would pass"


def test_the_first_letter_hangs_on_nothing_and_the_last_on_all():
    model = opinionated(4)
    tokens = torch.tensor([[0, 1, 2, 3], [0, 3, 2, 3], [1, 1, 2, 3]])
    first, other, third = read(model, tokens)
    assert first[0] == other[0]
    assert first[1] != other[1]
    assert (first[3] - other[3]).abs() > 1e-3
    assert (first[3] - third[3]).abs() > 1e-3


def test_samples_follow_the_exact_probabilities():
    """χ² of 100,000 samples in 64 cells, 63 degrees of freedom: above 142 by chance with 5 of 100 million seeds."""
    model, count = opinionated(3), 100_000
    expected = all_logprobs(model, length=3).exp() * count
    samples = sample(model, count, torch.Generator().manual_seed(0), length=3)
    found = sequence_numbers(samples.tokens_BT).bincount(minlength=64)
    assert expected.min() > 5, "the approximation needs it"
    assert ((found - expected).square() / expected).sum() < 142


def test_the_sampler_and_the_trainer_agree():
    model = opinionated(6)
    samples = sample(model, 300, torch.Generator().manual_seed(1), length=6)
    assert_close(samples.logprobs_BT, read(model, samples.tokens_BT), atol=1e-4, rtol=1e-5)
    again = sample(model, 300, torch.Generator().manual_seed(1), length=6)
    assert torch.equal(samples.tokens_BT, again.tokens_BT)


@pytest.mark.parametrize("seed", [0, 1])
def test_pretraining_finds_the_language(seed: int):
    """It begins near uniform, some tenths of a nat off, and 60 small steps take nine tenths of that away."""
    language = random_language(seed, length=5)
    model = fresh_model(seed, length=5)
    before = all_logprobs(model, length=5)
    pretrain(model, language.ref_logprobs_K, language.tokens_KT, seed, steps=60, batch=256)
    after = all_logprobs(model, length=5)
    far, near = language.kl_nats(before), language.kl_nats(after)
    assert far > 0.5
    assert 0 < near < far / 10
