"""Checks of group C: rewards per token, critics, advantages, whitening.

Shapes: `B` completions, `T` completion tokens, `D` features.
"""

from __future__ import annotations

import math

import torch

from palate.functional import gae as gae_module
from palate.functional import masked, ppo, rewards
from palate.models import layout
from palate.training import critic
from palate.training import ppo as ppo_recipe
from palate.world.checks.material import Function, TableModel, numbers, policy, rolled_out, tree
from palate.world.checks.values import doubles, masks, same

_NAN = math.nan


def score_stands_on_the_last_token(token_rewards: Function = rewards.token_rewards) -> None:
    """Without a penalty, the score is on the last counted token, and everything else is 0.

    Catches a score on every token, one slot early, and one slot after the end token.
    """
    zeros = torch.zeros(4, 4, dtype=torch.float64)
    mask = masks([1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0])
    found = token_rewards(doubles(3.0, -2.0, 5.0, 0.5), zeros, zeros, mask, beta=0.0)
    same(found, doubles([3.0, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 0, 5.0], [0, 0, 0.5, 0]), "rewards")


def end_token_is_worth_the_whole_score(
    token_rewards: Function = rewards.token_rewards, gae: Function = gae_module.gae
) -> None:
    """With a critic of 0 and no penalty, the last token's advantage is the score for every λ.

    Catches a score behind the end token, of which that token would get λ times.
    """
    zeros, mask = torch.zeros(2, 4, dtype=torch.float64), masks([1, 1, 0, 0], [1, 1, 1, 1])
    given = token_rewards(doubles(2.0, -3.0), zeros, zeros, mask, beta=0.0)
    for lam in (0.0, 0.5, 1.0):
        found = gae(given, zeros, mask, discount=1.0, lam=lam).advantages_BT
        same([float(found[0, 1]), float(found[1, 3])], [2.0, -3.0], f"advantage of the last token at λ = {lam}")


def gae_is_the_sum_of_discounted_errors(gae: Function = gae_module.gae) -> None:
    """A = Σ (γλ)ᵏ δ, summed out directly, and nothing after the last token.

    Catches a missing γ, λ at the wrong place, and values from behind the end.
    """
    given, values, lengths = numbers(1, 3, 5), numbers(2, 3, 5), (5, 3, 1)
    mask = torch.arange(5)[None] < torch.tensor(lengths)[:, None]
    for discount, lam in ((0.9, 0.8), (1.0, 0.95), (0.7, 1.0), (1.0, 0.0)):
        expected = torch.zeros(3, 5, dtype=torch.float64)
        for i, length in enumerate(lengths):
            for t in range(length):
                for k in range(t, length):
                    after = float(values[i, k + 1]) if k + 1 < length else 0.0
                    error = float(given[i, k]) + discount * after - float(values[i, k])
                    expected[i, t] += (discount * lam) ** (k - t) * error
        found = gae(given, values, mask, discount=discount, lam=lam)
        same(found.advantages_BT, expected, f"advantages at γ = {discount}, λ = {lam}")


def returns_at_lambda_1_are_what_was_sampled(gae: Function = gae_module.gae) -> None:
    """The critic's targets: at λ = 1 the discounted rewards to go, whatever the critic said.

    Catches targets that are advantages, and targets made of whitened advantages.
    """
    given, values = doubles([1.0, 2.0, 4.0], [3.0, -1.0, 0.0]), numbers(3, 2, 3)
    found = gae(given, values, masks([1, 1, 1], [1, 1, 0]), discount=0.5, lam=1.0)
    same(found.returns_BT, doubles([3.0, 4.0, 4.0], [2.5, -1.0, 0.0]), "returns")


def padding_changes_no_advantage(gae: Function = gae_module.gae) -> None:
    """What a critic says behind the end, NaN included, reaches no advantage.

    Catches a value after the end that is read from padding.
    """
    given, values = doubles([0.0, 1.0, 0.0, 0.0]), doubles([0.25, 0.5, 7.0, _NAN])
    found = gae(given, values, masks([1, 1, 0, 0]), discount=1.0, lam=0.5)
    same(found.advantages_BT, doubles([0.5, 0.5, 0.0, 0.0]), "advantages")
    same(found.returns_BT, doubles([0.75, 1.0, 0.0, 0.0]), "returns")


def exact_values_make_every_lambda_right(gae: Function = gae_module.gae) -> None:
    """With the true values of a known policy, E[A | prefix, token] = Q - V for every λ.

    Catches errors that a single sampled row hides, such as a next value that is left out.
    """
    all_of_it, table = tree(), policy(9).detach()
    scores, chances = numbers(10, 15), all_of_it.whole(table).exp()
    rows = [[int(x) for x in row[keep]] for row, keep in zip(all_of_it.tokens_BT, all_of_it.mask_BT, strict=True)]

    def mean_score(prefix: list[int]) -> float:
        inside = torch.tensor([row[: len(prefix)] == prefix for row in rows])
        return float((chances * scores)[inside].sum() / chances[inside].sum())

    values = torch.zeros(15, 3, dtype=torch.float64)
    given = torch.zeros(15, 3, dtype=torch.float64)
    for i, row in enumerate(rows):
        given[i, len(row) - 1] = scores[i]
        values[i, : len(row)] = doubles(*[mean_score(row[:t]) for t in range(len(row))])
    for lam in (0.0, 0.5, 0.95, 1.0):
        found = gae(given, values, all_of_it.mask_BT, discount=1.0, lam=lam).advantages_BT
        for prefix in ([], [0], [1], [0, 1]):
            for token in (0, 1, 2):
                inside = torch.tensor([row[: len(prefix) + 1] == [*prefix, token] for row in rows])
                mean = (chances * found[:, len(prefix)])[inside].sum() / chances[inside].sum()
                expected = mean_score([*prefix, token]) - mean_score(prefix)
                same(mean, expected, f"mean advantage of {token} after {prefix} at λ = {lam}")


def value_loss_is_the_larger_error(value_loss: Function = ppo.value_loss) -> None:
    """½ max((V - R)², (V_c - R)²) over counted tokens, with its gradient in every region, worked by hand.

    Catches min for max, a missing ½, a clip around the target, and padding that counts.
    """
    values = doubles([0.1, 0.9, -0.9, 0.9, _NAN]).requires_grad_()
    old, target = doubles([0.0, 0.0, 0.0, 0.0, 0.0]), doubles([1.0, 2.0, 1.0, -1.0, 5.0])
    loss = value_loss(values, old, target, masks([1, 1, 1, 1, 0]), clip=0.5).loss
    # inside the band; clipped on the way to R; far on the other side of the band; the same upwards
    same(loss, (0.81 + 1.5**2 + 1.9**2 + 1.9**2) / 8, "loss")
    (gradient,) = torch.autograd.grad(loss, values)
    same(gradient, doubles([-0.9 / 4, 0.0, -1.9 / 4, 1.9 / 4, 0.0]), "gradient")


def value_loss_trains_only_the_critic(value_loss: Function = ppo.value_loss) -> None:
    """Neither the old values nor the returns get a gradient.

    Catches targets that move towards the critic.
    """
    inputs = [numbers(i, 2, 3).requires_grad_() for i in (1, 2, 3)]
    loss = value_loss(*inputs, masks([1, 1, 1], [1, 1, 0]), clip=0.2).loss
    for name, found in zip(
        ("old values", "returns"), torch.autograd.grad(loss, inputs, allow_unused=True)[1:], strict=True
    ):
        same(torch.zeros(2, 3) if found is None else found, torch.zeros(2, 3), f"gradient of the {name}")


def explained_variance_compares_with_a_constant(value_loss: Function = ppo.value_loss) -> None:
    """1 - Var(R - V) / Var(R) over counted tokens: 1 for a perfect critic, 0 for any constant.

    Catches a mean square in place of a variance, and padding inside either.
    """
    target, mask = doubles([1.0, 2.0, 3.0, 100.0]), masks([1, 1, 1, 0])
    for values, expected in (
        (target, 1.0),
        (torch.full_like(target, 7.0), 0.0),
        (doubles([1.0, 2.0, 2.0, 0.0]), 2 / 3),
    ):
        found = value_loss(values, values, target, mask, clip=0.2).explained_variance
        same(found, expected, f"explained variance of {values.tolist()}")


def whitening_looks_only_at_what_counts(whiten: Function = masked.whiten) -> None:
    """Mean 0 and mean square 1 over counted tokens, 0 elsewhere, worked by hand.

    Catches statistics over padding, n - 1 for n, whitened padding, and a missing shift.
    """
    found = whiten(doubles([1.0, 3.0, 99.0], [5.0, 7.0, -99.0]), masks([1, 1, 0], [1, 1, 0]))
    unit = 1 / math.sqrt(5.0)
    same(found, doubles([-3 * unit, -unit, 0.0], [unit, 3 * unit, 0.0]), "whitened values")


def an_iteration_is_what_is_written(estimate: Function = ppo_recipe.estimate) -> None:
    """From scores to advantages and returns, with γ = 0.9 and λ = 0.6, worked out in another way.

    Catches γ and λ exchanged, targets that are whitened, completions without an end that are learned from
    though they should not be, and a penalty that is left out.
    """
    values, logprobs, refs = numbers(1, 3, 3), -numbers(2, 3, 3).abs(), -numbers(3, 3, 3).abs()
    lengths, scores = (3, 1, 2), doubles(2.0, -1.0, 4.0)
    mask = torch.arange(3)[None] < torch.tensor(lengths)[:, None]
    given = rolled_out(
        values, mask, scores_B=scores, logprobs_BT=logprobs, ref_logprobs_BT=refs,
        finished_B=torch.tensor([True, True, False]),
    )  # fmt: skip
    config = ppo_recipe.PPOConfig(discount=0.9, gae_lambda=0.6, missing_eos="mask")
    found = estimate(given, scores, config, 0.3)
    gains, targets = {}, torch.zeros(3, 3, dtype=torch.float64)
    for i, length in enumerate(lengths[:2]):
        paid = [-0.3 * float(logprobs[i, t] - refs[i, t]) for t in range(length)]
        paid[-1] += float(scores[i])
        ahead = [*values[i, 1:length].tolist(), 0.0]
        errors = [r + 0.9 * v - float(values[i, t]) for t, (r, v) in enumerate(zip(paid, ahead, strict=True))]
        for t in range(length):
            gains[i, t] = sum((0.9 * 0.6) ** (k - t) * errors[k] for k in range(t, length))
            targets[i, t] = gains[i, t] + values[i, t]
    mean = sum(gains.values()) / 4
    deviation = math.sqrt(sum((x - mean) ** 2 for x in gains.values()) / 4)
    whitened = torch.zeros(3, 3, dtype=torch.float64)
    for place, gain in gains.items():
        whitened[place] = (gain - mean) / deviation
    same(found["mask_BT"].double(), mask.double() * doubles([1.0], [1.0], [0.0]), "mask")
    same(found["returns_BT"], targets, "returns")
    same(found["advantages_BT"], whitened, "advantages")


def scaling_keeps_the_mean(scale: Function = masked.scale_to_unit_variance) -> None:
    """Per-token rewards are scaled about their mean, which stays.

    Catches a shift, which pays or fines every token and so changes how long completions are.
    """
    found = scale(doubles([1.0, 3.0, 99.0], [5.0, 7.0, -99.0]), masks([1, 1, 0], [1, 1, 0]))
    unit = 1 / math.sqrt(5.0)
    same(found, doubles([4 - 3 * unit, 4 - unit, 0.0], [4 + unit, 4 + 3 * unit, 0.0]), "scaled rewards")


def values_belong_to_the_state_before_the_token(lay: Function = layout.lay, values: Function = layout.values) -> None:
    """The critic's value of a token is the head's number before it was said.

    Catches a value that has seen the token it is the baseline of, and one of the prompt's tokens.
    """
    model, prompts, completions = TableModel(), [[4], [1, 0]], [[1, 0, 2], [3, 2]]
    laid = lay(prompts, completions, pad_id=0)
    for prompt, completion, row in zip(prompts, completions, values(model, laid), strict=True):
        expected = [model.value([*prompt, *completion[:i]]) for i in range(len(completion))]
        same(row[: len(completion)], expected, "values", within=1e-6)


def fresh_critic_says_0(ridge: Function = critic.RidgeCritic) -> None:
    """Before the first fit every value is 0, so advantages begin as rewards to go.

    Catches a critic that starts at random, or from another constant.
    """
    same(ridge(4).values(numbers(1, 2, 3, 4)), torch.zeros(2, 3), "values")


def ridge_critic_is_a_regression(ridge: Function = critic.RidgeCritic) -> None:
    """Weights of two fits: the older one counts for less, padding for nothing, worked out in float64.

    Catches states of padding, a past that is not forgotten, and a penalty in the wrong place.
    """
    states, targets = [numbers(i, 2, 3, 2) for i in (1, 2)], [numbers(i, 2, 3) for i in (3, 4)]
    mask = masks([1, 1, 1], [1, 0, 0])
    made = ridge(2, penalty=0.5, forgetting=0.3)
    for state, target in zip(states, targets, strict=True):
        made.fit(state, target, mask)
    seen = [
        (w, [*x[i, t].tolist(), 1.0], float(y[i, t]))
        for w, x, y in zip((0.3, 1.0), states, targets, strict=True)
        for i, t in ((0, 0), (0, 1), (0, 2), (1, 0))
    ]
    gram, moment = 0.5 * torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for weight, features, y in seen:
        gram += weight * torch.outer(doubles(*features), doubles(*features))
        moment += weight * y * doubles(*features)
    weights = torch.linalg.inv(gram) @ moment
    expected = states[0] @ weights[:2] + weights[2]
    same(made.values(states[0]), expected, "values", within=1e-6)
