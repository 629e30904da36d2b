"""Debaters that learn by playing against themselves, and judges that learn from what was said.

A debater is a softmax over the items that are left, of a small network that is told what each quote would do; it is the
same for whoever moves, who sees everything from their own side, so the two are copies of one policy. It learns by
policy gradients from sampled debates alone: debates of one text are compared with each other (RLOO); what the judge
believes is what the first side gets, and the rest of 1 is the second's. It is shown no solution, and none of the texts
that it is held against.

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
from palate.world.exact.debate import FIRST, Texts, Tree, sums
from palate.world.exact.debate_judge import Judge, fit, seen

FEATURES: Final = 11


_HIDDEN: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayConfig:
    """How debaters practise, and judges learn."""

    rounds: int = 5
    """Of debaters that practise against a judge, which was fitted to all that was said before."""
    steps: int = 75
    """Updates of each round but the last."""
    last_steps: int = 300
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


class Sight(NamedTuple):
    """What a debater knows of texts: everything."""

    texts: Texts
    standing_2GU: Float[Tensor, "2 G U"]
    """Strength of each answer's claims that stand, if a set is all there is."""
    answered_2GU: Float[Tensor, "2 G U"]
    """Own strength less the other's after the reply that hurts most."""


def sight(texts: Texts) -> Sight:
    """Tables of texts."""
    strengths = [(texts.sides_GI == side) * texts.strengths_GI for side in (1, -1)]
    standing_2GU = torch.stack([sums(one).gather(1, texts.stands_GU) for one in strengths])
    net_GU = standing_2GU[0] - standing_2GU[1]
    sets_U, items = torch.arange(net_GU.shape[1]), texts.sides_GI.shape[1]
    after = [net_GU[:, sets_U | 1 << item] for item in range(items)]
    low_GU, high_GU = torch.stack(after).amin(0), torch.stack(after).amax(0)
    return Sight(texts, standing_2GU, torch.stack([low_GU, -high_GU]))


def describe(
    sight: Sight, mover: int, games_N: Int[Tensor, " N"], used_N: Int[Tensor, " N"]
) -> Float[Tensor, "N I D"]:
    """What each quote would do, as whoever moves sees it."""
    texts, sign = sight.texts, 1 if mover == FIRST else -1
    items = texts.sides_GI.shape[1]
    bits_I, game_N1 = 1 << torch.arange(items), games_N.unsqueeze(-1)
    before_N1, after_NI = used_N.unsqueeze(-1), used_N.unsqueeze(-1) | bits_I
    own_GU, their_GU = sight.standing_2GU[mover], sight.standing_2GU[1 - mover]
    own_NI = own_GU[game_N1, after_NI] - own_GU[game_N1, before_N1]
    their_NI = their_GU[game_N1, after_NI] - their_GU[game_N1, before_N1]
    net_N1 = own_GU[game_N1, before_N1] - their_GU[game_N1, before_N1]
    answered_NI = sight.answered_2GU[mover][game_N1, after_NI] - net_N1
    side_NI, looks_NI = sign * texts.sides_GI[games_N], texts.strengths_GI[games_N]
    target_NI = texts.targets_GI[games_N].clamp(min=0)
    is_rebuttal_NI = side_NI == 0
    idle_NI = is_rebuttal_NI & ~(before_N1 >> target_NI & 1).bool()
    stands_NI = (texts.stands_GU[game_N1, after_NI] & bits_I) != 0
    true_NI = (texts.stands_GU[:, -1][game_N1] & bits_I) != 0
    blocked_NI = (side_NI * looks_NI).gather(1, target_NI) * idle_NI
    return torch.stack(
        [
            own_NI, their_NI, answered_NI, side_NI * looks_NI, side_NI.double(), is_rebuttal_NI.double(),
            idle_NI.double(), blocked_NI, stands_NI.double(), side_NI * looks_NI * true_NI, own_NI * true_NI,
        ],
        dim=-1,
    )  # fmt: skip


class View(NamedTuple):
    """All that debaters see at the turns of a tree, looked up once."""

    described: list[Float[Tensor, "G Q I D"]]
    """Of each turn; Q are the sets that may be quoted by then, whoever did."""
    places: list[Int[Tensor, " S"]]
    """Which of them belongs to each state."""
    masks: list[Bool[Tensor, "S I"]]


def view(texts: Texts, tree: Tree) -> View:
    """Look everything up."""
    known, count = sight(texts), len(texts.sides_GI)
    described, places = [], []
    for turn in tree.turns:
        used_Q, place_S = turn.used_S.unique(return_inverse=True)
        games_N = torch.arange(count).repeat_interleave(len(used_Q))
        told_NID = describe(known, turn.mover, games_N, used_Q.repeat(count))
        described.append(told_NID.unflatten(0, (count, len(used_Q))))
        places.append(place_S)
    return View(described, places, [turn.mask_SI for turn in tree.turns])


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
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        fall.step()
    return Policy(*(part.detach() for part in policy))


class Settled(NamedTuple):
    """Who argues, and who judges it."""

    policy: Policy
    judge: Judge


def settle(texts: Texts, tree: Tree, config: PlayConfig, seed: int) -> Settled:
    """Judges and debaters in turn: a judge of all that was said so far, and debaters who learn what it believes.

    The first judge has heard quotes at random. The last one stays, and the debaters practise against it once more; so
    whatever it has not heard, they may find.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "settle"))
    known, games_N = view(texts, tree), torch.arange(len(texts.sides_GI)).repeat_interleave(config.debates)
    seen_GKD = seen(texts, tree.first_K, tree.second_K)
    policy, heard, judge = untaught(len(tree.turns), generator), [], None
    for number in range(config.rounds):
        with torch.no_grad():
            heard.append(seen_GKD[games_N, debate(policy, known, tree, games_N, generator).ends_N])
        judge = fit(torch.cat(heard), texts.first_is_right_G[games_N].repeat(len(heard)))
        steps = config.last_steps if number == config.rounds - 1 else config.steps
        policy = practise(policy, known, tree, judge.believes(seen_GKD), config, steps, generator)
    assert judge is not None
    return Settled(policy, judge)


def by_chance(texts: Texts, tree: Tree, config: PlayConfig, seed: int) -> Judge:
    """The judge of quotes that nobody chose, made of as many transcripts as `settle` makes one of."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "by chance"))
    games_N = torch.arange(len(texts.sides_GI)).repeat_interleave(config.debates * config.rounds)
    policy = untaught(len(tree.turns), generator)
    ends_N = debate(policy, view(texts, tree), tree, games_N, generator).ends_N
    return fit(seen(texts, tree.first_K, tree.second_K)[games_N, ends_N], texts.first_is_right_G[games_N])
