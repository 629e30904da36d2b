"""A policy that learns from its own answers as a judge ranks them, round after round, where gold is known exactly.

Each round the policy draws pairs of answers, the judge says how probable it is that the first is better, and DPO takes
a few steps from where the policy is. The judge is a Bradley-Terry model of letters, pairs of them and length; every
round it is trained anew on a resample of what people have said so far. From one round on it is fond of a feature, by
as much as the injection says. Of a random share of the pairs a person says which is better, in the judge's place;
that is what the detector is given. What gold is worth at which round, and whether it falls at all, is read off
afterwards.

Shapes: `R` rounds, `K` all answers, `N` pairs, `D` what the judge sees of an answer.

Source: rounds of self-rewarding: Yuan et al. 2024, arXiv:2401.10020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.functional.dpo import dpo_loss
from palate.judging.collapse import Audited, Seen, Signs
from palate.preferences.filtering import fit_logistic
from palate.world.exact.answers import LETTERS, Samples, all_logprobs, answers, numbers, sample, seen
from palate.world.exact.bandit import unit_variance
from palate.world.exact.gaming import EMPTY, HEDGE, PRICE, World

FONDNESSES: Final = ("flattery", "hedging", "repetition")
"""What a judge may grow fond of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfPlayConfig:
    """Settings of a run."""

    rounds: int = 12
    pairs: int = 1000
    """That are judged in a round."""
    steps: int = 12
    """Of DPO in a round, each on all its pairs."""
    learning_rate: float = 0.03
    """Of Adam, on logits."""
    beta: float = 0.1
    """DPO's."""
    labels: int = 1500
    """Pairs of the first policy that people labelled to train the judge."""
    checked: int = 1000
    """Further ones on which the judge is held against people before the first round."""

    def __post_init__(self) -> None:
        if min(self.rounds, self.pairs, self.steps, self.learning_rate, self.beta, self.labels, self.checked) <= 0:
            raise ConfigError("these settings of self-play cannot work", expected="numbers above 0", found=str(self))


class Injection(NamedTuple):
    """What happens to the judge."""

    feature: str
    """One of `FONDNESSES`."""
    strength: float
    """Nats for a deviation of the feature under the first policy, over the sharpness of people."""
    round: int
    """From which on, from 1; 0: the judge that people checked before the first round was fond already."""


class Run(NamedTuple):
    """A run, and the truth about it."""

    gold_R: np.ndarray
    """E[gold] above the first policy's, before round 1 and after each: one more than rounds."""
    kl_R: np.ndarray
    """KL(π ‖ first policy), nats, at the same moments."""
    before: list[Audited]
    """Audits of the judge before round 1."""
    seen: list[Seen]
    """What the detector is given, round by round."""

    @property
    def kept(self) -> float:
        """What is left at the end of the largest gain."""
        return float(self.gold_R[-1] / self.gold_R.max()) if self.gold_R.max() > 0 else 0.0

    @property
    def last_in_time(self) -> int:
        """The last round that can be called off before 2 % of the largest gain is lost after its peak."""
        peak = int(self.gold_R.argmax())
        lost = np.flatnonzero(self.gold_R[peak:] < 0.98 * self.gold_R.max())
        return peak + int(lost[0]) if len(lost) else len(self.gold_R) - 1

    def ended(self, at: int | None) -> Run:
        """The run as it is when round `at` is called off, and the policy before it kept; whole when none is."""
        if at is None:
            return self
        return self._replace(gold_R=self.gold_R[:at], kl_R=self.kl_R[:at], seen=self.seen[:at])


def injection(seed: int, *, rounds: tuple[int, int] = (3, 8), strengths: tuple[float, float] = (1.5, 3.5)) -> Injection:
    """A fondness whose feature, strength and first round are drawn evenly."""
    rng = np.random.default_rng(derive_seed(seed, "injection"))
    feature = FONDNESSES[int(rng.integers(len(FONDNESSES)))]
    return Injection(feature, float(rng.uniform(*strengths)), int(rng.integers(rounds[0], rounds[1] + 1)))


def play(world: World, config: SelfPlayConfig, audit: float, injected: Injection | None, seed: int) -> Run:
    """A run to its end, whatever the detector would say.

    Runs of one seed draw with the same luck, so that arms differ by audits and by the injection alone.

    Args:
        world: Where gold is known.
        config: Settings.
        audit: Share of the pairs that a person decides.
        injected: What happens to the judge, if anything.
        seed: Of everything that is drawn.
    """
    people = _People(world, config, seed)
    first_D = people.judge(0)
    none_K = torch.zeros_like(world.gold_K)
    fond_K = _fondness(world, injected) if injected else none_K
    at_first_K = fond_K if injected and injected.round == 0 else none_K
    before = people.audits(world.reference_CV, first_D, at_first_K, config.checked)
    logits_CV = world.reference_CV.clone().requires_grad_()
    optimizer = torch.optim.Adam([logits_CV], lr=config.learning_rate, betas=(0.9, 0.95))
    gold, kl, seen = [float(world.ref_logprobs_K.exp() @ world.gold_K)], [0.0], []
    for number in range(1, config.rounds + 1):
        drawn = _draw(logits_CV, config.pairs, derive_seed(seed, "samples", number))
        first_N, second_N = numbers(drawn.tokens_BT).chunk(2)
        now_K = fond_K if injected and number >= injected.round else none_K
        p_N = people.thinks(people.judge(number), now_K, first_N, second_N)
        first_judge_N = people.thinks(first_D, at_first_K, first_N, second_N)
        looked_at_N = people.chosen(len(p_N), audit, number)
        said_N = people.say(first_N, second_N, number)[looked_at_N]
        audited = [Audited(float(p), float(y)) for p, y in zip(p_N[looked_at_N], said_N, strict=True)]
        signs = _signs(drawn, logits_CV, world, p_N, first_judge_N)
        seen.append(Seen(audited, signs))
        p_N[looked_at_N] = said_N
        people.remember(first_N[looked_at_N], second_N[looked_at_N], said_N)
        _learn(logits_CV, optimizer, drawn, p_N, config)
        with torch.no_grad():
            logprobs_K = all_logprobs(logits_CV)
        pi_K = logprobs_K.exp()
        gold.append(float(pi_K @ world.gold_K))
        kl.append(float(pi_K @ (logprobs_K - world.ref_logprobs_K)))
    return Run(np.array(gold) - gold[0], np.array(kl), before, seen)


class _People:
    """Who label, and the judge that learns from what they said."""

    def __init__(self, world: World, config: SelfPlayConfig, seed: int) -> None:
        self.world, self.seed = world, seed
        self.seen_KD = seen("pairs")
        drawn = _draw(world.reference_CV, config.labels, derive_seed(seed, "labelled"))
        first_N, second_N = numbers(drawn.tokens_BT).chunk(2)
        self.rows_ND = self.seen_KD[first_N] - self.seen_KD[second_N]
        self.said_N = self.say(first_N, second_N, 0)

    def say(self, first_N: Tensor, second_N: Tensor, number: int) -> Float[Tensor, " N"]:
        """1 with probability σ(sharpness · difference in gold), else 0."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "people", number))
        gap_N = self.world.gold_K[first_N] - self.world.gold_K[second_N]
        luck_N = torch.rand(len(gap_N), generator=generator, dtype=torch.float64)
        return (luck_N < (self.world.sharpness * gap_N).sigmoid()).double()

    def remember(self, first_N: Tensor, second_N: Tensor, said_N: Tensor) -> None:
        """Pairs from which the judge will learn too."""
        if len(said_N):
            self.rows_ND = torch.cat([self.rows_ND, self.seen_KD[first_N] - self.seen_KD[second_N]])
            self.said_N = torch.cat([self.said_N, said_N])

    def judge(self, number: int) -> Float[Tensor, " D"]:
        """The judge of a round, trained on a resample of all that people said so far."""
        rng = np.random.default_rng(derive_seed(self.seed, "judge", number))
        rows = rng.integers(len(self.said_N), size=len(self.said_N))
        return torch.from_numpy(fit_logistic(self.rows_ND.numpy()[rows], self.said_N.numpy()[rows], PRICE))

    def thinks(self, weights_D: Tensor, fond_K: Tensor, first_N: Tensor, second_N: Tensor) -> Float[Tensor, " N"]:
        """How probable it is to a judge that the first is better."""
        margins_N = (self.seen_KD[first_N] - self.seen_KD[second_N]) @ weights_D
        return (margins_N + fond_K[first_N] - fond_K[second_N]).sigmoid()

    def chosen(self, count: int, share: float, number: int) -> Int[Tensor, " N"]:
        """Which pairs of a round are looked at; more of them at a larger share."""
        rng = np.random.default_rng(derive_seed(self.seed, "looked at", number))
        return torch.from_numpy(rng.permutation(count)[: round(share * count)])

    def audits(self, logits_CV: Tensor, weights_D: Tensor, fond_K: Tensor, count: int) -> list[Audited]:
        """Fresh pairs of a policy that a judge and people have decided."""
        drawn = _draw(logits_CV, count, derive_seed(self.seed, "checked"))
        first_N, second_N = numbers(drawn.tokens_BT).chunk(2)
        p_N, said_N = self.thinks(weights_D, fond_K, first_N, second_N), self.say(first_N, second_N, -1)
        return [Audited(float(p), float(y)) for p, y in zip(p_N, said_N, strict=True)]


def _fondness(world: World, injected: Injection) -> Float[Tensor, " K"]:
    every = answers()
    features = {
        "flattery": lambda: every.counts_KV[:, EMPTY],
        "hedging": lambda: every.counts_KV[:, HEDGE],
        "repetition": lambda: every.pairs_KP[:, :: LETTERS + 1].sum(-1),
    }
    z_K = unit_variance(features[injected.feature](), world.ref_logprobs_K.exp())
    return injected.strength * world.sharpness * z_K


def _draw(logits_CV: Tensor, pairs: int, seed: int) -> Samples:
    with torch.no_grad():
        return sample(logits_CV, 2 * pairs, torch.Generator().manual_seed(seed))


def _signs(drawn: Samples, logits_CV: Tensor, world: World, p_N: Tensor, first_judge_N: Tensor) -> Signs:
    """What a round shows without a person. There is one prompt, and this judge sees no order."""
    with torch.no_grad():
        own_BT = drawn.logprobs(logits_CV) * drawn.mask_BT
        was_BT = drawn.logprobs(world.reference_CV) * drawn.mask_BT
    return Signs(
        margin=float((p_N - 0.5).abs().mean()),
        length=float(drawn.mask_BT.sum(-1).double().mean()),
        entropy=float(-own_BT.sum() / drawn.mask_BT.sum()),
        kl_nats=float((own_BT - was_BT).sum(-1).mean()),
        first_judge_doubts=float(((p_N - first_judge_N) * (p_N - 0.5).sign()).mean()),
    )


def _learn(
    logits_CV: Tensor, optimizer: torch.optim.Optimizer, drawn: Samples, p_N: Tensor, config: SelfPlayConfig
) -> None:
    """Some steps of DPO whose reference is the policy that drew the pairs."""
    with torch.no_grad():
        reference_N2 = (drawn.logprobs(logits_CV) * drawn.mask_BT).sum(-1).chunk(2)
    for _ in range(config.steps):
        optimizer.zero_grad()
        policy_N2 = (drawn.logprobs(logits_CV) * drawn.mask_BT).sum(-1).chunk(2)
        dpo_loss(*policy_N2, *reference_N2, beta=config.beta, p_chosen_N=p_N).loss.backward()
        optimizer.step()
