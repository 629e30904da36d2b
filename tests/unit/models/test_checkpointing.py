"""Layers that are computed twice keep less, and give the same gradients, whoever they belong to."""

import pytest
import torch
from torch.testing import assert_close

from palate.core.errors import ConfigError
from palate.models import load, sampling
from palate.models.adapters import Hat, Lora, SharedBase
from palate.models.checkpointing import checkpoint_layers
from palate.world.trials import setting as small


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def base(request, tmp_path_factory):
    return small.make(tmp_path_factory.mktemp(request.param), family=request.param).base


def kept(model, ids):
    """Gradients of a loss, and how many numbers the pass kept for the way back."""
    count = 0

    def pack(tensor):
        nonlocal count
        count += 0 if isinstance(tensor, torch.nn.Parameter) else tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    return [p.grad for p in model.parameters() if p.grad is not None], count


def test_the_same_gradients_from_less(base):
    ids = torch.randint(6, 100, (4, 24), generator=torch.Generator().manual_seed(0))
    plain, light = load.load_causal(base).model, load.load_causal(base).model
    checkpoint_layers(light)
    (expected, all_of_it), (found, part) = kept(plain, ids), kept(light, ids)
    assert_close(found, expected)
    assert part < all_of_it / 2


def test_sampling_is_left_alone(base):
    plain, light = load.load_causal(base).model, load.load_causal(base).model
    checkpoint_layers(light)
    with torch.enable_grad():
        light(input_ids=torch.tensor([[3, 4, 5]]), use_cache=False)
    settings = {"eos_id": 1, "max_new_tokens": 12, "seed": 3}
    found = [sampling.sample(model, [[3, 4, 5], [7]], **settings) for model in (plain, light)]
    assert [row.tokens for row in found[0]] == [row.tokens for row in found[1]]


def test_on_the_way_back_each_hat_is_on_again(base):
    """Two hats of one base go forward before either goes back: each must be computed again with its own adapter."""

    def gradients(*, light):
        shared = SharedBase(load.load_causal(base).model, "base", base)
        if light:
            checkpoint_layers(shared.model, shared.as_now)
        hats = []
        for seed, name in enumerate(("one", "other")):
            shared.add(name, Lora(4, 8, "all-linear"), seed=seed)
            hats.append(Hat(shared, name))
        with torch.no_grad():
            for name, weight in shared.model.named_parameters():
                if "lora_B" in name:
                    weight.normal_(generator=torch.Generator().manual_seed(len(name)))
        ids = torch.randint(6, 100, (2, 9), generator=torch.Generator().manual_seed(0))
        losses = [hat(input_ids=ids, use_cache=False).logits.logsumexp(-1).sum() for hat in hats]
        sum(losses).backward()
        return {name: p.grad for name, p in shared.model.named_parameters() if p.grad is not None}

    expected, found = gradients(light=False), gradients(light=True)
    assert any("one" in name for name in expected)
    assert any("other" in name for name in expected)
    assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_model_without_such_layers_is_refused():
    class Own(torch.nn.Module):
        pass

    with pytest.raises(ConfigError, match="--gradient-checkpointing cannot be used"):
        checkpoint_layers(Own())
