"""The last layer of any reward model: its features times its weights are the score."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

import tiny_models
from palate.core.errors import ModelError
from palate.models import last_layer, load, scoring
from palate.models.ensemble import RewardEnsemble
from palate.models.heads import PooledRewardModel
from palate.models.tokenizers import pad_id_of


def rewards(folder, kind):
    tiny_models.make(folder, family="gpt2" if kind == "gpt2" else "llama")
    loaded = load.load_causal(folder)
    if kind == "pooled":
        torch.manual_seed(0)
        model = PooledRewardModel.on(loaded.model, hidden=16).eval()
        torch.nn.init.normal_(model.head[-1].weight)
        model.score_mean.fill_(1.5)
        model.score_scale.fill_(2.5)
        return model, loaded.tokenizer
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(folder, num_labels=1, pad_token_id=pad_id_of(loaded.tokenizer))
    return AutoModelForSequenceClassification.from_config(config).eval(), loaded.tokenizer


@pytest.mark.parametrize("kind", ["llama", "gpt2", "pooled"])
def test_features_times_weights_are_scores_but_for_a_constant(tmp_path, kind):
    model, tokenizer = rewards(tmp_path / "m", kind)
    prompts = [[7, 8, 9], [7, 8, 9], [11, 12], [13]]
    completions = [[20, 21], [22, 23, 24, 25], [26], [27, 28]]
    x_BD = last_layer.last_features(model, prompts, completions, pad_id=pad_id_of(tokenizer), rows=2)
    told_B = x_BD @ last_layer.last_weights(model)
    scores_B = scoring.scores(model, prompts, completions, pad_id=pad_id_of(tokenizer))
    assert torch.allclose(told_B - told_B[0], scores_B - scores_B[0], atol=1e-5)
    assert float((scores_B - scores_B[0]).abs().max()) > 1e-3


def test_an_ensemble_has_no_one_last_layer():
    with pytest.raises(ModelError, match="member"):
        last_layer.last_weights(RewardEnsemble.__new__(RewardEnsemble))


def test_a_head_that_is_not_linear_is_named():
    with pytest.raises(ModelError, match="Sequential"):
        last_layer.last_weights(torch.nn.Sequential(torch.nn.ReLU()))
