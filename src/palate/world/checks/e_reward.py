"""Checks of group E: what a reward model learns from, and how it is judged.

Shapes: `B` completions, `N` preference rows. Margins in nats.
"""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from palate.core.artefacts import Workspace
from palate.core.records import Preference, Prompt
from palate.evaluation import statistics
from palate.functional import ensemble, labels, pairwise, ranking, reward_model
from palate.models import load, tiny
from palate.preferences import aggregate, strengths
from palate.training import pairs as preference_pairs
from palate.training import reward as recipe
from palate.training.selection import Selection
from palate.training.settings import HeldoutConfig
from palate.world.checks.material import Function, model_folder, numbers
from palate.world.checks.values import doubles, equal, same


def bradley_terry_is_a_cross_entropy(loss: Function = pairwise.bradley_terry_loss) -> None:
    """-(p log σ(m) + (1 - p) log σ(-m)), a weighted mean, by hand; log 2 at a margin of 0.

    Catches a label that is rounded, a wrong side, a missing half of it, and weights that are ignored.
    """
    same(loss(doubles(0.0, 0.0), doubles(1.0, 0.3)), math.log(2), "loss at a margin of 0")
    found = loss(doubles(1.0, -2.0), doubles(0.75, 1.0), doubles(1.0, 3.0))
    first = 0.75 * math.log(1 + math.exp(-1)) + 0.25 * math.log(1 + math.exp(1))
    same(found, (first + 3 * math.log(1 + math.exp(2))) / 4, "loss")


def bradley_terry_is_stable(loss: Function = pairwise.bradley_terry_loss) -> None:
    """At margins of ±1000 the loss is 0 or 1000, and the gradient 0 or -1.

    Catches log(σ(m)), which is -∞ there and trains on NaN.
    """
    margins = doubles(1000.0, -1000.0).requires_grad_()
    found = loss(margins, doubles(1.0, 1.0))
    same(found, 500.0, "loss")
    same(torch.autograd.grad(found, margins)[0], [0.0, -0.5], "gradient")


def bradley_terry_has_its_gradient(loss: Function = pairwise.bradley_terry_loss) -> None:
    """dℓ/dm = σ(m) - p: both orders of a pair pull with opposite forces, and a tie pulls towards 0.

    Catches a swap that is not symmetric.
    """
    margins = doubles(0.7, -0.7, 0.7).requires_grad_()
    (gradient,) = torch.autograd.grad(3 * loss(margins, doubles(0.9, 0.1, 0.5)), margins)
    s = 1 / (1 + math.exp(-0.7))
    same(gradient, [s - 0.9, 0.9 - s, s - 0.5], "gradient")


def weighted_losses_add_up(loss: Function = pairwise.bradley_terry_loss) -> None:
    """Rows one by one, over the batch's sum of weights, give the loss of the batch.

    Catches a denominator that is the micro-batch's own, and one that counts rows.
    """
    margins, p, weights = numbers(1, 5), doubles(1.0, 0.5, 0.7, 0.0, 1.0), doubles(1.0, 0.5, 2.0, 0.0, 3.0)
    total = float(weights.sum())
    rows = [slice(i, i + 1) for i in range(5)]
    parts = sum(loss(margins[i], p[i], weights[i], denominator=total) for i in rows)
    same(parts, loss(margins, p, weights), "sum over rows")


def ties_count_half(accuracy: Function = pairwise.bradley_terry_accuracy) -> None:
    """A margin of 0 is half right, whatever the label; a label of ½ is half right, whatever the margin.

    Catches ties that count as right, or as wrong.
    """
    found = accuracy(doubles(0.0, 1.0, -1.0, 2.0), doubles(1.0, 0.9, 0.9, 0.5))
    same(found, (0.5 + 1.0 + 0.0 + 0.5) / 4, "accuracy")


def margin_is_required_of_either_side(loss: Function = reward_model.margin_loss) -> None:
    """-(p log σ(m - a) + (1 - p) log σ(-m - a)), by hand.

    Catches a margin that is added, or one that is required of the first side only.
    """
    found = loss(doubles(2.0, 2.0), doubles(1.0, 0.0), doubles(0.5, 0.5))
    same(found, 0.5 * (math.log(1 + math.exp(-1.5)) + math.log(1 + math.exp(2.5))), "loss")


def centring_moves_the_level_only(loss: Function = reward_model.centring_loss) -> None:
    """(r₁ + r₂)²: 0 for opposite scores, and the same gradient for both.

    Catches (r₁ - r₂)², which would shrink what was learned.
    """
    first, second = doubles(1.0, 2.0).requires_grad_(), doubles(-1.0, 1.0).requires_grad_()
    found = loss(first, second)
    same(found, 4.5, "loss")
    for gradient in torch.autograd.grad(found, (first, second)):
        same(gradient, [0.0, 3.0], "gradient")


def flips_are_told_from_preferences(loss: Function = reward_model.flip_aware_loss) -> None:
    """-log((1 - ε) σ(m) + ε σ(-m)): least at the clean margin, though the labels are noisy.

    Catches ε on the wrong side, and a correction that is none.
    """
    s = 1 / (1 + math.exp(-3.0))
    same(loss(doubles(3.0), doubles(1.0), flip_rate=0.1), -math.log(0.9 * s + 0.1 * (1 - s)), "loss")
    clean = 0.4
    noisy = 0.8 * (1 / (1 + math.exp(-clean))) + 0.1
    margin = doubles(clean).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(margin, doubles(noisy), flip_rate=0.1), margin)
    same(gradient, [0.0], "gradient at the clean margin")


def denoised_labels_undo_the_flips(denoised: Function = labels.denoised_labels) -> None:
    """A label that was flipped with probability ε has, denoised, the clean one as its mean.

    Catches smoothing under this name, and a missing 1 - 2ε.
    """
    for rate in (0.0, 0.1, 0.3):
        said = denoised(doubles(1.0, 0.0), flip_rate=rate)
        same((1 - rate) * said[0] + rate * said[1], 1.0, f"mean of what becomes of a label of 1 at ε = {rate}")
        same(denoised(doubles(0.5), flip_rate=rate), [0.5], "a tie")


def soft_labels_are_shares(soft_label: Function = aggregate.soft_label) -> None:
    """(first + tie / 2 + c) / (all + 2c): a tie is half a vote for each side.

    Catches ties that are dropped, or given to one side, and a prior that counts once.
    """
    same(soft_label(3, 0, 0, prior=0.25), 3.25 / 3.5, "three of one mind")
    same(soft_label(1, 1, 4, prior=0.25), 0.5, "as many for as against")
    same(soft_label(2, 0, 1, prior=0.5), 3.0 / 4.0, "two and a tie")


def rankings_become_all_pairs(ranked_pairs: Function = ranking.ranked_pairs) -> None:
    """Of 3 and 2 completions to two prompts: 3 + 1 pairs, each once, a prompt's pairs weighing 1 together.

    Catches ranks upside down, pairs across prompts, both orders of a pair, and prompts that weigh by their pairs.
    """
    ranks, prompts = torch.tensor([1, 5, 2, 3, 3]), torch.tensor([7, 4, 7, 7, 4])
    found = ranked_pairs(ranks, prompts)
    rows = sorted(zip(*(x.tolist() for x in found[:3]), strict=True))
    equal(rows, [(0, 2, 1.0), (0, 3, 1.0), (1, 4, 0.0), (2, 3, 1.0)], "pairs, and what was said")
    weights = {
        (int(i), int(j)): float(w) for i, j, w in zip(found.first_N, found.second_N, found.weights_N, strict=True)
    }
    same(
        [weights[0, 2], weights[0, 3], weights[2, 3], weights[1, 4]], [1 / 3, 1 / 3, 1 / 3, 1.0], "weights", within=1e-6
    )
    equal(found.prompts, 2, "prompts")


def calibration_error_is_a_weighted_gap(error: Function = statistics.calibration_error) -> None:
    """Mean over bins of equal count of |stated - observed|, by hand; 0 for honest probabilities.

    Catches gaps that cancel, bins that are not sorted, and bins that weigh alike whatever they hold.
    """
    same(error([0.9, 0.1, 0.9, 0.1], [1.0, 0.0, 1.0, 0.0], bins=2), 0.1, "two bins")
    same(error([0.5] * 4, [1.0, 0.0, 1.0, 0.0], bins=1), 0.0, "a fair coin")
    found = error([0.1, 0.2, 0.3, 0.4, 0.8], [0.0, 0.0, 1.0, 0.0, 1.0], bins=2)
    same(found, (abs(0.6 - 1.0) + abs(1.2 - 1.0)) / 5, "bins of three and two")


def strengths_know_nothing_of_their_level(fit: Function = strengths.fit) -> None:
    """3 wins of 4 between two items: a difference of log 3, of variance 1/3 + 1, and a sum of 0 without a variance.

    Catches an information of one order only, and a level that is counted as known.
    """
    values, inverse = fit(np.array([[[0.0, 3.0], [1.0, 0.0]]]))
    same(values[0, 0] - values[0, 1], math.log(3), "difference of strengths")
    same(inverse[0, 0, 0] + inverse[0, 1, 1] - 2 * inverse[0, 0, 1], 4 / 3, "its variance")
    same(inverse[0].sum(), 0.0, "variance of the level")


def disagreement_of_members_costs(
    weighted: Function = ensemble.uncertainty_weighted_reward, pessimistic: Function = ensemble.pessimistic_reward
) -> None:
    """Scores of 1, 3 and 2: the mean less λ · 2/3, and -log mean exp(-r), between the worst and the mean.

    Catches a price with the wrong sign, and a sum over members.
    """
    scores_MB = doubles([1.0], [3.0], [2.0])
    same(weighted(scores_MB, weight=0.3), [1.8], "uncertainty-weighted reward")
    by_hand = -math.log((math.exp(-1) + math.exp(-3) + math.exp(-2)) / 3)
    same(pessimistic(scores_MB, b=1.0), [by_hand], "pessimistic reward")


def longer_wins_is_what_the_chosen_side_is(
    encode: Function = preference_pairs.encode, judge_heldout: Function = preference_pairs.judge_heldout
) -> None:
    """Of three pairs the chosen text is longer in one, and the model right in one and undecided in one.

    Catches a baseline of the rejected side, which hides that length explains a reward model.
    """
    tokenizer = tiny.train_tokenizer(["yes no"], vocab_size=300, kind="words")
    sides = (("yes yes", "no"), ("no", "yes yes"), ("no", "yes no"))
    rows = [
        Preference(comparison=str(i), prompt=Prompt.of("no"), chosen=chosen, rejected=rejected, p_chosen=1.0)
        for i, (chosen, rejected) in enumerate(sides)
    ]
    with tempfile.TemporaryDirectory() as place:
        found = judge_heldout(Path(place), encode(tokenizer, rows, 64).rows, doubles(0.5, 0.0, -1.0))
    same([found.longer_wins, found.accuracy], [1 / 3, 0.5], "longer wins, and accuracy", within=1e-6)


def a_run_of_reward_begins_at_log_2_and_ends_at_variance_1(train: Function = recipe.train) -> None:
    """The first loss of a real run is within 0.02 of log 2, and its scores have variance 1 in the end.

    Catches a head that begins with large scores, and scores whose unit, and so β, is left to chance.
    """
    rows = [
        Preference(comparison=str(i), prompt=Prompt.of("it is " * i), chosen="yes " * i, rejected="no", p_chosen=0.5)
        for i in (1, 2, 3)
    ]
    with tempfile.TemporaryDirectory() as place:
        workspace = Workspace(Path(place))
        made = train(recipe.RewardConfig(), model_folder(Path(place) / "model"), rows, workspace)
        text = (workspace.run_folder(made.name) / "metrics.jsonl").read_text(encoding="utf-8")
        model, tokenizer = load.load_reward(made)
        pairs = preference_pairs.encode(tokenizer, rows, 64).rows
        given = [[*pair.prompt, *side] for pair in pairs for side in (pair.chosen, pair.rejected)]
        with torch.no_grad():
            scores = [float(model(input_ids=torch.tensor([ids])).logits[0, 0]) for ids in given]
    same(json.loads(text.splitlines()[0])["loss"], math.log(2), "first loss", within=0.02)
    same(torch.tensor(scores).var(), 1.0, "variance of the scores", within=1e-3)


def the_best_look_decides(selection: Function = Selection) -> None:
    """Looks of 3, 1, 2 and 2.5: the weights of the second one are kept, and two worse ones end the run.

    Catches the worst look, the last one, and patience that never runs out.
    """
    weight, looks = torch.nn.Linear(1, 1, bias=False), iter([3.0, 1.0, 2.0, 2.5])
    with tempfile.TemporaryDirectory() as place:
        run = SimpleNamespace(folder=Path(place), progress=None)
        config = HeldoutConfig(evaluate_every=1, patience=2, select="best")
        made = selection(config, run, weight, lambda: {"heldout/loss": next(looks)})
        ends = []
        for step in (1, 2, 3, 4):
            torch.nn.init.constant_(weight.weight, float(step))
            made.after(step)
            ends.append(made.over)
        made.settle()
    equal(ends, [False, False, False, True], "when to stop")
    same(weight.weight, [[2.0]], "weights that are kept")
