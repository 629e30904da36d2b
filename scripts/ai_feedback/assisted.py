"""Raters who read 2 of 8 lines: labels and reward models when a trained helper chooses which, and when nobody does.

| name | what it averages |
|---|---|
| `assisted/accuracy_gain` | how often a rater takes the better answer when the helper chooses the lines, less how often when they are chosen by chance; 4,000 held-out pairs a world, worlds weigh alike |
| `assisted/rm_accuracy_gain` | the same of reward models, each trained on 600 labels of such raters |
| `assisted/accuracy/<who>` | how often a rater takes the better answer: `with` help; lines by chance (`random`), the `first` ones, `all` of them; `few`: a helper taught by 10 pairs in place of 60; `rewarded`: one trained by policy gradient on agreement with raters who read everything; `adversarial`: the same, paid for disagreement; `untrained`: random weights; `helper_alone`: no rater, a judge with the helper's eyes and the same 60 pairs |
| `assisted/rm_accuracy/<who>` | how often the reward model trained on their labels takes the better answer |
| `assisted/<gain>/half_helped` | gains over chance where every other pair is read with help: what the coin of the raters' page does |
| `assisted/<gain>/over_first` | gains over raters who read the first lines |
| `assisted/<gain>/read_1`, `assisted/<gain>/read_4` | gains over chance where 1 or 4 lines of 8 are read |
| `assisted/<gain>/even_weights` | gains over chance in worlds whose lines all weigh alike: a control |
| `assisted/<gain>/hidden_weights` | gains over chance in worlds where the surface shows nothing of weights: a control |
| `assisted/rm_accuracy_gain/half_helped/<setting>` | gains of reward models over chance in each of these four settings, where every other pair is read with help |
| `assisted/rm_accuracy_gain/equal_lines` | gain over chance where the lines read to teach the helper are spent on 240 more labels instead |
| `assisted/accuracy_on_traps/<who>` | `with` help, at `random` and `all` lines, on pairs of which the better answer has fewer good lines |
| `assisted/heavy_share` | share of an answer's absolute worth that its 2 heaviest lines carry |

Worlds are those of `palate.world.exact.assisted` with its defaults; each of the 50 has its own language, answers,
helpers and labels. Intervals are Student's over worlds; differences are taken within a world. The settings were chosen
on six pilot worlds with other seeds and not changed afterwards.
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: two processes share two cores

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any, Final

import torch
from scripts.evaluation.rows import row

from palate.core.ids import derive_seed
from palate.evaluation.statistics import over_seeds
from palate.world.exact import assisted
from palate.world.exact.assisted import Answers, AssistedConfig

WORLDS: Final = 50
FEW: Final = 10
"""Pairs that teach the helper `few`."""
CONTROLS: Final[dict[str, dict[str, Any]]] = {
    "read_1": {"read": 1},
    "read_4": {"read": 4},
    "even_weights": {"heaviness": 0.0},
    "hidden_weights": {"visible": 0.0},
}
GAINS: Final = ("accuracy_gain", "rm_accuracy_gain", "rm_accuracy_gain/half_helped")
Choose = Callable[[Answers, torch.Generator], torch.Tensor | None]


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    seeds = [derive_seed(seed, "assisted worlds", world) for world in range(WORLDS)]
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(world, seeds))
    return [row(f"assisted/{name}", over_seeds([one[name] for one in found]), seeds=WORLDS) for name in found[0]]


def world(seed: int) -> dict[str, float]:
    """What one world and its variants came to, by the end of a row's name."""
    torch.set_num_threads(1)
    config = AssistedConfig(seed=seed)
    told = measured(config, every=True)
    for name, changed in CONTROLS.items():
        found = measured(replace(config, **changed), every=False)
        told |= {f"{what}/{name}": found[what] for what in GAINS}
    return told


def measured(config: AssistedConfig, *, every: bool) -> dict[str, float]:
    """Labels and reward models of one world; `every` adds the other helpers and the controls of their training."""
    lines = assisted.lines(config)
    teaching = assisted.answers(lines, config.teaching, _generator(config, "teaching"))
    labelled = assisted.answers(lines, config.labels, _generator(config, "labelled"))
    test = assisted.answers(lines, config.held_out, _generator(config, "held out"))
    helper = assisted.taught(teaching, config, _generator(config, "marks"))
    arms: dict[str, Choose] = {
        "with": lambda told, _: assisted.chosen(told, config, helper),
        "random": lambda told, generator: assisted.at_random(told, config, generator),
    }
    arms["half_helped"] = lambda told, generator: _mixed(arms["with"](told, generator), arms["random"](told, generator))
    if every:
        arms |= _others(config, teaching)
    found: dict[str, float] = {}
    for name, choose in arms.items():
        read = choose(test, _generator(config, f"read {name}"))
        found[f"accuracy/{name}"] = float(assisted.accuracy(test, config, read).mean())
        found[f"rm_accuracy/{name}"] = _reward_model(config, labelled, test, name, choose)
    for gain in ("accuracy", "rm_accuracy"):
        found[f"{gain}_gain"] = found[f"{gain}/with"] - found[f"{gain}/random"]
        found[f"{gain}_gain/half_helped"] = found[f"{gain}/half_helped"] - found[f"{gain}/random"]
        if every:
            found[f"{gain}_gain/over_first"] = found[f"{gain}/with"] - found[f"{gain}/first"]
    return found | (_more(config, lines, teaching, test, arms, found) if every else {})


def _others(config: AssistedConfig, teaching: Answers) -> dict[str, Choose]:
    few = assisted.taught(Answers(*(part[: 2 * FEW] for part in teaching)), config, _generator(config, "few marks"))
    rewarded = assisted.rewarded(teaching, config, _generator(config, "rewarded"))
    adversary = assisted.rewarded(teaching, config, _generator(config, "adversary"), sign=-1.0)
    untrained = torch.randn(few.shape, generator=_generator(config, "untrained"), dtype=few.dtype)
    helpers = {"few": few, "rewarded": rewarded, "adversarial": adversary, "untrained": untrained}
    return {
        "first": lambda told, _: assisted.the_first(told, config),
        "all": lambda *_: None,
        **{name: _by(weights, config) for name, weights in helpers.items()},
    }


def _mixed(helped: torch.Tensor, alone: torch.Tensor) -> torch.Tensor:
    """Every other pair is read with help."""
    with_help = torch.arange(len(helped)) // 2 % 2 == 0
    return torch.where(with_help.unsqueeze(-1), helped, alone)


def _by(weights: torch.Tensor, config: AssistedConfig) -> Choose:
    return lambda told, _: assisted.chosen(told, config, weights)


def _more(
    config: AssistedConfig, lines: assisted.Lines, teaching: Answers, test: Answers, arms: dict[str, Choose],
    found: dict[str, float],
) -> dict[str, float]:  # fmt: skip
    spent = config.teaching * config.lines // config.read
    larger = assisted.answers(lines, config.labels + spent, _generator(config, "more labelled"))
    equal = _reward_model(config, larger, test, "random, more", arms["random"])
    judge = assisted.alone(teaching, assisted.said(teaching, config, _generator(config, "alone")))
    weighs = test.worth_BN.abs().sort(dim=-1, descending=True).values
    traps = assisted.traps(test)
    on_traps = {
        f"accuracy_on_traps/{name}": float(
            assisted.accuracy(test, config, arms[name](test, _generator(config, f"read {name}")))[traps].mean()
        )
        for name in ("with", "random", "all")
    }
    return {
        "rm_accuracy_gain/equal_lines": found["rm_accuracy/with"] - equal,
        "accuracy/helper_alone": float(assisted.right(test.seen_BND.sum(1), judge, test).mean()),
        **on_traps,
        "heavy_share": float((weighs[:, : config.read].sum(-1) / weighs.sum(-1)).mean()),
    }


def _reward_model(config: AssistedConfig, labelled: Answers, test: Answers, name: str, choose: Choose) -> float:
    """How often a reward model is right that was trained on labels of raters who read what is chosen."""
    read = choose(labelled, _generator(config, f"labels {name}"))
    labels = assisted.said(labelled, config, _generator(config, f"verdicts {name}"), read)
    return float(assisted.right(test.content_BD, assisted.reward_model(labelled, labels), test).mean())


def _generator(config: AssistedConfig, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(config.seed, "assisted figures", name))
