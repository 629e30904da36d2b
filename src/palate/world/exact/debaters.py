"""Debaters that learn by playing against themselves, and judges that learn from what was said.

A debater is a softmax over the items that are left, of a small network that is told what each quote would do; it is the
same for whoever moves, who sees everything from their own side, so the two are copies of one policy. It learns by
policy gradients from sampled debates alone: debates of one text are compared with each other (RLOO); what the judge
believes is what the first side gets, and the rest of 1 is the second's. It is shown no solution, and none of the texts
that it is held against. It does see one reply ahead; `foresight` is what that is worth without having learned.

Shapes: `N` sampled debates, `T` turns, `I` items, `D` features, `H` hidden units, `G` games, `U` sets of items, `Q`
those of them that may be quoted before a turn; see `debate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.functional.advantages import leave_one_out_advantages
from palate.functional.policy_gradient import reinforce_loss
from palate.world.exact.debate import FIRST, Texts, Tree
from palate.world.exact.debate_judge import Judge, fit, seen

FEATURES: Final = 12


_AHEAD: Final = 1
"""Which of them is the guess after the next quote."""
_GUESSES: Final = 3
"""The first of them are guesses of what the judge believes."""
_HIDDEN: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayConfig:
    """How debaters practise, and judges learn."""

    rounds: int = 4
    """Of debaters that practise against a judge, which was fitted to all that was said before."""
    steps: int = 40
    """Updates of each round but the last."""
    last_steps: int = 500
    """… of the last, against the judge that stays."""
    texts: int = 16
    """Of an update."""
    debates: int = 8
    """Of each of them, compared with each other; and of each text between two rounds, for the judge."""
    step_size: float = 0.05
    """Of Adam at the beginning of a round; it falls evenly to a tenth of it."""

    def __post_init__(self) -> None:
        if min(self.rounds, self.steps, self.last_steps, self.texts) < 1 or self.debates < 2 or self.step_size <= 0:
            raise ConfigError(
                "nothing can be learned so",
                expected="1 or more of everything, 2 debates or more, a step above 0", found=str(self),
            )  # fmt: skip


class View(NamedTuple):
    """All that debaters see at the turns of a tree, looked up once."""

    described: list[Float[Tensor, "G Q I D"]]
    """Of each turn; Q are the sets that may be quoted by then, whoever did."""
    places: list[Int[Tensor, " S"]]
    """Which of them belongs to each state."""
    masks: list[Bool[Tensor, "S I"]]


def view(texts: Texts, tree: Tree, judge: Judge) -> View:
    """Look everything up.

    Debaters see the whole text, and can guess what the judge would make of a set of quotes, and of the set after the
    next quote of whoever moves then. They do not look further ahead.
    """
    items = texts.sides_GI.shape[1]
    belief_GU = _guess(texts, tree, judge)
    described, places = [], []
    for number, turn in enumerate(tree.turns):
        sign = 1 if turn.mover == FIRST else -1
        ahead_GU = sign * belief_GU
        if number + 1 < len(tree.turns):
            ahead_GU = _after_one_more(ahead_GU, items, own=tree.turns[number + 1].mover == turn.mover)
        used_Q, place_S = turn.used_S.unique(return_inverse=True)
        described.append(describe(texts, sign, sign * belief_GU, ahead_GU, used_Q))
        places.append(place_S)
    return View(described, places, [turn.mask_SI for turn in tree.turns])


def _guess(texts: Texts, tree: Tree, judge: Judge) -> Float[Tensor, "G U"]:
    """Log-odds of the first answer to the judge, when whoever speaks at all quotes what helps them."""
    items = texts.sides_GI.shape[1]
    sets_U = torch.arange(1 << items)
    if all(turn.mover == FIRST for turn in tree.turns):
        return seen(texts, sets_U, torch.zeros_like(sets_U)) @ judge.weights_D
    side_GI = texts.sides_GI.clone()
    for item in range(items):  # a rebuttal helps the side that its target does not help
        target_G = texts.targets_GI[:, item]
        against_G = -side_GI.gather(1, target_G.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        side_GI[:, item] = torch.where(target_G >= 0, against_G, side_GI[:, item])
    bits_I = 1 << torch.arange(items)
    first_G1 = ((side_GI == 1) * bits_I).sum(-1, keepdim=True)
    return seen(texts, sets_U & first_G1, sets_U & ~first_G1) @ judge.weights_D


def _after_one_more(worth_GU: Tensor, items: int, *, own: bool) -> Tensor:
    """After another quote, by the same side or by the other."""
    sets_U, none = torch.arange(1 << items), -torch.inf if own else torch.inf
    after = [worth_GU[:, sets_U | 1 << item].masked_fill((sets_U >> item & 1).bool(), none) for item in range(items)]
    return torch.stack(after).amax(0) if own else torch.stack(after).amin(0)


def describe(
    texts: Texts, sign: int, belief_GU: Float[Tensor, "G U"], ahead_GU: Float[Tensor, "G U"],
    used_Q: Int[Tensor, " Q"],
) -> Float[Tensor, "G Q I D"]:  # fmt: skip
    """What each quote would do, as whoever moves sees it.

    Args:
        texts: The texts.
        sign: 1 where the first side moves, -1 where the second does.
        belief_GU: Log-odds of the mover's side if a set is all there is.
        ahead_GU: … and after the next quote.
        used_Q: What was quoted before.
    """
    count, items = texts.sides_GI.shape
    before_Q1, after_QI = used_Q.unsqueeze(-1), used_Q.unsqueeze(-1) | 1 << torch.arange(items)
    now_GQ1 = belief_GU[:, before_Q1]
    side_G1I, looks_G1I = sign * texts.sides_GI.unsqueeze(1), texts.strengths_GI.unsqueeze(1)
    net_GU = sign * texts.net_GU
    change_GQI = net_GU[:, after_QI] - net_GU[:, before_Q1]
    true_G1I = _bits(texts.stands_GU[:, -1], items).unsqueeze(1)
    target_GI = texts.targets_GI.clamp(min=0)
    quoted_GQI = _bits(used_Q, items)[:, target_GI].transpose(0, 1)
    is_rebuttal_G1I = side_G1I == 0
    idle_GQI = is_rebuttal_G1I & ~quoted_GQI
    stands_GQI = (texts.stands_GU[:, after_QI] & 1 << torch.arange(items)) != 0
    blocked_GQI = (side_G1I * looks_G1I).squeeze(1).gather(1, target_GI).unsqueeze(1) * idle_GQI
    told = [
        belief_GU[:, after_QI] - now_GQ1, ahead_GU[:, after_QI] - now_GQ1, now_GQ1, change_GQI,
        side_G1I * looks_G1I, side_G1I.double(), is_rebuttal_G1I.double(), idle_GQI.double(), blocked_GQI,
        stands_GQI.double(), side_G1I * looks_G1I * true_G1I, change_GQI * true_G1I,
    ]  # fmt: skip
    return torch.stack([one.expand(count, len(used_Q), items) for one in told], dim=-1)


def _bits(sets: Tensor, items: int) -> Bool[Tensor, "* I"]:
    return (sets.unsqueeze(-1) >> torch.arange(items) & 1).bool()


class Policy(NamedTuple):
    """The logit of a quote: a line in its features, and a layer of hidden units; for each turn others."""

    plain_TD: Float[Tensor, "T D"]
    into_TDH: Float[Tensor, "T D H"]
    bias_TH: Float[Tensor, "T H"]
    out_TH: Float[Tensor, "T H"]

    def logits(self, turn: int, described_ID: Float[Tensor, "*I D"]) -> Float[Tensor, "*I"]:
        """Of each quote at a turn."""
        hidden_IH = (described_ID @ self.into_TDH[turn] + self.bias_TH[turn]).relu()
        return described_ID @ self.plain_TD[turn] + hidden_IH @ self.out_TH[turn]

    def chances(self, view: View) -> list[Float[Tensor, "G S I"]]:
        """Of every quote in every state of every game."""
        found = []
        for turn, described_GQID in enumerate(view.described):
            logits_GSI = self.logits(turn, described_GQID)[:, view.places[turn]]
            found.append(logits_GSI.masked_fill(~view.masks[turn], -torch.inf).softmax(-1))
        return found


def short_sighted(view: View) -> View:
    """The same without any guess of what the judge makes of it: what a quote does to what stands, and what it is."""
    return view._replace(described=[torch.cat([0 * d[..., :_GUESSES], d[..., _GUESSES:]], -1) for d in view.described])


def foresight(view: View) -> list[Float[Tensor, "G S I"]]:
    """Debaters who have learned nothing, and quote whatever they guess to be best after the next quote."""
    found = []
    for described_GQID, place_S, mask_SI in zip(view.described, view.places, view.masks, strict=True):
        guess_GSI = described_GQID[..., _AHEAD][:, place_S].masked_fill(~mask_SI, -torch.inf)
        found.append(torch.nn.functional.one_hot(guess_GSI.argmax(-1), guess_GSI.shape[-1]).double())
    return found


def untaught(turns: int, generator: torch.Generator) -> Policy:
    """A policy that quotes whatever comes, all with equal chances."""
    zero_TH = torch.zeros(turns, _HIDDEN, dtype=torch.float64)
    into_TDH = 0.5 * torch.randn(turns, FEATURES, _HIDDEN, generator=generator, dtype=torch.float64)
    return Policy(torch.zeros(turns, FEATURES, dtype=torch.float64), into_TDH, zero_TH, zero_TH.clone())


class Debates(NamedTuple):
    """Sampled debates."""

    ends_N: Int[Tensor, " N"]
    """Where each ended, among the tree's ends."""
    logprobs_NT: Float[Tensor, "N T"]
    """Of what was quoted, with gradient."""


def debate(policy: Policy, view: View, tree: Tree, games_N: Tensor, generator: torch.Generator) -> Debates:
    """Sample debates of games, one each; a game may be named several times."""
    states_N, told = torch.zeros_like(games_N), []
    for number, turn in enumerate(tree.turns):
        described_NID = view.described[number][games_N, view.places[number][states_N]]
        logits_NI = policy.logits(number, described_NID).masked_fill(~turn.mask_SI[states_N], -torch.inf)
        logprobs_NI = logits_NI.log_softmax(-1)
        # The largest of log-probabilities with Gumbel noise is a draw, and quicker than `multinomial` in small rows.
        noise_NI = torch.empty_like(logprobs_NI).exponential_(generator=generator).log()
        drawn_N1 = (logprobs_NI.detach() - noise_NI).argmax(-1, keepdim=True)
        told.append(logprobs_NI.gather(1, drawn_N1).squeeze(-1))
        states_N = turn.next_SI[states_N, drawn_N1.squeeze(-1)]
    return Debates(states_N, torch.stack(told, dim=-1))


def practise(
    start: Policy, view: View, tree: Tree, payoff_GK: Float[Tensor, "G K"], config: PlayConfig, steps: int,
    generator: torch.Generator,
) -> Policy:  # fmt: skip
    """What becomes of debaters who argue about these texts, as copies of each other, for what a judge believes."""
    policy = Policy(*(part.clone().requires_grad_() for part in start))
    optimiser = torch.optim.Adam(list(policy), config.step_size)
    fall = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.1, steps)
    group_N = torch.arange(config.texts).repeat_interleave(config.debates)
    is_first_NT = torch.tensor([turn.mover == FIRST for turn in tree.turns]).expand(len(group_N), -1)
    for _ in range(steps):
        drawn_N = torch.randint(len(payoff_GK), (config.texts,), generator=generator).repeat_interleave(config.debates)
        said = debate(policy, view, tree, drawn_N, generator)
        advantages_N = leave_one_out_advantages(payoff_GK[drawn_N, said.ends_N], group_N).advantages_B
        loss = reinforce_loss(said.logprobs_NT, advantages_N, is_first_NT, completions=len(drawn_N))
        loss = loss + reinforce_loss(said.logprobs_NT, -advantages_N, ~is_first_NT, completions=len(drawn_N))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        fall.step()
    return Policy(*(part.detach() for part in policy))


class Settled(NamedTuple):
    """Who argues, and who judges it."""

    policy: Policy
    judge: Judge
    refitted: Judge
    """A judge of what these debaters say alone, to whom they have not adapted in their turn."""


def settle(texts: Texts, tree: Tree, config: PlayConfig, seed: int) -> Settled:
    """Judges and debaters in turn: a judge of all that was said so far, and debaters who learn what it believes.

    The first judge has heard quotes at random. The last one stays, and the debaters practise against it once more; so
    whatever it has not heard, they may find.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "settle"))
    games_N = torch.arange(len(texts.sides_GI)).repeat_interleave(config.debates)
    seen_GKD = seen(texts, tree.first_K, tree.second_K)
    heard, ends_N = [], drift(tree, games_N, generator)
    for steps in [config.steps] * (config.rounds - 1) + [config.last_steps]:
        heard.append(seen_GKD[games_N, ends_N])
        judge = fit(torch.cat(heard), texts.first_is_right_G[games_N].repeat(len(heard)))
        known = view(texts, tree, judge)
        policy = untaught(len(tree.turns), generator)
        policy = practise(policy, known, tree, judge.believes(seen_GKD), config, steps, generator)
        with torch.no_grad():
            ends_N = debate(policy, known, tree, games_N, generator).ends_N
    return Settled(policy, judge, fit(seen_GKD[games_N, ends_N], texts.first_is_right_G[games_N]))


def drift(tree: Tree, games_N: Tensor, generator: torch.Generator) -> Int[Tensor, " N"]:
    """Where debates end when quotes are drawn with equal chances."""
    states_N = torch.zeros_like(games_N)
    for turn in tree.turns:
        drawn_N1 = torch.multinomial(turn.mask_SI[states_N].double(), 1, generator=generator)
        states_N = turn.next_SI[states_N, drawn_N1.squeeze(-1)]
    return states_N


def by_chance(texts: Texts, tree: Tree, config: PlayConfig, seed: int) -> Judge:
    """The judge of quotes that nobody chose, made of as many transcripts as `settle` makes one of."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "by chance"))
    games_N = torch.arange(len(texts.sides_GI)).repeat_interleave(config.debates * config.rounds)
    ends_N = drift(tree, games_N, generator)
    return fit(seen(texts, tree.first_K, tree.second_K)[games_N, ends_N], texts.first_is_right_G[games_N])
