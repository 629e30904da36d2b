"""A reward head that reads every token: small, frozen below, and enough for tiny models.

A fine-tuned scalar head learns little from a few thousand noisy comparisons when its model has
less than a million parameters. What such a model does know is how surprised it is. So this head
sees, for each completion token, the hidden states of all layers and the token's log-probability
under the frozen trunk; a small network turns them into a contribution, and the score is the sum.

Shapes: B sequences, L tokens, D features.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from palate.functional.logprobs import token_logprobs

_SURPRISES = (-2.0, -4.0)
"""Log-probs in nats below which a token counts as surprising, and as very surprising."""


class PooledRewardConfig(PretrainedConfig):  # type: ignore[misc]
    """Settings of a `PooledRewardModel`."""

    model_type = "palate_pooled_reward"

    def __init__(
        self,
        trunk: dict[str, Any] | None = None,
        hidden: int = 64,
        code_size: int = 8,
        conditional: bool = True,
        dropout: float = 0.2,
        **kwargs: Any,
    ) -> None:
        self.trunk = trunk or {}
        self.hidden = hidden
        self.code_size = code_size
        self.conditional = conditional
        self.dropout = dropout
        super().__init__(**kwargs)


class Scored(NamedTuple):
    """What one pass of the frozen trunk gives."""

    scores_B: Float[Tensor, " B"]
    logprobs_BL: Float[Tensor, "B L-1"]
    """Of each token but the first, under the trunk."""
    hidden_BLD: Float[Tensor, "B L-1 D"]
    """The trunk's last hidden state before each token but the first."""


class PooledRewardModel(PreTrainedModel):  # type: ignore[misc]
    """A scalar for a whole completion: the sum of what each of its tokens contributes.

    With `conditional`, each token also sees a short code of the prompt; without, the head knows
    the prompt only through the hidden states, and is easily gamed.
    """

    config_class = PooledRewardConfig
    base_model_prefix = "trunk"
    _tied_weights_keys = None

    def __init__(self, config: PooledRewardConfig) -> None:
        super().__init__(config)
        trunk = dict(config.trunk)
        self.trunk = AutoModelForCausalLM.from_config(AutoConfig.for_model(trunk.pop("model_type"), **trunk))
        width, layers = self.trunk.config.hidden_size, self.trunk.config.num_hidden_layers
        size = width * (layers + 1) + 1 + len(_SURPRISES)
        self.register_buffer("feature_mean", torch.zeros(size))
        self.register_buffer("feature_scale", torch.ones(size))
        self.register_buffer("code_mean", torch.zeros(width))
        self.register_buffer("code_weight", torch.zeros(width, config.code_size))
        self.register_buffer("score_mean", torch.zeros(()))
        self.register_buffer("score_scale", torch.ones(()))
        self.head = nn.Sequential(
            nn.Linear(size + config.code_size * config.conditional, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, 1, bias=False),
        )
        self.post_init()

    @classmethod
    def on(cls, trunk: PreTrainedModel, **settings: Any) -> PooledRewardModel:
        """A fresh head on a copy of a trained causal model, which it keeps frozen."""
        model = cls(
            PooledRewardConfig(trunk=trunk.config.to_diff_dict() | {"model_type": trunk.config.model_type}, **settings)
        )
        model.trunk.load_state_dict(trunk.state_dict())
        model.trunk.requires_grad_(False)
        nn.init.zeros_(model.head[-1].weight)  # type: ignore[arg-type]
        return model

    def features(
        self, input_ids: Int[Tensor, "B L"], mask_completion: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B L-1 D"], Float[Tensor, "B D"], Tensor, Tensor]:
        """`(token features, prompt features, log-probs, last hidden states)` of the frozen trunk."""
        with torch.no_grad():
            output = self.trunk(input_ids=input_ids, use_cache=False, output_hidden_states=True)
            logprobs = token_logprobs(output.logits[:, :-1], input_ids[:, 1:])
            states = torch.cat([state[:, 1:] for state in output.hidden_states], dim=-1)
            surprise = torch.stack([logprobs / 3, *((logprobs < cut).float() for cut in _SURPRISES)], dim=-1)
            last = output.hidden_states[-1]
            prompt_end = mask_completion.int().argmax(dim=1) - 1
            prompt = last[torch.arange(len(last)), prompt_end.clamp(min=0)]
        return torch.cat([states, surprise], dim=-1), prompt, logprobs, last[:, :-1]

    def contributions(self, features: Float[Tensor, "B T D"], prompt: Float[Tensor, "B W"]) -> Float[Tensor, "B T"]:
        """What each token adds, before the score is centred and scaled."""
        codes = self.codes(prompt)[:, None].expand(-1, features.shape[1], -1)
        return self.added((features - self.feature_mean) / self.feature_scale, codes)

    def codes(self, prompt: Float[Tensor, "B W"]) -> Float[Tensor, "B C"]:
        """The short code of each prompt."""
        return (prompt - self.code_mean) @ self.code_weight  # type: ignore[no-any-return]

    def added(self, normal: Float[Tensor, "*N D"], codes: Float[Tensor, "*N C"]) -> Float[Tensor, "*N"]:
        """What each token adds, from features of mean 0 and variance 1, and the code of its prompt."""
        return self.head(self._seen(normal, codes))[..., 0]  # type: ignore[no-any-return]

    def _seen(self, normal: Tensor, codes: Tensor) -> Tensor:
        """What the head's first layer reads."""
        return torch.cat([normal, codes], dim=-1) if self.config.conditional else normal

    def last_layer(self, input_ids: Int[Tensor, "B L"], mask_completion: Bool[Tensor, "B L"]) -> Float[Tensor, "B D"]:
        """What the last layer reads, summed over the completion: times its weights, a score before it is centred."""
        features, prompt, _, _ = self.features(input_ids, mask_completion)
        codes = self.codes(prompt)[:, None].expand(-1, features.shape[1], -1)
        hidden = self.head[:-1](self._seen((features - self.feature_mean) / self.feature_scale, codes))
        return torch.where(mask_completion[:, 1:, None], hidden, 0.0).sum(dim=1) / self.score_scale  # type: ignore[no-any-return]

    def score(self, input_ids: Int[Tensor, "B L"], mask_completion: Bool[Tensor, "B L"]) -> Scored:
        """Scores, and what else the same pass of the trunk knows."""
        features, prompt, logprobs, last = self.features(input_ids, mask_completion)
        raw = self.contributions(features, prompt)
        total = torch.where(mask_completion[:, 1:], raw, 0.0).sum(dim=1)
        return Scored((total - self.score_mean) / self.score_scale, logprobs, last)

    def forward(self, input_ids: Tensor, mask_completion: Tensor) -> Tensor:
        """Scores of shape B: mean 0 and variance 1 on the completions that it was trained on."""
        return self.score(input_ids, mask_completion).scores_B


AutoConfig.register(PooledRewardConfig.model_type, PooledRewardConfig)
