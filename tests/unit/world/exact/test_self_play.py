"""Self-play where gold is exact: a fair judge helps, a fond one harms, and audits tell them apart."""

from dataclasses import replace

import numpy as np
import pytest

from palate.core.errors import ConfigError
from palate.judging.collapse import DetectorConfig, State, findings, first
from palate.world.exact.gaming import build
from palate.world.exact.self_play import FONDNESSES, Injection, Run, SelfPlayConfig, injection, play

CONFIG = SelfPlayConfig(rounds=8, pairs=500, steps=16)
FOND = Injection("flattery", 3.0, 4)


@pytest.fixture(scope="module")
def world():
    return build("plain", 5)


@pytest.fixture(scope="module")
def runs(world):
    arms = {"fair": (0.2, None), "fond": (0.0, FOND), "audited": (0.2, FOND)}
    return {name: play(world, CONFIG, audit, injected, 3) for name, (audit, injected) in arms.items()}


def test_a_fair_judge_raises_gold_and_a_fond_one_lets_it_fall(runs):
    fair, fond = runs["fair"].gold_R, runs["fond"].gold_R
    assert (np.diff(fair[:5]) > 0).all()
    assert runs["fair"].kept == 1.0
    assert runs["fond"].kept < 0.9
    assert fond[-1] < fair[-1]
    assert len(fond) == CONFIG.rounds + 1
    assert fond[0] == runs["fond"].kl_R[0] == 0


def test_before_it_turns_the_runs_are_one(world, runs):
    unaudited = play(world, replace(CONFIG, rounds=4), 0.0, None, 3)
    assert unaudited.gold_R[:4] == pytest.approx(runs["fond"].gold_R[:4], abs=0)
    assert unaudited.gold_R[4] != runs["fond"].gold_R[4]


def test_the_detector_speaks_after_the_turn_and_before_the_loss(runs):
    config = DetectorConfig(horizon=CONFIG.rounds)
    fond, fair = (first(findings(runs[name].before, runs[name].seen, config)) for name in ("audited", "fair"))
    assert fair is None
    assert FOND.round <= fond <= runs["audited"].last_in_time
    ended = runs["audited"].ended(fond)
    assert len(ended.gold_R) == fond
    assert ended.kept > 0.9
    assert runs["audited"].ended(None) is runs["audited"]


def test_the_first_judge_doubts_a_judge_that_turned_and_none_that_was_fond_from_the_start(world, runs):
    doubts = [one.signs.first_judge_doubts for one in runs["fond"].seen]
    assert max(doubts[:3]) < 0.1
    assert max(doubts[3:6]) > 0.15
    always = play(world, replace(CONFIG, rounds=5), 0.0, FOND._replace(round=0), 3)
    found = findings([], [one._replace(audited=()) for one in always.seen], DetectorConfig(longer=9, flatter=0.01))
    assert first(found, State.WATCH) is None


def test_the_last_round_in_time_by_hand():
    # Gains 1, 2, 2, 1.97, 1.9: the first with less than 1.96 comes out of round 5, which may still be called off.
    run = Run(np.array([0.0, 1.0, 2.0, 2.0, 1.97, 1.9]), np.zeros(6), [], [])
    assert run.last_in_time == 5
    assert run.kept == pytest.approx(0.95)
    assert run.ended(5).gold_R.tolist() == [0.0, 1.0, 2.0, 2.0, 1.97]
    assert Run(np.array([0.0, 1.0, 1.0]), np.zeros(3), [], []).last_in_time == 2


def test_injections_are_drawn_from_their_ranges():
    drawn = [injection(seed) for seed in range(200)]
    assert {one.feature for one in drawn} == set(FONDNESSES)
    assert {one.round for one in drawn} == set(range(3, 9))
    assert all(1.5 <= one.strength <= 3.5 for one in drawn)
    assert injection(7) == drawn[7]


def test_settings_that_cannot_work():
    with pytest.raises(ConfigError):
        SelfPlayConfig(rounds=0)
