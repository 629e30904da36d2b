"""The reward model: from preferences to one number for any completion.

reads   a causal model folder; preferences
writes  a `reward` artefact: `AutoModelForSequenceClassification(num_labels=1)`, or with
        `--head pooled` a small head on the frozen model, for models too small to be fine-tuned
run     palate train reward --model DIR --data PREFERENCES
expect  loss begins at ln 2 = 0.693; held-out accuracy above the "longer wins" baseline

Source: Bradley and Terry 1952; Ouyang et al. 2022, arXiv:2203.02155, eq. 1; all pairs of a prompt
stand in one batch (ibid., section 3.5). Soft labels: the cross-entropy with the believed p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from palate.core.artefacts import Workspace, identify
from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Preference
from palate.functional.pairwise import bradley_terry_accuracy, bradley_terry_loss
from palate.models import load, scoring
from palate.models.batch import by_length, pad
from palate.models.heads import PooledRewardModel
from palate.training.pairs import Heldout, Pair, decided, encode, encode_some, identity, judge_heldout
from palate.training.run import (
    Run,
    linear_schedule,
    longest_row,
    open_run,
    optimizer_step,
    refuse_unless_positive,
    set_learning_rate,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardConfig:
    """Settings of a reward model."""

    head: str = "classification"
    """`classification` fine-tunes everything; `pooled` trains a small head on the frozen model."""
    conditional: bool = True
    """With `pooled`: whether the head sees a code of the prompt."""
    hidden: int = 64
    """With `pooled`: width of the head."""
    dropout: float = 0.2
    """With `pooled`: share of the head's units that are dropped while it learns."""
    epochs: int = 1
    """How often each preference is seen. More than one overfits a large model quickly."""
    batch_prompts: int = 8
    """Prompts in an optimiser step, each with all of its preferences."""
    learning_rate: float = 1e-5
    """Peak, AdamW. 1e-5 suits fine-tuning a large model; `pooled` wants 2e-3."""
    weight_decay: float = 0.01
    """Of AdamW."""
    warmup_steps: int = 10
    """Steps until the peak."""
    max_tokens: int = 1024
    """Longest prompt and completion together, at most the model's context; longer preferences are left out
    and counted."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    seed: int = 0
    """Of the head and the order."""

    def __post_init__(self) -> None:
        if self.head not in ("classification", "pooled"):
            raise ConfigError("there is no such head", expected="classification or pooled", found=self.head)
        refuse_unless_positive(self, "epochs", "batch_prompts", "learning_rate", "max_tokens")


def train(
    config: RewardConfig,
    model: Path | str,
    preferences: Sequence[Preference],
    workspace: Workspace,
    *,
    heldout: Sequence[Preference] = (),
    data_id: str = "",
    progress: Progress = SILENT,
) -> Path:
    """Train a reward model.

    Args:
        config: Settings.
        model: Folder of the causal model to start from, usually the SFT model.
        preferences: What to learn from.
        workspace: Where the artefact goes.
        heldout: Preferences on other prompts, for the accuracy; `heldout.jsonl` in the run's folder says what
            became of each.
        data_id: Artefact id of the data, for the manifest; computed when empty.
        progress: Who listens.

    Returns:
        The folder of the `reward` artefact. Scores have variance 1 on the training completions.

    Raises:
        DataError: there is nothing to learn from.
        ModelError: the folder holds no usable causal model.
    """
    data_id = data_id or identity(preferences)
    run = open_run(workspace, "reward", "train reward", config, {"model": identify(model), "data": data_id}, progress)
    if run.done:
        return run.done
    policy, tokenizer = load.load_causal(model)
    limit = longest_row(policy, config.max_tokens)
    pairs = encode_some(tokenizer, preferences, limit)
    fit = _fit_pooled if config.head == "pooled" else _fit_classification
    reward = fit(config, model, policy, tokenizer, pairs.rows, run).eval()
    found = accuracy(reward, tokenizer, heldout, limit, run.folder)
    folder = run.finish(lambda path: load.save(path, reward, tokenizer), pairs.counts | found.facts)
    progress.finish(f"learned from {pairs.sentence}{found.sentence}")
    return folder


def accuracy(
    reward: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    heldout: Sequence[Preference],
    max_tokens: int,
    folder: Path,
) -> Heldout:
    """How a reward model does on held-out preferences; those that are too long are left out here too."""
    pairs = decided(encode(tokenizer, heldout, max_tokens).rows)
    chosen, rejected = (
        scoring.scores(reward, [p.prompt for p in pairs], sides, pad_id=tokenizer.pad_token_id)
        for sides in ([p.chosen for p in pairs], [p.rejected for p in pairs])
    )
    return judge_heldout(folder, pairs, chosen - rejected)


def _by_prompt(pairs: Sequence[Pair], config: RewardConfig) -> list[list[list[int]]]:
    """For each epoch, batches of pair indices; all pairs of a prompt stand in one batch."""
    groups: dict[str, list[int]] = {}
    for index, pair in enumerate(pairs):
        groups.setdefault(pair.prompt_id, []).append(index)
    prompts = list(groups.values())
    epochs = []
    for epoch in range(config.epochs):
        generator = torch.Generator().manual_seed(derive_seed(config.seed, "order", epoch))
        order = torch.randperm(len(prompts), generator=generator).tolist()
        epochs.append(
            [
                [index for position in order[begin : begin + config.batch_prompts] for index in prompts[position]]
                for begin in range(0, len(order), config.batch_prompts)
            ]
        )
    return epochs


def _fit_classification(
    config: RewardConfig,
    folder: Path | str,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    run: Run,
) -> PreTrainedModel:
    """Fine-tune the whole model with a scalar head at the last token."""
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(config.seed, "head"))
        reward = load.load_scalar(folder)
        # Small first scores, so that the loss begins at ln 2 (hidden states have a norm of sqrt(d)).
        torch.nn.init.normal_(reward.score.weight, std=1 / (reward.config.hidden_size + 1))
    reward.config.pad_token_id = tokenizer.pad_token_id
    parameters = [p for p in reward.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=config.weight_decay
    )
    epochs = _by_prompt(pairs, config)
    total = sum(map(len, epochs))
    run.progress.start("reward model", total)
    for step, batch in enumerate(batch for epoch in epochs for batch in epoch):
        set_learning_rate(
            optimizer,
            config.learning_rate * linear_schedule(step, total, warmup=config.warmup_steps, decay_from=0.3),
        )
        weight = sum(pairs[i].weight for i in batch)
        loss_sum, right = 0.0, 0.0
        for part in by_length([pairs[i].tokens for i in batch], rows=4):
            chosen_pairs = [pairs[batch[i]] for i in part]
            margins, p_chosen, weights = _margins(reward, tokenizer, chosen_pairs)
            loss = bradley_terry_loss(margins, p_chosen, weights, denominator=weight)
            loss.backward()
            loss_sum += loss.item()
            right += float(bradley_terry_accuracy(margins.detach(), p_chosen)) * len(part)
        norm = optimizer_step(optimizer, parameters, max_norm=config.max_grad_norm)
        run.log(step + 1, {"loss": loss_sum, "accuracy": right / len(batch), "gradient_norm": norm})
    _unit_variance(reward, tokenizer, pairs)
    return reward


def _margins(
    reward: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair]
) -> tuple[Tensor, Tensor, Tensor]:
    """Chosen and rejected in one forward pass, so that both meet the same padding."""
    prompts = [p.prompt for p in pairs]
    batch = pad(
        [*prompts, *prompts],
        [*(p.chosen for p in pairs), *(p.rejected for p in pairs)],
        pad_id=tokenizer.pad_token_id,
    )
    chosen, rejected = scoring.score_batch(reward, batch).chunk(2)
    return (
        chosen - rejected,
        torch.tensor([p.p_chosen for p in pairs]),
        torch.tensor([p.weight for p in pairs]),
    )


def _unit_variance(reward: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair]) -> None:
    """Scale the linear head, so that one KL coefficient means the same for every reward model."""
    some = pairs[:256]
    scores = scoring.scores(
        reward,
        [p.prompt for p in some] * 2,
        [p.chosen for p in some] + [p.rejected for p in some],
        pad_id=tokenizer.pad_token_id,
    )
    spread = float(scores.std())
    if spread > 1e-6:
        with torch.no_grad():
            reward.score.weight /= spread


def _fit_pooled(
    config: RewardConfig,
    folder: Path | str,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    run: Run,
) -> PreTrainedModel:
    """Train a head on features that the frozen model gives once, each completion encoded once."""
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(config.seed, "head"))
        reward = PooledRewardModel.on(
            policy, hidden=config.hidden, conditional=config.conditional, dropout=config.dropout
        )
        rows = _Encoded(reward, tokenizer, pairs)
        parameters = list(reward.head.parameters())
        optimizer = torch.optim.AdamW(
            parameters, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=config.weight_decay
        )
        epochs = _by_prompt(pairs, config)
        total = sum(map(len, epochs))
        run.progress.start("reward model", total)
        reward.head.train()
        for step, batch in enumerate(batch for epoch in epochs for batch in epoch):
            set_learning_rate(
                optimizer,
                config.learning_rate * linear_schedule(step, total, warmup=config.warmup_steps, decay_from=0.0),
            )
            margins = rows.margins(batch)
            p_chosen = torch.tensor([pairs[i].p_chosen for i in batch])
            weights = torch.tensor([pairs[i].weight for i in batch])
            loss = bradley_terry_loss(margins, p_chosen, weights)
            loss.backward()
            norm = optimizer_step(optimizer, parameters, max_norm=config.max_grad_norm)
            right = float(bradley_terry_accuracy(margins.detach(), p_chosen))
            run.log(step + 1, {"loss": loss.item(), "accuracy": right, "gradient_norm": norm})
        reward.eval()
        rows.standardise()
    return reward


class _Encoded:
    """Token features of every distinct completion, computed once."""

    def __init__(self, reward: PooledRewardModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair]) -> None:
        self.reward = reward
        index: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
        self.sides: list[tuple[int, int]] = []
        for pair in pairs:
            prompt = tuple(pair.prompt)
            keys = ((prompt, tuple(pair.chosen)), (prompt, tuple(pair.rejected)))
            first, second = (index.setdefault(key, len(index)) for key in keys)
            self.sides.append((first, second))
        rows = list(index)
        self.features: list[Tensor] = [torch.empty(0)] * len(rows)
        self.prompts = torch.empty(len(rows), reward.trunk.config.hidden_size)
        for group in by_length([len(p) + len(c) for p, c in rows], rows=64):
            batch = pad([rows[i][0] for i in group], [rows[i][1] for i in group], pad_id=tokenizer.pad_token_id)
            features, ends, _, _ = reward.features(batch.tokens_BL, batch.mask_completion_BL)
            for row, i in enumerate(group):
                self.features[i] = features[row, batch.mask_completion_BL[row, 1:]].clone()
                self.prompts[i] = ends[row]
        self._normalise()

    def _normalise(self) -> None:
        everything = torch.cat(self.features)
        self.reward.feature_mean.copy_(everything.mean(dim=0))
        self.reward.feature_scale.copy_(everything.std(dim=0).clamp(min=1e-3))
        centred = self.prompts - self.prompts.mean(dim=0)
        _, spread, directions = torch.linalg.svd(centred, full_matrices=False)
        size = min(self.reward.config.code_size, len(spread))
        scale = (len(centred) ** 0.5) / spread[:size].clamp(min=1e-3)
        self.reward.code_mean.copy_(self.prompts.mean(dim=0))
        self.reward.code_weight[:, :size] = directions[:size].T * scale

    def raw(self, wanted: Sequence[int]) -> Tensor:
        """Scores of some completions, before centring."""
        padded = torch.nn.utils.rnn.pad_sequence([self.features[i] for i in wanted], batch_first=True)
        lengths = torch.tensor([len(self.features[i]) for i in wanted])
        mask = torch.arange(padded.shape[1])[None] < lengths[:, None]
        added = self.reward.contributions(padded, self.prompts[torch.tensor(wanted)])
        return torch.where(mask, added, 0.0).sum(dim=1)

    def margins(self, batch: Sequence[int]) -> Tensor:
        """Chosen minus rejected for some pairs; a completion in several pairs is scored once."""
        wanted = sorted({side for i in batch for side in self.sides[i]})
        place = {side: position for position, side in enumerate(wanted)}
        scores = self.raw(wanted)
        first = torch.tensor([place[self.sides[i][0]] for i in batch])
        second = torch.tensor([place[self.sides[i][1]] for i in batch])
        return scores[first] - scores[second]

    def standardise(self) -> None:
        """Mean 0 and variance 1 on these completions."""
        with torch.no_grad():
            parts = [list(range(i, min(i + 256, len(self.features)))) for i in range(0, len(self.features), 256)]
            scores = torch.cat([self.raw(part) for part in parts])
        self.reward.score_mean.copy_(scores.mean())
        self.reward.score_scale.copy_(scores.std().clamp(min=1e-6))
