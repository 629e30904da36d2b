"""PPO, RLOO and GRPO on samples: at least 99 % of what can be gained, on every seed.

Each seed draws its own world: another reference, other rewards, other samples.
"""

import time

import pytest

from palate.core.errors import ConfigError
from palate.functional.kl_placement import KLPenalty
from palate.world.exact import sampled
from palate.world.exact.sampled import ALGORITHMS, SampledConfig, train
from palate.world.exact.tree import Tree, TreeWorld, random_world, words

BOUND = 0.99
SEEDS = range(10)
SMALL = SampledConfig(iterations=40, prompts=128, learning_rate=0.1)


def refuse(*_: object) -> None:
    raise AssertionError("an exact quantity was asked for")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_learns_without_a_look_at_anything_exact(algorithm: str, monkeypatch: pytest.MonkeyPatch):
    """With 1/60 of the samples: more than half where the slow test wants 99 %."""
    world = random_world(words(2, 6), 0, 0.3)
    with monkeypatch.context() as patch:
        for owner, name in ((Tree, "probabilities"), (Tree, "logprobs"), (Tree, "visits"), (TreeWorld, "gap")):
            patch.setattr(owner, name, refuse)
        patch.setattr(TreeWorld, "whole", property(refuse))
        learned = train(world, algorithm, SMALL)
    assert world.share_of_gain(learned) > 0.5


def test_a_seed_is_a_run():
    world = random_world(words(2, 3), 0, 0.3)
    first, again = (train(world, "ppo", SMALL) for _ in range(2))
    assert first.equal(again)
    other = train(world, "ppo", SampledConfig(iterations=40, prompts=128, learning_rate=0.1, seed=1))
    assert not first.equal(other)


@pytest.mark.parametrize("settings", [{"group_size": 1}, {"prompts": 7}, {"iterations": 0}])
def test_settings_that_cannot_work(settings: dict[str, int]):
    with pytest.raises(ConfigError, match="cannot work"):
        SampledConfig(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_almost_all_of_the_gain_on_every_seed(algorithm: str):
    for seed in SEEDS:
        world = random_world(words(2, 6), seed, 0.3)
        start = time.process_time()
        learned = train(world, algorithm, SampledConfig(seed=seed))
        assert time.process_time() - start < 60
        assert world.share_of_gain(learned) >= BOUND, seed


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["k2", "k3"])
@pytest.mark.parametrize("algorithm", ["rloo", "grpo_no_std"])
def test_a_wrong_penalty_does_not_reach_the_bound(algorithm: str, estimator: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampled, "_PENALTY", KLPenalty(estimator=estimator, accept_wrong_optimum=True))
    world = random_world(words(2, 6), 0, 0.3)
    assert world.share_of_gain(train(world, algorithm, SampledConfig())) < BOUND
