"""The trial of strategies: the gain is exact, and choosing helps in languages small enough for a test."""

import numpy as np
import pytest
from scripts.people import active


def test_the_gain_is_what_drawing_sixteen_gains():
    world = active.world_of(3, length=4)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=world.features_KD.shape[1])
    scores = world.features_KD @ weights
    drawn = active._draw(world, 40_000 * 16, rng).reshape(-1, 16)
    best = drawn[np.arange(len(drawn)), scores[drawn].argmax(axis=1)]
    gold = world.gold_K[best]
    # Four standard errors of the mean of 40,000.
    assert abs(active._gain(world, weights) - gold.mean()) < 4 * gold.std() / 200
    assert world.reference_K @ world.gold_K == pytest.approx(0.0, abs=1e-9)


def test_choosing_what_tells_most_beats_chance():
    shares = {name: [] for name in ("random", "d-optimal", "d-optimal-of-pairs")}
    for seed in range(12):
        world = active.world_of(seed, length=5)
        for name, found in shares.items():
            found.append(active.learn(world, active.DESIGNS[name], seed, budget=200)[-1])
    mean = {name: float(np.mean(found)) for name, found in shares.items()}
    assert mean["d-optimal"] > mean["random"]
    assert mean["d-optimal-of-pairs"] > mean["random"]


def test_labels_are_counted_on_the_line_between_measurements():
    rising = np.array([[0.5, 0.9, 1.0], [0.5, 0.8, 1.0]])  # the mean is .5, .85, 1
    assert active._labels(rising) == pytest.approx(active.EVERY * (2 + 0.10 / 0.15))
    assert np.isnan(active._labels(rising[:, :2]))
