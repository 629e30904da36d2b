"""RLOO and GRPO on both sides, on the same stored completions."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from tests.parity import material, reward, theirs
from tests.parity.measure import Outcome, step
from torch import Tensor

from palate.core.records import Prompt
from palate.models import load
from palate.training import grpo, rloo
from palate.training.buffer import Buffer
from palate.training.cast import open_cast
from palate.training.checkpoint import trained
from palate.training.groups import ask, batch_of, roll_out_groups
from palate.training.order import shuffled
from palate.training.rollouts import Rollouts, prompts_that_fit
from palate.training.scores import trained_scores

GROUP, TOKENS, TEMPERATURE, BETA = 4, 4, 0.7, 0.01
RECIPES = {
    "rloo": (rloo, rloo.RLOOConfig, {"beta": BETA}),
    "grpo": (grpo, grpo.GRPOConfig, {"beta": 0.0, "loss": "dr_grpo", "clip": 0.05}),
}
SETTINGS = {
    "rloo": {"beta": BETA, "epsilon": 4.0},
    "grpo": {"beta": 0.0, "loss_type": "dr_grpo", "scale_rewards": "none", "epsilon": 0.05},
}
"""Of TRL. GRPO's clip is narrow, so that it binds; RLOO's is so wide that it does not, see `test_rollouts`."""
PROMPTS = 3
SPREAD = 0.03
"""Of the reward model's head. RLOO's number is a sum of log-probs times advantages that nearly cancel, so its
rounding grows with both: completions are short here, and scores and β small."""
CASES = ("rloo", "rloo moved", "grpo", "grpo moved")
"""`moved`: the policy has taken a step since it sampled."""


class Practised(NamedTuple):
    """What our side did, and what it did it on."""

    outcome: Outcome
    prompts: list[Prompt]
    """One a completion."""
    rollouts: Rollouts
    advantages_B: Tensor
    facts: dict[str, float]


class Compared(NamedTuple):
    """Both sides of one step."""

    ours: Practised
    theirs: Outcome
    made: Any
    """TRL's trainer."""
    inputs: dict[str, Any]
    """Its batch."""


def ours(folders: material.Folders, seed: int, name: str, *, moved: bool) -> Practised:
    """The recipe's own rollouts, advantages and step, in parts of five completions.

    Args:
        folders: The models.
        seed: Of prompts and sampling.
        name: `rloo` or `grpo`.
        moved: Whether the policy has moved since it sampled, as in a second step.
    """
    recipe, made_config, settings = RECIPES[name]
    config = made_config(
        rollouts=PROMPTS * GROUP, batch_size=PROMPTS * GROUP, group_size=GROUP, micro_batch=5, seed=seed,
        max_new_tokens=TOKENS, temperature=TEMPERATURE, missing_eos="score", **settings,
    )  # fmt: skip
    scores = reward.make(folders.reference, seed, SPREAD)
    cast = open_cast(config, folders.reference, scores, torch.device("cpu"), start=folders.policy)
    prompts, encoded, _ = prompts_that_fit(cast, material.prompts(seed, PROMPTS), TOKENS)
    asked = ask(prompts, encoded, config, 0)
    rollouts = roll_out_groups(cast, config, asked, 0)
    made, _ = recipe.estimate(rollouts, trained_scores(config, rollouts, 0.0), asked.groups_B, config, config.beta)
    buffer = Buffer()
    buffer.fill(rollouts, made, {})
    if moved:
        cast.policy.load_state_dict(load.load_causal(folders.later).model.state_dict())
    parameters = trained(cast.policy)
    optimizer = torch.optim.Adam(parameters.values(), lr=0.0)
    rows = batch_of(shuffled(PROMPTS, seed, 0, 0), 0, config)
    facts = recipe._step(cast, parameters, optimizer, buffer, rows, config, config.beta)
    found = Outcome(facts["loss/policy"], facts["gradient_norm"])
    return Practised(found, asked.prompts, rollouts, made["advantages_B"], facts)


def trainer(
    folders: material.Folders, name: str, practised: Practised, *, positions: bool = True
) -> tuple[Any, dict[str, Any]]:
    """TRL's, and its batch made from our completions and scores by its own code: it samples nothing.

    Its reference is loaded after it was made: left alone it takes the folder that the policy came from.

    Args:
        folders: The models.
        name: `rloo` or `grpo`.
        practised: Our side.
        positions: Whether a GPT-2 is told where its tokens stand, see `test_rollouts`.
    """
    policy, tokenizer = load.load_causal(folders.policy)
    settings = {
        "num_generations": GROUP,
        "max_completion_length": TOKENS,
        "temperature": TEMPERATURE,
        "per_device_train_batch_size": PROMPTS * GROUP,
        "num_iterations": 2,  # so that GRPO, too, remembers the log-probs of what sampled
    }
    settings |= SETTINGS[name]
    given = [{"prompt": prompt.as_dicts()} for prompt in practised.prompts]
    rollouts = practised.rollouts
    made = theirs.trainer(
        name.upper(), folders.policy.parent / "trl", policy, given, settings,
        reward_funcs=lambda **_: rollouts.scores_B.tolist(), processing_class=tokenizer,
    )  # fmt: skip
    if name == "rloo":
        made.ref_model.load_state_dict(load.load_causal(folders.reference).model.state_dict())
    stored = [list(ids) for ids in rollouts.completions]
    if policy.config.model_type == "gpt2" and positions:
        with_positions(made)
    made._generate_single_turn = lambda *_: stored if name == "rloo" else (stored, None)
    return made, made._generate_and_score_completions(given)


def with_positions(made: Any) -> None:
    """Give TRL's models the position of each token in its own row, padding on the left not counted."""

    def add(_: Any, arguments: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return arguments, named | {"position_ids": (named["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)}

    for model in (made.model, getattr(made, "ref_model", None)):
        if model is not None:
            model.base_model.register_forward_pre_hook(add, with_kwargs=True)


def completion_logprobs(made: Any, inputs: dict[str, Any]) -> Tensor:
    """TRL's own log-prob of each completion, in nats."""
    mask_BT = inputs["completion_mask"]
    tokens_BL = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    mask_BL = torch.cat([inputs["prompt_mask"], mask_BT], dim=1)
    found_BT = made._get_per_token_logps_and_entropies(made.model, tokens_BL, mask_BL, mask_BT.shape[1])[0]
    return (found_BT * mask_BT).sum(dim=1)


def as_ours(compared: Compared) -> Outcome:
    """RLOO's loss of TRL, -mean(w A), written as -mean(w A log π), w held still: another number, one gradient."""
    with torch.no_grad():
        logprobs_B = completion_logprobs(compared.made, compared.inputs)
    weights_B = (logprobs_B - compared.inputs["old_logps"]).exp()
    changed_B = weights_B * compared.inputs["advantages"] * (1 - logprobs_B)
    assert float(weights_B.max()) < 1 + SETTINGS["rloo"]["epsilon"]  # nothing is cut off, there or here
    return compared.theirs._replace(loss=compared.theirs.loss + float(changed_B.mean()))


def both(folders: material.Folders, seed: int, name: str, *, moved: bool) -> Compared:
    """Both sides, after making sure that they have the same tokens and the same advantages."""
    practised = ours(folders, seed, name, moved=moved)
    made, inputs = trainer(folders, name, practised)
    for part, ids in (("prompt", practised.rollouts.prompts), ("completion", practised.rollouts.completions)):
        masked = zip(inputs[f"{part}_ids"], inputs[f"{part}_mask"].bool(), strict=True)
        assert [row[mask].tolist() for row, mask in masked] == ids
    torch.testing.assert_close(practised.advantages_B, inputs["advantages"], rtol=1e-5, atol=1e-5)
    if moved:
        made.model.load_state_dict(load.load_causal(folders.later).model.state_dict())
    found = step(made.model, lambda: made.compute_loss(made.model, inputs))
    return Compared(practised, found, made, inputs)


def compare(folders: material.Folders, seed: int, case: str) -> tuple[Outcome, Outcome]:
    """Ours and theirs, RLOO's loss written as ours."""
    name, _, moved = case.partition(" ")
    found = both(folders, seed, name, moved=bool(moved))
    return found.ours.outcome, as_ours(found) if name == "rloo" else found.theirs
