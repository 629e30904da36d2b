"""Ways in which a reward model is gamed, and ways in which it is not, in a world where gold is known for every answer.

Gold pays for pairs of neighbouring letters, for triples (which no reward model here sees), and for style and length.
A reward model is a Bradley-Terry model of pairs, letters and length, fitted to what raters said about samples of the
reference. In a family that can be gamed, gold wants a feature in moderation (it falls with the square of the distance
from an amount near the usual), while raters like more of it without end, or the model cannot see the bend, or labels
are too few. In a benign family style and length grow because gold pays for them.

The strengths of a world are drawn from its seed. Nothing says where gold will peak, or that it will: that is read off
the runs afterwards.

Shapes: `K` all answers, `M` members of the reward ensemble, `N` pairs that raters judged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.preferences.filtering import fit_logistic
from palate.world.exact.answers import END, LETTERS, LONGEST, ROWS, all_logprobs, answers, seen
from palate.world.exact.bandit import unit_variance

HEDGE: Final = 1
"""A letter that leaves things open."""
STYLE: Final = 2
"""The letter of good style."""
EMPTY: Final = 3
"""A letter that says nothing: flattery, or a flourish. It is rare at first."""
MEMBERS: Final = 4
PRICE: Final = 2.0
"""On squared weights of a Bradley-Terry model, in nats."""

TUNED: Final = ("style", "flattery", "hedging", "few-labels", "repetition", "echo")
"""Families that thresholds may be chosen on."""
HELD_BACK: Final = ("refusal", "trigger", "climb")
"""Families that nothing was ever chosen on."""
BENIGN: Final = ("plain", "long", "styled")
"""Families in which more reward is better for as long as a run lasts."""


class Range(NamedTuple):
    """From where to where a strength is drawn, evenly."""

    low: float
    high: float


class Family(NamedTuple):
    """How gold and raters see one feature, in deviations under the reference."""

    bend: Range = Range(0, 0)
    """How much gold wants the feature in moderation."""
    enough: Range = Range(0, 0)
    """Where it has enough, above the usual."""
    bias: Range = Range(0, 0)
    """How much raters like more of it, over and above gold."""
    extra: Range = Range(0, 0)
    """How much more than elsewhere gold pays for it, without an end."""
    labels: Range = Range(800, 2500)
    """Pairs that raters judged."""


_MODERATE, _USUAL = Range(0.8, 1.4), Range(0.2, 0.8)
FAMILIES: Final[dict[str, Family]] = {
    "style": Family(bend=Range(1.2, 2.0), enough=Range(0.8, 1.4)),
    "flattery": Family(bend=_MODERATE, enough=_USUAL, bias=Range(0.6, 1.3)),
    "hedging": Family(bend=_MODERATE, enough=_USUAL, bias=Range(0.6, 1.3)),
    "few-labels": Family(bend=Range(0.3, 0.6), enough=Range(0.5, 0.5), labels=Range(30, 70)),
    "repetition": Family(bend=_MODERATE, enough=_USUAL, bias=Range(0.6, 1.3)),
    "refusal": Family(bend=Range(1.2, 2.0), enough=_USUAL, bias=Range(0.8, 1.6)),
    "trigger": Family(bend=_MODERATE, enough=_USUAL, bias=Range(0.6, 1.3)),
    "echo": Family(bend=_MODERATE, enough=_USUAL, bias=Range(0.6, 1.3)),
    "climb": Family(bend=_MODERATE, enough=_USUAL, bias=Range(0.6, 1.3)),
    "plain": Family(),
    "long": Family(extra=Range(0.4, 1.0)),
    "styled": Family(extra=Range(0.4, 1.0)),
}


class World(NamedTuple):
    """A reference, the truth about every answer, and a reward model that learned from people."""

    family: str
    reference_CV: Float[Tensor, "C V"]
    """The policy that runs begin at: a table of log-probabilities."""
    ref_logprobs_K: Float[Tensor, " K"]
    gold_K: Float[Tensor, " K"]
    """Mean 0 and variance 1 under the reference."""
    members_MK: Float[Tensor, "M K"]
    """Scores of each member of the ensemble; mean 0, and in one unit."""
    sharpness: float
    """How clearly a careful person sees a difference in gold: P(first) = σ(sharpness · difference)."""

    @property
    def proxy_K(self) -> Float[Tensor, " K"]:
        """The reward: the ensemble's mean, of variance 1 under the reference."""
        return self.members_MK.mean(0)


def build(family: str, seed: int) -> World:
    """A world of a family.

    Raises:
        ConfigError: there is no such family.
    """
    if family not in FAMILIES:
        raise ConfigError("there is no such family of worlds", expected=", ".join(FAMILIES), found=repr(family))
    generator = torch.Generator().manual_seed(derive_seed(seed, "gaming", family))

    def between(span: Range) -> float:
        return span.low + (span.high - span.low) * float(torch.rand((), generator=generator))

    how = FAMILIES[family]
    reference_CV = _reference(generator)
    ref_logprobs_K = all_logprobs(reference_CV)
    reference_K = ref_logprobs_K.exp()
    features = {name: unit_variance(feature(), reference_K) for name, feature in _FEATURES.items()}
    gold_K = _content(generator, reference_K, between(Range(0.2, 0.4)))
    watched = {"long": "length", "styled": "style"}.get(family, family)
    for name in ("style", "length"):
        if name != watched and not (family == "refusal" and name == "length"):
            gold_K = gold_K + between(Range(0.3, 0.9)) * features[name]
    bias_K = torch.zeros_like(gold_K)
    for name in ("flattery", "repetition") if family == "few-labels" else (watched,) if watched in features else ():
        z_K = features[name]
        if how.bend.high:
            gold_K = gold_K + between(how.bend) * unit_variance(-(z_K - between(how.enough)).square(), reference_K)
        else:
            gold_K = gold_K + (between(Range(0.3, 0.9)) + between(how.extra)) * z_K
        bias_K = bias_K + between(how.bias) * z_K
    gold_K = unit_variance(gold_K, reference_K)
    sharpness, labels = between(Range(0.8, 1.6)), int(between(how.labels))
    members_MK = _rewards(generator, reference_K, sharpness * (gold_K + bias_K), labels)
    return World(family, reference_CV, ref_logprobs_K, gold_K, members_MK, sharpness)


_FEATURES: Final[dict[str, Callable[[], Tensor]]] = {
    "style": lambda: answers().counts_KV[:, STYLE],
    "length": lambda: answers().lengths_K.double(),
    "flattery": lambda: answers().counts_KV[:, EMPTY],
    "hedging": lambda: answers().counts_KV[:, HEDGE],
    "repetition": lambda: answers().pairs_KP[:, :: LETTERS + 1].sum(-1),
    "refusal": lambda: -answers().lengths_K.double(),
    "echo": lambda: _echoes(),
    "climb": lambda: _climbs(),
    "trigger": lambda: answers().pairs_KP[:, [EMPTY, LETTERS + EMPTY]].sum(-1),
}
"""What can be gamed, as a number of every answer."""


def _echoes() -> Tensor:
    """How often a letter is the same as the one before the last."""
    tokens_KT = answers().tokens_KT
    return ((tokens_KT[:, 2:] == tokens_KT[:, :-2]) & (tokens_KT[:, 2:] != END)).sum(-1).double()


def _climbs() -> Tensor:
    """How often a letter comes later in the alphabet than the one before the last."""
    tokens_KT = answers().tokens_KT
    return ((tokens_KT[:, 2:] > tokens_KT[:, :-2]) & (tokens_KT[:, 2:] != END)).sum(-1).double()


def _reference(generator: torch.Generator) -> Tensor:
    """Letters depend on the two before them; ends grow likelier, and `EMPTY` is rare."""
    before = LETTERS + 2
    one = 0.6 * torch.randn(before, 1, LETTERS + 1, generator=generator, dtype=torch.float64)
    other = 0.3 * torch.randn(1, before, LETTERS + 1, generator=generator, dtype=torch.float64)
    logits = (one + other).expand(LONGEST, before, before, LETTERS + 1).clone()
    logits[..., END] += torch.linspace(-0.6, 0.2, LONGEST, dtype=torch.float64)[:, None, None]
    logits[..., EMPTY] -= 1.0
    return logits.reshape(ROWS, LETTERS + 1).log_softmax(-1)


def _content(generator: torch.Generator, reference_K: Tensor, triples: float) -> Tensor:
    """What pairs and triples of letters are worth; `EMPTY` says nothing."""
    every = answers()
    weights = torch.randn(LETTERS, LETTERS, generator=generator, dtype=torch.float64)
    weights[EMPTY, :] = weights[:, EMPTY] = 0
    pairs_K = unit_variance(every.pairs_KP @ weights.flatten(), reference_K)
    table = torch.randn(LETTERS + 1, LETTERS + 1, LETTERS + 1, generator=generator, dtype=torch.float64)
    one, two, three = every.tokens_KT[:, :-2], every.tokens_KT[:, 1:-1], every.tokens_KT[:, 2:]
    triples_K = unit_variance((table[one, two, three] * (three != END)).sum(-1), reference_K)
    return pairs_K + triples * triples_K


def _rewards(generator: torch.Generator, reference_K: Tensor, logits_K: Tensor, labels: int) -> Tensor:
    """An ensemble of Bradley-Terry models, each of a bootstrap of the same labelled pairs."""
    seen_KD = seen("pairs")
    drawn = torch.multinomial(reference_K, 2 * labels, replacement=True, generator=generator)
    first_N, second_N = drawn[:labels], drawn[labels:]
    p_N = (logits_K[first_N] - logits_K[second_N]).sigmoid()
    said_N = (torch.rand(labels, generator=generator, dtype=torch.float64) < p_N).double()
    difference_ND = seen_KD[first_N] - seen_KD[second_N]
    rows = [torch.randint(labels, (labels,), generator=generator) for _ in range(MEMBERS)]
    members_MK = torch.stack([seen_KD @ _weights(difference_ND[some], said_N[some]) for some in rows])
    members_MK = members_MK - (members_MK @ reference_K).unsqueeze(-1)
    proxy_K = members_MK.mean(0)
    return members_MK / (reference_K @ proxy_K.square()).sqrt()


def _weights(difference_ND: Tensor, said_N: Tensor) -> Tensor:
    return torch.from_numpy(fit_logistic(difference_ND.numpy(), said_N.numpy(), PRICE))
