"""Checks of group D: ratios and clips, how token losses become one, groups, optimiser steps.

Shapes: `B` completions, `T` completion tokens. Log-probabilities in nats.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from palate.functional import advantages, importance, logprobs, policy_gradient, ppo
from palate.models import layout, load, tiny
from palate.training import optimisation, order
from palate.world.checks.material import Function, TableModel, numbers, policy, tree
from palate.world.checks.values import doubles, equal, masks, same

_NAN = math.nan


def first_step_is_the_policy_gradient(policy_loss: Function = ppo.policy_loss) -> None:
    """At ratio 1 nothing is clipped, nothing has moved, and the gradient is -A per counted token.

    Catches a ratio upside down, a loss to climb, and a mean over padding.
    """
    new = doubles([-1.0, -2.0, _NAN], [-0.5, -1.0, -3.0]).requires_grad_()
    mask, gains = masks([1, 1, 0], [1, 1, 1]), doubles([1.0, -2.0, 9.0], [0.5, 0.0, 3.0])
    found = policy_loss(new, new.detach(), gains, mask, clip=0.2)
    same(found.loss, -0.5, "loss")
    same(torch.autograd.grad(found.loss, new)[0], doubles([-0.2, 0.4, 0.0], [-0.1, 0.0, -0.6]), "gradient")
    same([float(x) for x in found[1:]], [0.0, 0.0, 0.0], "clip fraction, KL and ratio error")


def clip_stops_what_moved_far_enough(policy_loss: Function = ppo.policy_loss) -> None:
    """Six regions: gradient 0 iff A > 0 and ρ > 1 + c, or A < 0 and ρ < 1 - c; that of -ρA elsewhere.

    Catches max for min, a clip on one side only, and a clip that always holds.
    """
    ratios = doubles([0.5, 1.1, 1.5, 0.5, 1.1, 1.5])
    new = ratios.log().requires_grad_()
    gains = doubles([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    found = policy_loss(new, torch.zeros_like(ratios), gains, masks([1] * 6), clip=0.2)
    same(found.loss, -(0.5 + 1.1 + 1.2 - 0.8 - 1.1 - 1.5) / 6, "loss")
    expected = doubles([-0.5, -1.1, 0.0, 0.0, 1.1, 1.5]) / 6
    same(torch.autograd.grad(found.loss, new)[0], expected, "gradient")


def clip_fraction_counts_removed_gradients(policy_loss: Function = ppo.policy_loss) -> None:
    """Two of six tokens lie outside the band on the side where the clip acts; padding is no token.

    Catches a count of ratios outside the band whatever their advantage, and facts over padding.
    """
    ratios = doubles([0.5, 1.1, 1.5, 0.5, 1.1, 1.5, 9.0])
    gains = doubles([1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0])
    found = policy_loss(ratios.log(), torch.zeros_like(ratios), gains, masks([1, 1, 1, 1, 1, 1, 0]), clip=0.2)
    same(found.clip_fraction, 2 / 6, "clip fraction")


def old_new_kl_is_of_the_old_policy(policy_loss: Function = ppo.policy_loss) -> None:
    """On tokens of the old policy, over a known distribution: the mean is KL(old ‖ new).

    Catches the estimate with its arguments exchanged, whose mean is no KL.
    """
    p, q = doubles(0.5, 0.25, 0.25), doubles(0.25, 0.25, 0.5)
    rows = torch.tensor([0, 0, 1, 2])  # as often as the old policy draws them
    found = policy_loss(q.log()[rows][None], p.log()[rows][None], torch.zeros(1, 4), masks([1] * 4), clip=0.2)
    same(found.old_new_kl, float((p * (p / q).log()).sum()), "KL(old, new)")


def ratio_error_is_the_largest(policy_loss: Function = ppo.policy_loss) -> None:
    """One token of four whose ratio is 1.3: the error is 0.3, whatever padding says.

    Catches a mean, in which one wrong token hides, and the ratio of padding.
    """
    ratios = doubles([1.0, 1.3], [1.0, 0.9], [1.0, 77.0])
    found = policy_loss(ratios.log(), torch.zeros_like(ratios), ratios, masks([1, 1], [1, 1], [1, 0]), clip=0.2)
    same(found.max_ratio_error, 0.3, "largest |ρ - 1|")


def only_the_policy_gets_a_gradient(policy_loss: Function = ppo.policy_loss) -> None:
    """Neither the old log-probabilities nor the advantages are trained.

    Catches a forgotten detach: with old = new it would cancel the whole gradient.
    """
    new = (-numbers(1, 2, 3).abs()).requires_grad_()
    gains = numbers(2, 2, 3).requires_grad_()
    loss = policy_loss(new, new, gains, masks([1, 1, 1], [1, 1, 0]), clip=0.2).loss
    gradient, moved = torch.autograd.grad(loss, (new, gains), allow_unused=True)
    counted = masks([1, 1, 1], [1, 1, 0])
    same(gradient, torch.where(counted, -gains.detach() / 5, 0.0), "gradient of the policy")
    same(torch.zeros(2, 3) if moved is None else moved, torch.zeros(2, 3), "gradient of the advantages")


def policy_loss_adds_up(policy_loss: Function = ppo.policy_loss) -> None:
    """Micro-batches of 1, 2 and 3 rows with the batch's token count give the loss of the batch.

    Catches a mean of means, in which short rows weigh more than long ones.
    """
    new, old, gains, mask = numbers(1, 6, 4), numbers(2, 6, 4), numbers(3, 6, 4), _triangle(6, 4)
    tokens = int(mask.sum())
    whole = policy_loss(new, old, gains, mask, clip=0.2).loss
    for size in (1, 2, 3):
        cut = [slice(i, i + size) for i in range(0, 6, size)]
        parts = [policy_loss(new[i], old[i], gains[i], mask[i], clip=0.2, denominator=tokens).loss for i in cut]
        same(sum(parts), whole, f"sum over micro-batches of {size}")


def value_loss_adds_up(value_loss: Function = ppo.value_loss) -> None:
    """The same for the critic.

    Catches a mean of means.
    """
    values, old, target, mask = numbers(1, 6, 4), numbers(2, 6, 4), numbers(3, 6, 4), _triangle(6, 4)
    whole = value_loss(values, old, target, mask, clip=0.2).loss
    cut = [slice(i, i + 1) for i in range(6)]
    tokens = int(mask.sum())
    parts = [value_loss(values[i], old[i], target[i], mask[i], clip=0.2, denominator=tokens).loss for i in cut]
    same(sum(parts), whole, "sum over rows")


def group_losses_add_up(
    grpo_loss: Function = policy_gradient.grpo_loss, reinforce_loss: Function = policy_gradient.reinforce_loss
) -> None:
    """The losses over completions, cut row by row, give that of the batch.

    Catches a denominator that is the micro-batch's own.
    """
    new, old, gains, mask = numbers(1, 6, 4), numbers(2, 6, 4), numbers(3, 6), _triangle(6, 4)
    cut = [slice(i, i + 1) for i in range(6)]
    whole = grpo_loss(new, old, gains, mask, clip=0.2).loss
    parts = [grpo_loss(new[i], old[i], gains[i], mask[i], clip=0.2, completions=6).loss for i in cut]
    same(sum(parts), whole, "sum of GRPO's losses")
    whole = reinforce_loss(new, gains, mask)
    same(sum(reinforce_loss(new[i], gains[i], mask[i], completions=6) for i in cut), whole, "sum of REINFORCE's losses")


def reinforce_has_the_exact_gradient(reinforce_loss: Function = policy_gradient.reinforce_loss) -> None:
    """Over all completions of the tree: the gradient of the expected score.

    Catches a mean over tokens, by which long completions count less per token.
    """
    found, right = _expected_gradient(reinforce_loss)
    same(found, right, "policy gradient")


def dr_grpo_has_the_exact_gradient(dr_grpo_loss: Function = policy_gradient.dr_grpo_loss) -> None:
    """The same, up to the constant M, at the first step.

    Catches a division by the completion's own length, the longest in the batch, or the number of tokens.
    """

    def loss(new: Tensor, gains: Tensor, mask: Tensor) -> Tensor:
        return dr_grpo_loss(new, new.detach(), gains, mask, clip=0.2, max_tokens=10).loss  # type: ignore[no-any-return]

    found, right = _expected_gradient(loss)
    same(10 * found, right, "policy gradient, times M")


def sequence_ratio_is_of_the_whole_completion(loss: Function = policy_gradient.sequence_policy_loss) -> None:
    """Without a clip, on samples of another policy: the gradient of the expected score of the new one.

    Catches a ratio per token, which corrects the token and not how the policy arrived there.
    """
    old = policy(12).detach()
    all_of_it = tree()
    olds = all_of_it.logprobs(old)

    def sampled(new: Tensor, gains: Tensor, mask: Tensor) -> Tensor:
        return loss(new, olds, gains, mask, clip=math.inf).loss  # type: ignore[no-any-return]

    found, right = _expected_gradient(sampled, old)
    same(found, right, "policy gradient")


def importance_makes_stale_samples_fresh(
    sequence_importance: Function = importance.sequence_importance,
    reinforce_loss: Function = policy_gradient.reinforce_loss,
) -> None:
    """With uncapped weights, samples of another policy give the gradient of the new one.

    Catches weights upside down, per token, or with a gradient of their own; and a cap that does not hold.
    """
    all_of_it, old = tree(), policy(12).detach()
    olds = all_of_it.logprobs(old)

    def weighted(new: Tensor, gains: Tensor, mask: Tensor) -> Tensor:
        weights = sequence_importance(new, olds, mask, cap=math.inf).weights_B
        return reinforce_loss(new, gains, mask, importance_B=weights)  # type: ignore[no-any-return]

    found, right = _expected_gradient(weighted, old)
    same(found, right, "policy gradient")
    far = sequence_importance(doubles([-1.0, -1.0]), doubles([-3.0, -2.0]), masks([1, 1]), cap=2.0)
    same([float(far.weights_B), float(far.truncated)], [2.0, 1.0], "weight at its cap, and how many were")


def grpo_is_a_mean_of_means(grpo_loss: Function = policy_gradient.grpo_loss) -> None:
    """As published: each completion weighs the same, its tokens share that weight; two rows by hand.

    Catches a mean over all tokens of the batch, and lengths that count padding.
    """
    new = torch.zeros(2, 3, dtype=torch.float64).requires_grad_()
    loss = grpo_loss(new, torch.zeros(2, 3), doubles(1.0, -2.0), masks([1, 0, 0], [1, 1, 1]), clip=0.2).loss
    expected = doubles([-0.5, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3])
    same(torch.autograd.grad(loss, new)[0], expected, "gradient")


def leave_one_out_leaves_itself_out(rloo: Function = advantages.leave_one_out_advantages) -> None:
    """Score minus mean of the *others* to the same prompt, in any order of rows and group sizes.

    Catches a mean that holds the completion itself, and groups taken by position.
    """
    found = rloo(_SCORES, _PROMPTS).advantages_B
    expected = [
        float(_SCORES[i])
        - sum(float(_SCORES[j]) for j in range(7) if j != i and _PROMPTS[j] == _PROMPTS[i])
        / sum(1 for j in range(7) if j != i and _PROMPTS[j] == _PROMPTS[i])
        for i in range(7)
    ]
    same(found, expected, "advantages")


def centred_means_the_whole_group(centred: Function = advantages.centred_advantages) -> None:
    """Score minus mean of the prompt's group: (G - 1) / G of RLOO's.

    Catches a mean over the batch, and RLOO under this name.
    """
    same(centred(_SCORES, _PROMPTS).advantages_B, _SCORES - _means(), "advantages")


def standardised_divides_by_the_spread_of_the_group(
    standardised: Function = advantages.standardised_advantages,
) -> None:
    """(r - mean) / √(Σ (r - mean)² / G) by hand, and ±1 for any two completions.

    Catches G - 1 for G, an ε that shrinks small scores, and the spread of the batch.
    """
    deviations = _SCORES - _means()
    spread = [math.sqrt(float((deviations[p == _PROMPTS] ** 2).mean())) for p in _PROMPTS]
    same(standardised(_SCORES, _PROMPTS).advantages_B, deviations / doubles(*spread), "advantages")
    small = standardised(doubles(1e-6, 3e-6), torch.tensor([0, 0])).advantages_B
    same(small, [-1.0, 1.0], "advantages of two small scores")


def flat_groups_teach_nothing(standardised: Function = advantages.standardised_advantages) -> None:
    """A group of equal scores has advantages 0, and is counted.

    Catches NaN from 0 / 0, and rounding blown up to ±1.
    """
    found = standardised(doubles(0.1, 0.1, 0.1, 1.0, 2.0, 0.5, 0.5), torch.tensor([5, 5, 5, 3, 3, 1, 1]))
    same(found.advantages_B, [0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0], "advantages")
    equal((found.groups, found.flat_groups), (3, 2), "groups, and flat ones")


def entropy_is_that_of_the_distribution(entropy: Function = logprobs.entropy) -> None:
    """-Σ p log p: log 2 for a coin, 0 for certainty, a forbidden token adds nothing.

    Catches a wrong sign and NaN from 0 · log 0.
    """
    found = entropy(doubles([0.0, 0.0, -math.inf], [5.0, -math.inf, -math.inf], [0.0, math.log(2), math.log(5)]))
    expected = [math.log(2), 0.0, -sum(p * math.log(p) for p in (0.125, 0.25, 0.625))]
    same(found, expected, "entropies")


def logged_entropy_is_of_the_distribution(
    lay: Function = layout.lay, both: Function = layout.logprobs_and_entropy
) -> None:
    """-Σ p log p of the distribution that each token was drawn from, its temperature included, without gradient.

    Catches minus the log-probability of what happened to be drawn, a wrong sign, and another temperature.
    """
    model = TableModel()
    _, found = both(model, lay([[1, 0]], [[3, 2]], pad_id=0), temperature=0.5)
    expected = []
    for before in ([1, 0], [1, 0, 3]):
        chances = [math.exp(model.logprob(before, token, 0.5)) for token in range(5)]
        expected.append(-sum(p * math.log(p) for p in chances))
    same(found, [expected], "entropies")


def a_loaded_model_drops_nothing(load_causal: Function = load.load_causal) -> None:
    """A model with dropout in its configuration answers the same twice, as it was before it was saved.

    Catches dropout during sampling or training, by which no ratio is ever 1.
    """
    tokenizer = tiny.train_tokenizer(["so it is"], vocab_size=300, kind="words")
    made = tiny.make_model(tokenizer, family="gpt2", width=16, layers=1, heads=2, context=32)
    made.config.resid_pdrop = made.config.embd_pdrop = made.config.attn_pdrop = 0.5
    with tempfile.TemporaryDirectory() as place, torch.no_grad():
        load.save(Path(place), made, tokenizer)
        model = load_causal(place).model
        tokens = torch.tensor([[9, 10, 11]])
        same(model(input_ids=tokens).logits, made(input_ids=tokens).logits, "logits", within=1e-5)


def every_row_comes_once_an_epoch(order: Function = order.Order) -> None:
    """Seven groups in batches of three, three epochs: nine steps, each row once an epoch, in three orders.

    Catches a remainder that is dropped, rows that come twice, and one order for all epochs.
    """
    made = order([[2 * i, 2 * i + 1] for i in range(7)], 3, 3, seed=4)
    equal(made.steps, 9, "steps")
    epochs = [[row for step in range(3 * e, 3 * e + 3) for row in made.rows(step)] for e in range(3)]
    for rows in epochs:
        equal(sorted(rows), list(range(14)), "rows of an epoch")
        equal([row + 1 for row in rows[::2]], rows[1::2], "second rows of the groups")
    equal(len({tuple(rows) for rows in epochs}), 3, "different orders")


def a_step_clips_the_whole_gradient_once(step: Function = optimisation.optimizer_step) -> None:
    """Gradients (3, 4) and 12 have norm 13; held to 6.5 both are halved, and the next step begins from nothing.

    Catches clips per weight or per value, and gradients that pile up.
    """
    weights = {"a": torch.nn.Parameter(doubles(0.0, 0.0)), "b": torch.nn.Parameter(doubles(0.0))}
    optimizer = torch.optim.SGD(weights.values(), lr=1.0)
    for times in (1, 2):
        ((weights["a"] * doubles(3.0, 4.0)).sum() + 12 * weights["b"].sum()).backward()
        same(step(optimizer, weights, max_norm=6.5), 13.0, "norm before the clip")
        same(weights["a"], [-1.5 * times, -2.0 * times], "first weights", within=1e-5)
        same(weights["b"], [-6.0 * times], "second weights", within=1e-5)


def half_precision_is_not_used_for_probabilities(token_logprobs: Function = logprobs.token_logprobs) -> None:
    """Log-probabilities of bfloat16 logits equal those of the same numbers in float64 to 1e-6.

    Catches a softmax in bfloat16, which is off by 1e-2 nats a token, and with it every ratio.
    """
    logits = (3 * numbers(4, 3, 8)).to(torch.bfloat16)
    tokens = torch.tensor([1, 5, 7])
    exact = logits.double()
    expected = [float(exact[i, t] - exact[i].exp().sum().log()) for i, t in enumerate(tokens)]
    same(token_logprobs(logits, tokens), expected, "log-probabilities", within=1e-6)


_SCORES = doubles(1.0, 4.0, 2.5, -3.0, 0.5, 7.0, 1.5)
_PROMPTS = torch.tensor([8, 3, 8, 3, 8, 3, 3])


def _means() -> Tensor:
    return doubles(*[float(_SCORES[p == _PROMPTS].mean()) for p in _PROMPTS])


def _triangle(rows: int, width: int) -> Tensor:
    """Rows of 1, 2, 3 … counted tokens."""
    return torch.arange(width)[None] <= torch.arange(rows)[:, None] % width


def _expected_gradient(loss: Function, sampler: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`(found, right)`: of the expected score on the tree, through a loss on all of its completions."""
    all_of_it, table, scores = tree(), policy(11), numbers(13, 15)
    chances = all_of_it.whole(table if sampler is None else sampler).exp().detach()
    total = loss(all_of_it.logprobs(table), 15 * chances * scores, all_of_it.mask_BT)
    (found,) = torch.autograd.grad(-total, table)
    (right,) = torch.autograd.grad((all_of_it.whole(table).exp() * scores).sum(), table)
    return found, right
