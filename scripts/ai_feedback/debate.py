"""Does a judge who sees only what two trained debaters quote find out what is right, and more than by other ways?

| name | what it averages |
|---|---|
| `debate/judge_accuracy` | share of right verdicts after two quotes of each of two trained debaters, in turns |
| `consultancy/judge_accuracy` | the same after four quotes of one trained consultant, whose side is right in half of the texts |
| `consultancy/judge_accuracy/two_quotes` | the same after two quotes, as many as one of two debaters has |
| `naive/judge_accuracy` | the same after four quotes drawn with equal chances |
| `naive/judge_accuracy/no_quotes` | the same of a judge who is told nothing: one half, by construction |
| `debate/gain_over_consultancy` | accuracy of debate less that of consultancy with four quotes, on the same texts |
| `debate/gain_over_naive` | the same against four quotes by chance |
| `consultancy/gain_over_naive` | accuracy of consultancy with four quotes less that of four quotes by chance |
| `debate/gain_over_consultancy/refitted` | as the gain, both under judges fitted once more |
| `debate/gain_over_consultancy/no_rebuttals` | as the gain, in texts of eight claims that nothing rebuts; 20 seeds |
| `debate/gain_over_consultancy/no_rebuttals/refitted` | the same under judges fitted once more |
| `debate/judge_accuracy/refitted` | accuracy of a judge fitted once more, to these debaters alone, who have not adapted to it |
| `consultancy/judge_accuracy/refitted` | the same of the consultant with four quotes |
| `debate/judge_accuracy/perfect_play` | accuracy of debate's judge where both debaters play the exact solution |
| `debate/judge_accuracy/random_play` | accuracy of debate's judge where both quote by chance |
| `debate/right_side_gets` | what the judge believes of the right answer, mean; trained debaters |
| `debate/minimax_error` | largest difference of the exact solver and of plain alpha-beta on lists, in what the judge believes |
| `debate/trained_gap` | distance of what trained debaters come to from the minimax value, mean over games; the payoff is from 0 to 1 |
| `debate/trained_gap/short_sighted` | the same of debaters trained against the same judge who cannot guess what it believes, nor see a reply ahead |
| `debate/exploitability` | what a perfect opponent who knows the policy wins over the minimax value, mean of both sides |
| `debate/exploitability/short_sighted` | the same of debaters who cannot guess |
| `debate/exploitability/untrained` | the same of debaters who quote by chance |
| `debate/exploitability/foresight` | the same of debaters who have learned nothing and go by their guess of the next reply |

Each seed has 384 texts to learn from and 60 others that are judged, of ten items: six claims and four rebuttals
(`palate.world.exact.debate`). On the former, debaters, consultants and the judge of each way of quoting are trained, in
turns and in the same manner (`palate.world.exact.debaters.settle`); nothing else sets an accuracy. Accuracies are exact
over what the policies may quote, not sampled. `minimax_error` looks at four texts of each seed, and its interval is from
the smallest to the largest of the seeds' own. Everything else has Student's interval over seeds. Settings were chosen
on other seeds. Six seeds of another label were run with fewer texts and updates before (see `docs/log.md`); these are
others.
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two processes share two cores

from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final, NamedTuple

import torch
from scripts.ai_feedback.debate_by_hand import Text, minimax
from scripts.evaluation.rows import row

from palate.core.ids import derive_seed
from palate.evaluation.statistics import Figure, over_seeds
from palate.world.exact.debate import DEBATE, FIRST, TextConfig, Texts, Tree, best, draw, even, regret, tree, value
from palate.world.exact.debate_judge import Judge, hits, seen
from palate.world.exact.debaters import (
    PlayConfig,
    Policy,
    Settled,
    by_chance,
    foresight,
    practise,
    settle,
    short_sighted,
    untaught,
    view,
)

SEEDS: Final = 50
SEEDS_WITHOUT: Final = 20
NO_REBUTTALS: Final = TextConfig(claims=8, rebuttals=0)
LEARNED_FROM: Final = 384
"""Texts."""
JUDGED: Final = 60
BY_HAND: Final = 4
"""Of the judged texts, solved the slow way too."""
CONSULTANCY: Final = (FIRST,) * 4
SHORT_SIGHTED_STEPS: Final = 500
"""As many as the last round of the others has."""
SHORT_CONSULTANCY: Final = (FIRST,) * 2


class Learned(NamedTuple):
    """Texts of a seed, and what was learned on some of them."""

    judged: Texts
    debate: Settled
    consultancy: Settled
    short: Settled
    naive: Judge
    short_sighted: Policy
    """Of debaters, against the same judge as `debate`."""


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(one, [derive_seed(seed, "judged again", number) for number in range(SEEDS)]))
        without = list(pool.map(one_without, [derive_seed(seed, "without", number) for number in range(SEEDS_WITHOUT)]))
    rows = [row(name, over_seeds([each[name] for each in found]), SEEDS) for name in found[0] if name != _ERROR]
    rows += [row(name, over_seeds([each[name] for each in without]), SEEDS_WITHOUT) for name in without[0]]
    errors = [each[_ERROR] for each in found]
    return [*rows, row(_ERROR, Figure(max(errors), min(errors), max(errors), BY_HAND * SEEDS), SEEDS)]


_ERROR: Final = "debate/minimax_error"


def one(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    torch.set_num_threads(1)
    learned = learn(TextConfig(), PlayConfig(), seed)
    return {**accuracies(learned), **debated(learned)}


def one_without(seed: int) -> dict[str, float]:
    """How much better debate is where nothing is rebutted."""
    torch.set_num_threads(1)
    told = accuracies(learn(NO_REBUTTALS, PlayConfig(), seed))
    gain = "debate/gain_over_consultancy"
    return {f"{gain}/no_rebuttals": told[gain], f"{gain}/no_rebuttals/refitted": told[f"{gain}/refitted"]}


def learn(config: TextConfig, play: PlayConfig, seed: int) -> Learned:
    """Train everybody, each on the same texts."""
    texts = draw(config, LEARNED_FROM, derive_seed(seed, "learned from"))
    ways = {"debate": DEBATE, "consultancy": CONSULTANCY, "short": SHORT_CONSULTANCY}
    course = tree(DEBATE, config.items)
    settled = {n: settle(texts, tree(w, config.items), play, derive_seed(seed, n)) for n, w in ways.items()}
    generator = torch.Generator().manual_seed(derive_seed(seed, "short-sighted"))
    known = short_sighted(view(texts, course, settled["debate"].judge))
    payoff_GK = belief(texts, course, settled["debate"].judge)
    start = untaught(len(DEBATE), generator)
    return Learned(
        draw(config, JUDGED, derive_seed(seed, "judged")),
        short_sighted=practise(start, known, course, payoff_GK, play, SHORT_SIGHTED_STEPS, generator),
        naive=by_chance(texts, tree(CONSULTANCY, config.items), play, derive_seed(seed, "naive")), **settled,
    )  # fmt: skip


def accuracies(learned: Learned) -> dict[str, float]:
    """Of each way of quoting."""
    texts = learned.judged
    items = texts.sides_GI.shape[1]

    def trained(settled: Settled, movers: tuple[int, ...], judge: Judge | None = None) -> float:
        course = tree(movers, items)
        chances = settled.policy.chances(view(texts, course, settled.judge))
        return accuracy(texts, course, judge or settled.judge, chances)

    arguing, alone = tree(DEBATE, items), tree(CONSULTANCY, items)
    judge, count = learned.debate.judge, len(texts.sides_GI)
    solved = best(arguing, belief(texts, arguing, judge))
    told = {
        "debate/judge_accuracy": trained(learned.debate, DEBATE),
        "consultancy/judge_accuracy": trained(learned.consultancy, CONSULTANCY),
        "consultancy/judge_accuracy/two_quotes": trained(learned.short, SHORT_CONSULTANCY),
        "naive/judge_accuracy": accuracy(texts, alone, learned.naive, even(alone, count)),
        "naive/judge_accuracy/no_quotes": 0.5,
        "debate/judge_accuracy/refitted": trained(learned.debate, DEBATE, learned.debate.refitted),
        "consultancy/judge_accuracy/refitted": trained(
            learned.consultancy, CONSULTANCY, learned.consultancy.refitted
        ),
        "debate/judge_accuracy/perfect_play": accuracy(texts, arguing, judge, solved),
        "debate/judge_accuracy/random_play": accuracy(texts, arguing, judge, even(arguing, count)),
    }  # fmt: skip
    ours = told["debate/judge_accuracy"]
    return {
        **told,
        "debate/gain_over_consultancy": ours - told["consultancy/judge_accuracy"],
        "debate/gain_over_naive": ours - told["naive/judge_accuracy"],
        "consultancy/gain_over_naive": told["consultancy/judge_accuracy"] - told["naive/judge_accuracy"],
        "debate/gain_over_consultancy/refitted": (
            told["debate/judge_accuracy/refitted"] - told["consultancy/judge_accuracy/refitted"]
        ),
    }


def belief(texts: Texts, course: Tree, judge: Judge) -> torch.Tensor:
    """What a judge makes of every end."""
    return judge.believes(seen(texts, course.first_K, course.second_K))


def accuracy(texts: Texts, course: Tree, judge: Judge, chances: list[torch.Tensor]) -> float:
    """Share of right verdicts, exact over whatever may be quoted."""
    hits_GK = hits(belief(texts, course, judge), texts.first_is_right_G)
    return float(value(course, hits_GK, chances, chances).mean())


def debated(learned: Learned) -> dict[str, float]:
    """How near the debaters are to the solution, and the solver to one that shares nothing with it."""
    texts, course = learned.judged, tree(DEBATE, learned.judged.sides_GI.shape[1])
    payoff_GK = belief(texts, course, learned.debate.judge)
    known = view(texts, course, learned.debate.judge)
    found = regret(course, payoff_GK, learned.debate.policy.chances(known))
    unguessed = regret(course, payoff_GK, learned.short_sighted.chances(short_sighted(known)))
    weights = learned.debate.judge.weights_D.tolist()
    by_hand = [minimax(Text(*(part[game].tolist() for part in texts[:3])), DEBATE, weights) for game in range(BY_HAND)]
    right_G = torch.where(texts.first_is_right_G, found.value_G, 1 - found.value_G)
    untrained = regret(course, payoff_GK, even(course, len(payoff_GK)))
    return {
        "debate/right_side_gets": float(right_G.mean()),
        "debate/trained_gap": float((found.value_G - found.minimax_G).abs().mean()),
        "debate/trained_gap/short_sighted": float((unguessed.value_G - unguessed.minimax_G).abs().mean()),
        "debate/exploitability/short_sighted": float(unguessed.exploitability_G.mean()),
        "debate/exploitability": float(found.exploitability_G.mean()),
        "debate/exploitability/untrained": float(untrained.exploitability_G.mean()),
        "debate/exploitability/foresight": float(regret(course, payoff_GK, foresight(known)).exploitability_G.mean()),
        _ERROR: float((found.minimax_G[:BY_HAND] - torch.tensor(by_hand, dtype=torch.float64)).abs().max()),
    }
