"""`scripts/core/{bradley_terry,reward_models,real_data}.py`: their arithmetic on small cases."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from palate.core.records import Preference, Prompt
from palate.world import settings

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "core"


def module(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def real_data():
    yield module("real_data")
    sys.modules.pop("real_data")


def preference(number, chosen, rejected, prompt="why?"):
    return Preference(comparison=f"c{number}", prompt=Prompt.of(prompt), chosen=chosen, rejected=rejected, p_chosen=1.0)


def test_coverage_of_a_few_data_sets(monkeypatch):
    bt = module("bradley_terry")
    monkeypatch.setattr(bt, "REPLICATES", 500)
    monkeypatch.setattr(bt, "CLUSTERED", 20)
    plain, clustered = bt.figures(1)
    # 500 data sets of 20 items that hang together only by their sum: the share is known to about .0045.
    assert plain["value"] == pytest.approx(0.95, abs=0.018)
    assert (plain["n"], clustered["n"]) == (500, 20)
    assert plain["low"] < plain["value"] < plain["high"]


def test_word_counts_learn_what_decides_and_nothing_from_the_other_side(real_data):
    train = [preference(i, f"good {word}", f"bad {word}") for i, word in enumerate("abcdefgh")]
    heldout = [preference("x", "good z", "bad z"), preference("y", "bad q", "good q")]
    margins = [row.margin for row in real_data.linear(train, heldout)]
    assert margins[0] > 0.5
    assert margins[1] == pytest.approx(-margins[0], abs=1e-5)


def test_a_debate_stays_on_one_side_with_both_of_its_stands(real_data):
    topics = [f"debate {i}: {side}" for i in range(12) for side in ("yes", "no")]
    rows = [preference(i, "a", "b", topic) for i, topic in enumerate(topics)]
    fold = real_data.folds("ukp", rows, 0)
    assert [fold[i] for i in range(0, 24, 2)] == [fold[i] for i in range(1, 24, 2)]
    assert sorted(fold) == [0] * 6 + [1] * 6 + [2] * 6 + [3] * 6
    assert real_data.folds("ukp", rows, 1) != fold


def test_the_loss_uses_a_temperature_of_other_folds(real_data, tmp_path):
    monkey = {}
    for fold, scale in ((0, 1.0), (1, 10.0)):
        cell = real_data.Cell(f"hh-{fold}", tmp_path, "hh", fold, "model", 0)
        signs = (1, 1, 1, -1)
        monkey[cell] = [real_data.Judged(f"{fold}{i}", f"p{fold}{i}", scale * s, 0) for i, s in enumerate(signs)]
    accuracy, nll = real_data.over_seeds(monkey)
    assert accuracy["value"] == 0.75
    # Three of four: T = scale / log 3. The other fold's makes margins of log 3 / 10 and of 10 log 3.
    import math

    def mean(margin):
        return 0.75 * math.log1p(math.exp(-margin)) + 0.25 * math.log1p(math.exp(margin))

    assert nll["value"] == pytest.approx((mean(math.log(3) / 10) + mean(10 * math.log(3))) / 2, rel=1e-5)


@pytest.mark.slow
def test_the_practice_world_runs_through(tmp_path):
    found = module("reward_models")
    fitted, measured = found.judge(0, tmp_path, settings.TINY, 24)
    assert not set(fitted.prompts) & set(measured.prompts)
    assert len(fitted.margins_N) == len(fitted.labels_N) == len(fitted.prompts)
    assert bool(((measured.labels_N >= 0) & (measured.labels_N <= 1)).all())


@pytest.mark.parametrize("name", ["hh", "rasbt", "ukp"])
def test_public_files_are_read(real_data, name):
    if not os.environ.get("PALATE_DATA"):
        pytest.skip("PALATE_DATA is not set: it names the folder with public data")
    rows = real_data.preferences(name)
    assert len(rows) == {"hh": 1608, "rasbt": 1094, "ukp": 8614}[name]
    assert all(row.chosen != row.rejected for row in rows[:50])
