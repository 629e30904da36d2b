"""How many labels a strategy needs, against asking about random pairs, in the language that can be counted out.

| name | what it averages |
|---|---|
| `active/labels_vs_random` | labels of d-optimal on proposals over those of random pairs; 60 languages |
| `active/labels_vs_random/<design>` | the same ratio for another design; 60 languages, 20 for near-tie and large-gap |
| `active/labels_vs_random/same-proposals` | labels of d-optimal over those of random, both on proposals |
| `active/labels/<design>` | labels at which the mean share of the gain over languages reaches 95 % |
| `active/share_at_400/<design>` | mean share of the gain at 400 labels |

A reward model (Bradley-Terry on pairs of neighbouring letters and the square of the style letter's count, which
misses gold's triples) learns from labels drawn from gold's own probabilities. Its gain is the exact expected gold
of the best of 16 by its scores, over that of one sample; 100 % is what the same model gains from 100,000 random
pairs with their true probabilities. All begin with the same 25 random pairs, ask in batches of 25, and fit at the
same price; a random tenth of each batch is kept, but by `random` and `random-of-proposals`, which are all random.

`d-optimal` chooses among 2,000 proposals: of four samples the one that the model scores best, against another.
`d-optimal-of-pairs`, `near-tie` and `large-gap` choose among 2,000 random pairs, and `random-of-proposals` takes
proposals as they come: what is gained by choosing, and what by proposing, can be told apart. The design was
settled on other languages, seven letters long. What does not reach 95 % in 1,000 labels has no row of labels.
Intervals: 95 %, bootstrap over languages.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads sleep

import numpy as np
import torch

from palate.core.ids import derive_seed
from palate.functional.best_of_n import best_of_n_probabilities
from palate.preferences.filtering import fit_logistic
from palate.preferences.selection import Candidates, SelectionConfig, best_against_random, information, select
from palate.world.exact.language import LENGTH, LETTERS, STYLE, random_language

SEEDS: Final = 60
FEWER: Final = {"near-tie": 20, "large-gap": 20}
BUDGET: Final = 1000
BATCH: Final = 25
POOL: Final = 2000
PRICE: Final = 1.0
SAMPLES: Final = 16
PROPOSED: Final = 4
"""Samples of which the best is proposed."""
EVERY: Final = 50
"""Labels between two measurements."""
TARGET: Final = 0.95
_DRAWS: Final = 2000


class Design(NamedTuple):
    """Where candidates come from, and how they are chosen."""

    strategy: str
    proposals: bool = False


DESIGNS: Final = {
    "random": Design("random"),
    "d-optimal": Design("d-optimal", proposals=True),
    "d-optimal-of-pairs": Design("d-optimal"),
    "random-of-proposals": Design("random", proposals=True),
    "near-tie": Design("near-tie"),
    "large-gap": Design("large-gap"),
}


class World(NamedTuple):
    """A language as a reward model and a rater see it."""

    features_KD: np.ndarray
    """Of mean 0 and variance 1 under the reference."""
    reference_K: np.ndarray
    upto_K: np.ndarray
    """Probability of a sequence or one before it."""
    gold_K: np.ndarray
    limit: float
    """What the best of 16 gains with as many labels as one likes."""


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _figures(seed)
    finally:
        torch.set_num_threads(threads)


def _figures(seed: int) -> list[dict[str, Any]]:
    curves: dict[str, list[np.ndarray]] = {name: [] for name in DESIGNS}
    for run in range(SEEDS):
        child = derive_seed(seed, "active", run)
        world = world_of(child)
        for name, design in DESIGNS.items():
            if run < FEWER.get(name, SEEDS):
                curves[name].append(learn(world, design, child))
    shares = {name: np.array(found) for name, found in curves.items()}
    rows = [_ratio_row("active/labels_vs_random", shares["d-optimal"], shares["random"], seed)]
    rows += [
        _ratio_row(f"active/labels_vs_random/{name}", found, shares["random"][: len(found)], seed)
        for name, found in shares.items()
        if name not in ("random", "d-optimal")
    ]
    same = "active/labels_vs_random/same-proposals"
    rows.append(_ratio_row(same, shares["d-optimal"], shares["random-of-proposals"], seed))
    for name, found in shares.items():
        rows.append(_row(f"active/labels/{name}", _labels(found), _bootstrap([found], _labels, seed), found))
        at_400 = found[:, 400 // EVERY - 1]
        half = 1.96 * float(at_400.std(ddof=1)) / len(found) ** 0.5
        middle = float(at_400.mean())
        rows.append(_row(f"active/share_at_400/{name}", middle, (middle - half, middle + half), found))
    return [row for row in rows if row["value"] is not None]


def world_of(seed: int, length: int = LENGTH) -> World:
    """A random language with its features, and the limit of this kind of reward model."""
    language = random_language(seed, length=length)
    reference, gold = language.ref_logprobs_K.exp().numpy(), language.gold_K.numpy()
    features = _white(_features(language.tokens_KT.numpy()), reference)
    rng = np.random.default_rng(derive_seed(seed, "limit"))
    upto = np.cumsum(reference)
    world = World(features, reference, upto / upto[-1], gold, 1.0)
    first, second = _draw(world, 100_000, rng), _draw(world, 100_000, rng)
    weights = fit_logistic(features[first] - features[second], _p(gold[first] - gold[second]), 1e-3)
    return world._replace(limit=_gain(world, weights))


def learn(world: World, design: Design, seed: int, budget: int = BUDGET) -> np.ndarray:
    """The share of the limit that is reached after every `EVERY` labels."""
    rng = np.random.default_rng(derive_seed(seed, "labels"))  # the same first batch for all
    asked, said = np.zeros((0, world.features_KD.shape[1])), np.zeros(0)
    weights = np.zeros(world.features_KD.shape[1])
    shares = []
    for batch in range(budget // BATCH):
        if design == Design("random") or not batch:
            first, second = _draw(world, BATCH, rng), _draw(world, BATCH, rng)
        else:
            first, second = _chosen(world, design, weights, asked, rng, derive_seed(seed, batch))
        told = rng.random(BATCH) < _p(world.gold_K[first] - world.gold_K[second])
        asked = np.concatenate((asked, world.features_KD[first] - world.features_KD[second]))
        said = np.concatenate((said, told.astype(float)))
        weights = fit_logistic(asked, said, PRICE)
        if len(said) % EVERY == 0:
            shares.append(_gain(world, weights) / world.limit)
    return np.array(shares)


def _chosen(
    world: World, design: Design, weights: np.ndarray, asked: np.ndarray, rng: np.random.Generator, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The next batch of pairs."""
    if design.proposals:
        samples = _draw(world, POOL * PROPOSED, rng).reshape(POOL, PROPOSED)
        places = best_against_random((world.features_KD @ weights)[samples], seed)
        first, second = (samples[np.arange(POOL), place] for place in places)
    else:
        first, second = _draw(world, POOL, rng), _draw(world, POOL, rng)
    difference = world.features_KD[first] - world.features_KD[second]
    known = information(asked, _p(asked @ weights), PRICE)
    config = SelectionConfig(strategy=design.strategy, count=BATCH, price=PRICE, seed=seed)
    candidates = Candidates(POOL, _p(difference @ weights), features_CD=difference, asked_DD=known)
    rows = [row.candidate for row in select(config, candidates)]
    return first[rows], second[rows]


def _gain(world: World, weights: np.ndarray) -> float:
    """Expected gold of the best of 16; gold has mean 0 under the reference."""
    scores = torch.from_numpy(world.features_KD @ weights)
    chosen = best_of_n_probabilities(torch.from_numpy(world.reference_K), scores, SAMPLES)
    return float(chosen @ torch.from_numpy(world.gold_K))


def _features(tokens_KT: np.ndarray) -> np.ndarray:
    pairs = tokens_KT[:, :-1] * LETTERS + tokens_KT[:, 1:]
    counts = np.stack([(pairs == code).sum(axis=1) for code in range(LETTERS**2)], axis=1)
    style = (tokens_KT == STYLE).sum(axis=1) ** 2
    return np.column_stack((counts, style)).astype(float)


def _white(features_KD: np.ndarray, reference_K: np.ndarray) -> np.ndarray:
    """Moved and turned to mean 0 and the unit covariance under the reference; what does not vary is left out."""
    centred = features_KD - reference_K @ features_KD
    values, axes = np.linalg.eigh((centred * reference_K[:, None]).T @ centred)
    keep = values > 1e-9 * values.max()
    return np.asarray(centred @ (axes[:, keep] / np.sqrt(values[keep])))


def _draw(world: World, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.searchsorted(world.upto_K, rng.random(count))


def _p(margins: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-margins)))


def _labels(shares: np.ndarray) -> float:
    """Labels at which the mean over languages first reaches the target, between measurements on a line."""
    mean = np.concatenate(([0.0], shares.mean(axis=0)))
    after = int(np.argmax(mean >= TARGET))
    if mean[after] < TARGET:
        return float("nan")
    return EVERY * (after - 1 + (TARGET - mean[after - 1]) / (mean[after] - mean[after - 1]))


def _ratio_row(name: str, shares: np.ndarray, random: np.ndarray, seed: int) -> dict[str, Any]:
    def ratio(one: np.ndarray, other: np.ndarray) -> float:
        return _labels(one) / _labels(other)

    return _row(name, ratio(shares, random), _bootstrap([shares, random], ratio, seed), shares)


def _bootstrap(tables: Sequence[np.ndarray], statistic: Any, seed: int) -> tuple[float, float]:
    """Languages are drawn together for both sides: they are pairs."""
    rng = np.random.default_rng(derive_seed(seed, "bootstrap"))
    runs = len(tables[0])
    drawn = [rng.integers(runs, size=runs) for _ in range(_DRAWS)]
    values = np.array([statistic(*(table[rows] for table in tables)) for rows in drawn])
    # A draw that never reaches the target needs more labels than were asked.
    low, high = np.quantile(np.where(np.isnan(values), np.inf, values), [0.025, 0.975], method="nearest")
    return float(low), float(high)


def _row(name: str, value: float, ends: tuple[float, float], shares: np.ndarray) -> dict[str, Any]:
    low, high = (end if np.isfinite(end) else None for end in ends)
    known = value if np.isfinite(value) else None
    return {"name": name, "value": known, "low": low, "high": high, "n": len(shares), "seeds": len(shares)}


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    for row in figures(parser.parse_args().seed):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
