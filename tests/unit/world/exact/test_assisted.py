"""Raters who read a part: who sees what, what helpers learn from, and what cannot help."""

import math
import re

import pytest
import torch
from scripts.ai_feedback import assisted as cell

from palate.core.errors import ConfigError
from palate.world.exact import assisted
from palate.world.exact.assisted import Answers, AssistedConfig

CONFIG = AssistedConfig(held_out=1500, seed=5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def world():
    return assisted.lines(CONFIG)


@pytest.fixture(scope="module")
def test(world):
    return assisted.answers(world, CONFIG.held_out, generator(1))


@pytest.fixture(scope="module")
def teaching(world):
    return assisted.answers(world, CONFIG.teaching, generator(2))


def test_an_answer_is_worth_its_lines_with_mean_0_and_variance_1(world, test):
    assert len(world.probabilities_K) == 1024
    assert float(world.probabilities_K.sum()) == pytest.approx(1)
    assert float(world.probabilities_K @ world.worth_K) == pytest.approx(0, abs=1e-12)
    exact = float((world.probabilities_K @ world.worth_K.square()) * world.place_N.square().sum())
    assert exact == pytest.approx(1)
    torch.testing.assert_close(test.worth_BN, world.worth_K[test.lines_BN] * world.place_N)


def test_a_rater_judges_by_what_was_read_alone():
    told = Answers(
        torch.zeros(2, 3, dtype=torch.long),
        torch.tensor([[1.0, 0.0, -3.0], [0.0, 0.5, 0.0]], dtype=torch.float64),
        torch.zeros(2, 3, 5), torch.zeros(2, 4),
    )  # fmt: skip
    config = AssistedConfig(lines=3, sharpness=2.0)
    assert assisted.margins(told.worth_BN).tolist() == [-2.5]
    read_BT = torch.tensor([[0, 1], [0, 1]])
    # The lines read say +.5, the truth is the other way round.
    assert float(assisted.accuracy(told, config, read_BT)) == pytest.approx(float(torch.tensor(-1.0).sigmoid()))
    assert float(assisted.accuracy(told, config)) == pytest.approx(float(torch.tensor(5.0).sigmoid()))
    assert assisted.traps(told).tolist() == [False]
    heavy = told._replace(worth_BN=torch.tensor([[1.0, 1.0, -3.0], [0.0, 0.5, 0.0]]))
    assert assisted.traps(heavy).tolist() == [True]


def test_a_taught_helper_helps_an_adversary_does_not_and_chance_lies_between(test, teaching):
    helper = assisted.taught(teaching, CONFIG, generator(3))
    adversary = assisted.rewarded(teaching, CONFIG, generator(4), sign=-1.0)
    rewarded = assisted.rewarded(teaching, CONFIG, generator(4))
    found = {
        name: float(assisted.accuracy(test, CONFIG, read).mean())
        for name, read in {
            "all": None,
            "taught": assisted.chosen(test, CONFIG, helper),
            "rewarded": assisted.chosen(test, CONFIG, rewarded),
            "random": assisted.at_random(test, CONFIG, generator(5)),
            "adversary": assisted.chosen(test, CONFIG, adversary),
        }.items()
    }
    # In 50 other worlds the gain over chance is .146 on average, with a standard deviation of .030.
    assert found["all"] > found["taught"] > found["random"] + 0.03 > found["adversary"] + 0.03
    assert found["rewarded"] > found["random"] + 0.03


def test_a_helper_sees_no_worth(test, teaching):
    """With other truths behind the same surfaces, and marks that were made before, it chooses the same."""
    helper = assisted.taught(teaching, CONFIG, generator(3))
    other = test._replace(worth_BN=-test.worth_BN.flip(1), content_BD=torch.zeros_like(test.content_BD))
    assert torch.equal(assisted.chosen(test, CONFIG, helper), assisted.chosen(other, CONFIG, helper))
    turned = teaching._replace(worth_BN=-teaching.worth_BN)
    torch.testing.assert_close(assisted.taught(turned, CONFIG, generator(3)), helper)


def test_a_reward_model_learns_from_labels(world, test):
    labelled = assisted.answers(world, 400, generator(6))
    model = assisted.reward_model(labelled, assisted.said(labelled, CONFIG, generator(7)))
    found = float(assisted.right(test.content_BD, model, test).mean())
    assert found > 0.7
    turned = assisted.reward_model(labelled, 1 - assisted.said(labelled, CONFIG, generator(7)))
    assert float(assisted.right(test.content_BD, turned, test).mean()) == pytest.approx(1 - found)


def test_who_reads_everything_needs_no_help(test):
    config = AssistedConfig(read=8, seed=5)
    by_chance = assisted.accuracy(test, config, assisted.at_random(test, config, generator()))
    torch.testing.assert_close(by_chance, assisted.accuracy(test, config))
    assert assisted.the_first(test, CONFIG)[0].tolist() == [0, 1]


def test_the_same_seed_gives_the_same_world_and_nonsense_is_refused(world):
    assert torch.equal(assisted.lines(CONFIG).worth_K, world.worth_K)
    assert not torch.equal(assisted.lines(AssistedConfig(seed=6)).worth_K, world.worth_K)
    for wrong in ({"read": 9}, {"read": 0}, {"heaviness": -1.0}, {"visible": 1.1}, {"teaching": 0}):
        with pytest.raises(ConfigError):
            AssistedConfig(**wrong)


def test_the_cell_of_figures_makes_what_it_names():
    table = set(re.findall(r"^\| `assisted/([^`]+)`", cell.__doc__, re.MULTILINE))
    found = cell.world(1)
    assert all(math.isfinite(value) for value in found.values())
    assert found["accuracy_gain"] == found["accuracy/with"] - found["accuracy/random"]
    assert {"accuracy_gain", "rm_accuracy_gain", "heavy_share"} <= table & found.keys()
    named = {name.replace("<who>", "").replace("<gain>/", "") for name in table} | set(cell.CONTROLS)
    assert not [name for name in found if not any(part in name for part in named)]
