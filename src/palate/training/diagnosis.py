"""Diagnosis instead of mystery: what must hold on the first batch, and what is off later, in words.

Before anything is learned the policy is the reference (KL = 0), and the trainer gives every token the log-prob
that the sampler gave it (ratio = 1). Where that fails, the likely cause is tried out and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from palate.core.errors import TrainingError
from palate.core.progress import Progress
from palate.models.layout import lay, logprobs
from palate.models.tokenizers import pad_id_of
from palate.training.cast import Cast
from palate.training.parallel_weights import full
from palate.training.rl_settings import RolloutConfig
from palate.training.rollouts import Rollouts

TOLERANCE_NATS = 1e-4
"""A token's log-prob may differ by so much between two ways to compute it in float32."""
HALF_TOLERANCE_NATS = 0.5
"""In half precision a single token may; more is no rounding."""


def prove_first_batch(cast: Cast, rollouts: Rollouts, config: RolloutConfig, *, is_reference: bool) -> dict[str, float]:
    """Hold the first batch to ratio = 1, and to KL = 0 if the policy begins as the reference.

    Raises:
        TrainingError: it fails; the likely cause is named.
    """
    rows = [row for row, there in enumerate(rollouts.mask_BT.any(dim=1)) if there][:8]
    ours = _trainer_logprobs(cast, rollouts, rows, config.temperature, config.layout, config)
    theirs = rollouts.logprobs_BT[rows, : ours.shape[1]]
    mask = rollouts.mask_BT[rows, : ours.shape[1]]
    gap = max(float((ours - theirs).abs()[mask].max()), rollouts.sampler_gap_nats)
    limit = TOLERANCE_NATS if config.dtype == "float32" else HALF_TOLERANCE_NATS
    if gap > limit:
        raise TrainingError(
            "the trainer does not agree with the sampler on the first batch",
            expected=f"the same log-probs within {limit:g} nats a token, so that new / old probability = 1",
            found=f"off by {gap:.2e} nats",
            hint=_likely_cause(cast, rollouts, rows, config),
        )
    facts = {"sampler/trainer_max_nats": gap}
    if is_reference:
        apart = float((rollouts.logprobs_BT - rollouts.ref_logprobs_BT).abs()[rollouts.mask_BT].max())
        if apart > limit:
            raise TrainingError(
                "policy and reference differ before the first step",
                expected=f"KL = 0 within {limit:g} nats a token",
                found=f"{apart:.2e} nats",
                hint=_why_apart(cast),
            )
        facts["kl/first_batch_max_nats"] = apart
    return facts


def _trainer_logprobs(
    cast: Cast, rollouts: Rollouts, rows: list[int], temperature: float, layout: str, config: RolloutConfig
) -> Tensor:
    laid = lay(
        [rollouts.prompts[i] for i in rows],
        [rollouts.completions[i] for i in rows],
        pad_id=pad_id_of(cast.tokenizer),
        layout=layout,
        device=cast.device,
    )
    with torch.no_grad(), config.arithmetic(cast.device):
        return logprobs(cast.policy, laid, temperature=temperature).float().cpu()


def _likely_cause(cast: Cast, rollouts: Rollouts, rows: list[int], config: RolloutConfig) -> str:
    """Try what usually is to blame, one after the other, until both agree."""

    def gap(temperature: float = config.temperature, layout: str = config.layout) -> float:
        worst = 0.0
        for row in rows:  # alone: without any padding
            ours = _trainer_logprobs(cast, rollouts, [row], temperature, layout, config)[0]
            theirs = rollouts.logprobs_BT[row, : len(ours)]
            worst = max(worst, float((ours - theirs).abs().max()))
        return worst

    dropping = [name for name, module in _modules(cast.policy) if isinstance(module, nn.Dropout) and module.training]
    if dropping:
        return f"dropout is on in the trainer ({dropping[0]}): call eval() on the policy"
    if gap() <= TOLERANCE_NATS:
        return "alone each row agrees, so padding or packing leaks into the rows: try --layout right"
    for other in (step / 10 for step in range(1, 21)):
        if gap(temperature=other) <= 5 * TOLERANCE_NATS:
            return f"they agree at temperature {other:g}: the sampler did not sample at {config.temperature:g}"
    weights = {parameter.dtype for parameter in cast.policy.parameters()}
    if weights - {torch.float32, torch.float64}:
        return f"the policy's weights are {', '.join(map(str, weights))}: train in float32"
    kept = float(rollouts.logprobs_BT[rollouts.mask_BT].exp().mean())
    return (
        "not dropout, padding or precision; if the sampler cuts the tail (top-p, top-k) its probabilities are too "
        f"large (their mean is {kept:.2f}); or the model's cache gives other numbers than a whole pass"
    )


def _why_apart(cast: Cast) -> str:
    weights = {name: full(value) for name, value in cast.policy.named_parameters()}
    others = dict(cast.reference.named_parameters()) if cast.reference is not cast.policy else {}
    for name, value in weights.items():
        if name in others and not torch.equal(value.float(), others[name].float()):
            return f"the policy must begin as a copy of --model; {name} differs"
    return "the weights are the same: dropout or precision differs between policy and reference"


def _modules(model: Any) -> Any:
    return (model.shared.model if hasattr(model, "shared") else model).named_modules()


class Symptom(NamedTuple):
    """What is seen in a line of metrics, and what it may mean."""

    figure: str
    low: float
    """Below it, or …"""
    high: float
    """… above it, something is off."""
    lines: int
    """So many lines in a row."""
    sentence: str


SYMPTOMS = (
    Symptom("kl/policy_reference_nats", -1e9, 100, 2, "the policy is far from the reference ({:.0f} nats): whatever "
            "the score says, look at samples.jsonl, and raise --beta"),
    Symptom("kl/policy_reference_nats", -2, 1e9, 2, "the measured KL is below 0 ({:.1f} nats), which only too few "
            "samples or wrong log-probs explain"),
    Symptom("kl/old_new_nats", -1e9, 0.2, 2, "one iteration moves the policy by {:.2f} nats a token: lower "
            "--learning-rate or --epochs"),
    Symptom("clip/fraction", -1e9, 0.4, 3, "{:.0%} of the tokens are clipped: the steps are too large for one "
            "batch of samples; lower --learning-rate or --epochs"),
    Symptom("entropy/token_nats", 0.02, 1e9, 3, "the policy hardly varies any more ({:.3f} nats a token): it has "
            "collapsed onto a few answers"),
    Symptom("response/finished_fraction", 0.5, 1e9, 3, "only {:.0%} of the answers end by themselves: raise "
            "--max-new-tokens, or look whether the policy has learned to go on for ever"),
    Symptom("critic/explained_variance", -0.5, 1e9, 5, "the critic is worse than a constant (explained variance "
            "{:.2f}): lower --critic-learning-rate, or raise it if it has just begun"),
    Symptom("reward/score_std", 1e-4, 1e9, 2, "all scores are alike (spread {:.1e}): there is nothing to learn "
            "from; is the reward model trained, and on this template?"),
    Symptom("group/flat_fraction", -1e9, 0.8, 3, "in {:.0%} of the prompts all answers score alike and teach "
            "nothing: raise --temperature or --group-size, or take harder prompts"),
)  # fmt: skip


class Watch:
    """Looks at each line of metrics and says, once for each symptom, what is off. It is part of the run's state.

    Args:
        progress: Who is told.
        first_length: Of the completions, from the first line.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seen: dict[str, int] = {}
        self.first_length = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far."""
        return {"seen": dict(self.seen), "first_length": self.first_length}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """As it was."""
        self.seen, self.first_length = dict(state["seen"]), state["first_length"]

    def see(self, facts: Mapping[str, float]) -> list[str]:
        """Sentences about what has become odd with this line; they are told as well."""
        told = []
        for number, symptom in enumerate(SYMPTOMS):
            value = facts.get(symptom.figure)
            odd = value is not None and not symptom.low <= value <= symptom.high
            if self._again(str(number), odd, symptom.lines) and value is not None:
                told.append(symptom.sentence.format(value))
        length = facts.get("response/length_tokens", 0.0)
        self.first_length = self.first_length or length
        drift = self.first_length > 0 and not 1 / 3 < length / self.first_length < 3
        if self._again("length", drift, 2):
            told.append(f"answers had {self.first_length:.0f} tokens at first and have {length:.0f} now")
        for sentence in told:
            self.progress.note(sentence)
        return told

    def _again(self, name: str, odd: bool, lines: int) -> bool:
        count = self.seen.get(name, 0)
        if count >= lines:  # told already
            return False
        self.seen[name] = count + 1 if odd else 0
        return self.seen[name] == lines
