"""Checks of group F: DPO and its family, KTO.

Shapes: `N` preference rows. Log-probabilities in nats, sums over tokens.
"""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from palate.core.artefacts import Workspace
from palate.core.records import Preference, Prompt
from palate.functional import dpo, kto, labels, logprobs, reference_free
from palate.training import dpo as recipe
from palate.world.checks.material import Function, model_folder, numbers
from palate.world.checks.values import doubles, holds, masks, same

_CHOSEN, _REJECTED = doubles(-3.0, -5.0), doubles(-4.0, -2.0)
_REF_CHOSEN, _REF_REJECTED = doubles(-3.5, -5.0), doubles(-3.0, -2.5)
_FOUR = (_CHOSEN, _REJECTED, _REF_CHOSEN, _REF_REJECTED)
_H = (1.5, -0.5)
"""Log-ratios of these rows: (-3 + 3.5) - (-4 + 3), (-5 + 5) - (-2 + 2.5)."""


def sequence_probability_is_a_product(sequence_logprobs: Function = logprobs.sequence_logprobs) -> None:
    """The sum over counted tokens, whatever stands behind the end.

    Catches a mean, by which long completions look likely, and a sum over padding.
    """
    rows = doubles([-1.0, -2.0, -3.0], [-1.0, math.nan, -9.0])
    same(sequence_logprobs(rows, masks([1, 1, 1], [1, 0, 0])), [-6.0, -1.0], "log-probabilities")


def dpo_begins_at_log_2(dpo_loss: Function = dpo.dpo_loss) -> None:
    """Where policy and reference agree: loss log 2, margins 0, accuracy ½.

    Catches a reference that is left out, and ties that count as right or wrong.
    """
    found = dpo_loss(_CHOSEN, _REJECTED, _CHOSEN, _REJECTED, beta=0.3)
    same(found.loss, math.log(2), "loss")
    same(found.margins_N, [0.0, 0.0], "margins")
    same(found.accuracy, 0.5, "accuracy")


def dpo_is_a_logistic_loss_of_log_ratios(dpo_loss: Function = dpo.dpo_loss) -> None:
    """Loss, margins and gradient β (σ(m) - p), by hand.

    Catches β left out or upside down, a side exchanged, and a label that is ignored.
    """
    beta, p = 0.5, (0.8, 1.0)
    inputs = [x.clone().requires_grad_() for x in _FOUR]
    found = dpo_loss(*inputs, beta=beta, p_chosen_N=doubles(*p))
    margins = [beta * h for h in _H]
    same(found.margins_N, margins, "margins")
    same(found.loss, sum(_cross_entropy(m, q) for m, q in zip(margins, p, strict=True)) / 2, "loss")
    pull = doubles(*[beta * (_sigmoid(m) - q) / 2 for m, q in zip(margins, p, strict=True)])
    gradients = torch.autograd.grad(found.loss, inputs, allow_unused=True)
    for name, gradient, expected in zip(("chosen", "rejected"), gradients[:2], (pull, -pull), strict=True):
        same(gradient, expected, f"gradient of the {name} side")
    for gradient in gradients[2:]:
        same(torch.zeros(2) if gradient is None else gradient, [0.0, 0.0], "gradient of the reference")


def dpo_has_the_optimum_of_rl(dpo_loss: Function = dpo.dpo_loss) -> None:
    """Over all pairs of five completions with Bradley-Terry labels: π_ref exp(r / β) / Z is stationary.

    Catches a β that means something else than in PPO, and every error of the margin.
    """
    found = _population_gradient(dpo_loss, lambda scores, beta: scores / beta)
    same(found, torch.zeros(5), "gradient at the optimum")


def ipo_has_its_own_optimum(ipo_loss: Function = dpo.ipo_loss) -> None:
    """Over all pairs: π_ref exp(P / β) / Z is stationary, P the chance to beat a random one of them.

    Catches a target of 1 / β, and a square of the scaled margin.
    """

    def tilt(scores: Tensor, beta: float) -> Tensor:
        return (1 / (1 + (scores[None] - scores[:, None]).exp())).mean(1) / beta

    same(_population_gradient(ipo_loss, tilt), torch.zeros(5), "gradient at the optimum")


def ipo_is_a_regression_onto_its_target(ipo_loss: Function = dpo.ipo_loss) -> None:
    """By hand: p (h - 1/2β)² + (1 - p) (h + 1/2β)²; a label of 1 stops at h = 1/2β.

    Catches a target without its sign, and one that is not halved.
    """
    found = ipo_loss(*_FOUR, beta=0.25, p_chosen_N=doubles(1.0, 0.75))
    same(found.loss, ((1.5 - 2) ** 2 + 0.75 * (-0.5 - 2) ** 2 + 0.25 * (-0.5 + 2) ** 2) / 2, "loss")


def robust_dpo_forgets_the_flips(
    dpo_loss: Function = dpo.dpo_loss, denoised: Function = labels.denoised_labels
) -> None:
    """On labels of which a share ε is flipped, the loss on denoised labels has the mean of the clean loss.

    Catches a correction in the wrong direction, and one without 1 - 2ε.
    """
    rate, beta = 0.2, 0.5
    clean = dpo_loss(*_FOUR, beta=beta).loss
    kept = dpo_loss(*_FOUR, beta=beta, p_chosen_N=denoised(doubles(1.0, 1.0), flip_rate=rate)).loss
    flipped = dpo_loss(*_FOUR, beta=beta, p_chosen_N=denoised(doubles(0.0, 0.0), flip_rate=rate)).loss
    same((1 - rate) * kept + rate * flipped, clean, "mean loss over flips")


def conservative_dpo_stops(dpo_loss: Function = dpo.dpo_loss, smoothed: Function = labels.smoothed_labels) -> None:
    """With smoothed labels the best margin is finite: β h = log((1 - ε) / ε); a tie stays a tie.

    Catches smoothing that is lopsided, or twice or half of what was said.
    """
    best = math.log(0.9 / 0.1) / 0.5
    chosen = doubles(best).requires_grad_()
    loss = dpo_loss(
        chosen, doubles(0.0), doubles(0.0), doubles(0.0), beta=0.5, p_chosen_N=smoothed(doubles(1.0), flip_rate=0.1)
    ).loss
    same(torch.autograd.grad(loss, chosen)[0], [0.0], "gradient at the best margin")
    same(smoothed(doubles(0.5, 0.0), flip_rate=0.1), [0.5, 0.1], "labels")


def hinge_has_nothing_to_say_beyond_1(hinge_loss: Function = dpo.hinge_loss) -> None:
    """max(0, 1 - βh), by hand on either side of 1 and of 0.

    Catches a missing floor, which pays for ever larger margins, and a hinge at 0.
    """
    found = hinge_loss(*_FOUR, beta=0.5, p_chosen_N=doubles(1.0, 1.0))
    same(found.loss, (0.25 + 1.25) / 2, "loss")
    same(hinge_loss(*_FOUR, beta=4.0, p_chosen_N=doubles(1.0, 0.0)).loss, 0.0, "loss beyond 1")


def anchor_is_a_mean_over_tokens(anchored: Function = dpo.anchored_dpo_loss) -> None:
    """DPO's loss plus α times the chosen completion's nats per token, by hand.

    Catches an anchor that pushes away, a sum in place of a mean, and the anchor of the other side.
    """
    found = anchored(*_FOUR, torch.tensor([2, 5]), torch.tensor([4, 1]), beta=0.5, anchor=0.1)
    plain = (_cross_entropy(0.75, 1.0) + _cross_entropy(-0.25, 1.0)) / 2
    same(found.loss, plain + 0.1 * (3.0 / 2 + 5.0 / 5) / 2, "loss")


def simpo_compares_means(simpo: Function = reference_free.simpo_loss) -> None:
    """-log σ(β (mean of chosen - mean of rejected) - γ), by hand.

    Catches sums, lengths exchanged, and a margin that is given instead of required.
    """
    found = simpo(_CHOSEN, _REJECTED, torch.tensor([2, 5]), torch.tensor([4, 1]), beta=2.0, required=0.5)
    margins = [2 * (-1.5 + 1.0), 2 * (-1.0 + 2.0)]
    same(found.margins_N, margins, "margins")
    same(found.loss, sum(_cross_entropy(m - 0.5, 1.0) for m in margins) / 2, "loss")


def orpo_compares_odds(orpo: Function = reference_free.orpo_loss) -> None:
    """Nats per token of the chosen side, and λ times the logistic loss of the log-odds, by hand.

    Catches probabilities in place of odds, odds of whole completions, and a missing supervised part.
    """
    found = orpo(doubles(-2.0), doubles(-3.0), torch.tensor([4]), torch.tensor([2]), odds_weight=0.3)
    odds = [math.exp(x) / (1 - math.exp(x)) for x in (-0.5, -1.5)]
    margin = math.log(odds[0] / odds[1])
    same(found.margins_N, [margin], "margin")
    same(found.loss, 0.5 + 0.3 * _cross_entropy(margin, 1.0), "loss")


def kto_saturates_on_both_sides(kto_loss: Function = kto.kto_loss) -> None:
    """λ (1 - σ(±β (r - z))), by hand: good above the reference point, bad below; no gradient of the reference.

    Catches good and bad exchanged, a reference point that is left out or added, and λ on the wrong side.
    """
    policy, reference = doubles(-3.0, -5.0).requires_grad_(), doubles(-4.0, -4.5).requires_grad_()
    found = kto_loss(
        policy, reference, doubles(1.0, 0.0), beta=0.5, reference_point_nats=0.2, good_weight=2.0, bad_weight=3.0
    )
    good, bad = _sigmoid(-0.5 * (1.0 - 0.2)), _sigmoid(0.5 * (-0.5 - 0.2))
    same(found.loss, (2 * good + 3 * bad) / 2, "loss")
    same(found.rewards_N, [0.5, -0.25], "rewards")
    ours, theirs = torch.autograd.grad(found.loss, (policy, reference), allow_unused=True)
    same(ours, [-2 * 0.5 * good * (1 - good) / 2, 3 * 0.5 * bad * (1 - bad) / 2], "gradient of the policy")
    same(torch.zeros(2) if theirs is None else theirs, [0.0, 0.0], "gradient of the reference")


def kto_pulls_towards_the_good(kto_loss: Function = kto.kto_loss) -> None:
    """Where completions are called good by chance p, the one called good more often becomes likelier.

    Catches a sign, which a single value can hide.
    """
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    logs = logits - logits.exp().sum().log()
    loss = kto_loss(logs, logs.detach(), doubles(0.9, 0.5, 0.1), beta=0.3, reference_point_nats=0.0).loss
    (gradient,) = torch.autograd.grad(loss, logits)
    holds(gradient[0] < gradient[1] < gradient[2], "descent raises what is called good, and lowers what is called bad")


def kto_reference_point_is_never_negative(point: Function = kto.kto_reference_point) -> None:
    """max(0, mean log-ratio) over the whole batch.

    Catches a missing floor, a floor per row, and the ratio upside down.
    """
    same(point(doubles(-1.0, -4.0), doubles(-3.0, -3.0)), 0.5, "reference point")
    same(point(doubles(-3.0, -4.0), doubles(-1.0, -3.0)), 0.0, "reference point of a policy below its reference")


def a_run_of_dpo_begins_at_log_2(train: Function = recipe.train) -> None:
    """The first step of a real run: loss log 2, margin 0, and nothing displaced, though rows differ in length.

    Catches a reference that was computed for other rows, other weights or another truncation, and a
    displacement that is measured against nothing.
    """
    rows = [
        Preference(comparison=str(i), prompt=Prompt.of(f"is it {i}"), chosen="yes " * i, rejected="no", p_chosen=0.9)
        for i in (3, 1, 2)
    ]
    with tempfile.TemporaryDirectory() as place:
        workspace = Workspace(Path(place))
        config = recipe.DPOConfig(batch_size=3, micro_batch=2, learning_rate=1e-3)
        made = train(config, model_folder(Path(place) / "model"), rows, workspace)
        text = (workspace.run_folder(made.name) / "metrics.jsonl").read_text(encoding="utf-8")
    first = json.loads(text.splitlines()[0])
    same(first["loss"], math.log(2), "loss", within=1e-5)
    same(first["margin"], 0.0, "margin", within=1e-5)
    same(first["logprob/chosen_change_nats"], 0.0, "change of the chosen log-probability", within=1e-4)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _cross_entropy(margin: float, p: float) -> float:
    return p * math.log(1 + math.exp(-margin)) + (1 - p) * math.log(1 + math.exp(margin))


def _population_gradient(loss: Function, tilt: Function) -> Tensor:
    """Of a loss over all ordered pairs of five completions, at π_ref exp(tilt) / Z."""
    scores, reference, beta = numbers(1, 5), numbers(2, 5), 0.4
    refs = reference - reference.exp().sum().log()
    logits = (refs + tilt(scores, beta)).requires_grad_()
    logs = logits - logits.exp().sum().log()
    first, second = (x.flatten() for x in torch.meshgrid(torch.arange(5), torch.arange(5), indexing="ij"))
    p = 1 / (1 + (scores[second] - scores[first]).exp())
    found = loss(logs[first], logs[second], refs[first], refs[second], beta=beta, p_chosen_N=p).loss
    gradient: Tensor = torch.autograd.grad(found, logits)[0]
    return gradient
