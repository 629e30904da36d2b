"""The detector of collapse: what it promises where nothing is wrong, and that it speaks where something is."""

import dataclasses

import numpy as np
import pytest

from palate.core.errors import ConfigError, DataError
from palate.judging.collapse import Audited, DetectorConfig, Seen, Signs, State, findings, first


def audits(rng, count, *, worth=1.0, spread=1.2):
    """A judge whose log-odds are what people go by, times `worth`."""
    margins = rng.normal(0, spread, count)
    p, truth = 1 / (1 + np.exp(-margins)), 1 / (1 + np.exp(-worth * margins))
    return [Audited(float(a), float(b)) for a, b in zip(p, rng.random(count) < truth, strict=True)]


def test_a_bet_by_hand():
    # One pair, the judge sure at 3 : 1 (margin ln 3), of which it was right before as often as it said; no slack. The
    # bet that margins are worth nothing puts p = 1/2 against q = 3/4: 2/3 where a person agrees, 2 where not.
    config = DetectorConfig(slack=0.0, horizon=1)
    before = [Audited(0.75, 1.0)] * 300_000 + [Audited(0.75, 0.0)] * 100_000
    agrees, differs = (findings(before, [Seen([Audited(0.75, said)])], config)[0] for said in (1.0, 0.0))
    worths = np.array([-0.25, 0.0, 0.25, 0.5, 0.75])
    p = 3**worths / (1 + 3**worths)
    assert differs.wealth == pytest.approx(float(((1 - p) / 0.25).mean()), rel=1e-2)  # the slope is a lower end
    assert agrees.wealth == pytest.approx(float((p / 0.75).mean()), rel=1e-2)
    # Under the null the money stays what it is in the mean, with or without ties.
    tie = findings(before, [Seen([Audited(0.75, 0.5)])], config)[0]
    assert tie.wealth == pytest.approx((agrees.wealth + differs.wealth) / 2, rel=1e-9)
    assert agrees.promised == pytest.approx(0.75, abs=5e-3)


def test_sides_make_no_difference():
    rng = np.random.default_rng(0)
    before, later = audits(rng, 300), audits(rng, 80, worth=0.2)
    swapped = [Audited(1 - one.p_first, 1 - one.said) for one in later]
    assert findings(before, [Seen(swapped)])[0].wealth == pytest.approx(findings(before, [Seen(later)])[0].wealth)


def test_false_alarms_are_as_rare_as_promised():
    # 200 runs of 12 rounds in which the judge is what it was, without any slack. The promise is a chance of at most
    # .05 a run, so 20 or more of 200 have a chance of .003 where the promise just holds.
    config = DetectorConfig(slack=0.0, horizon=12)
    alarms = 0
    for run in range(200):
        rng = np.random.default_rng(run)
        before = audits(rng, 300)
        # The policy changes, and with it how far answers are apart.
        rounds = [Seen(audits(rng, 60, spread=rng.uniform(0.2, 2.0))) for _ in range(12)]
        alarms += first(findings(before, rounds, config)) is not None
    assert alarms < 20


def test_it_speaks_when_agreement_falls_and_not_before():
    # From round 4 on a margin is worth nothing: people agree on half, where .63 was promised after slack and the lower
    # end of the slope. An audit is worth about .04 nats to a bet on that, and ln(2 / .05) + ln(20) + ln(5) = 8.3 are
    # needed: two rounds of 100 in the mean. Of 600 other seeds 99.3 % spoke by round 6, so 36 or fewer of 40 are 1 in
    # 5,000.
    spoken = []
    for run in range(40):
        rng = np.random.default_rng(run)
        before = audits(rng, 500)
        rounds = [Seen(audits(rng, 100, worth=1.0 if number < 4 else 0.0)) for number in range(1, 7)]
        spoken.append(first(findings(before, rounds)) or 99)
    assert min(spoken) >= 4
    assert sum(at <= 6 for at in spoken) >= 37


def test_answers_that_grow_alike_are_no_collapse():
    # Agreement falls from .75 to near a coin, because margins do: the judge never promised more.
    rng = np.random.default_rng(1)
    before = audits(rng, 500)
    found = findings(before, [Seen(audits(rng, 200, spread=spread)) for spread in (1.2, 0.6, 0.3, 0.1, 0.05)])
    assert found[-1].agreement < 0.6
    assert {one.state for one in found} == {State.OK}


def test_what_costs_no_person_says_watch_and_no_more():
    begin = Signs(margin=0.2, length=40, entropy=2.0, duplicates=0.0, kl_nats=0.0, orders_agree=0.9)
    odd = {"length": 90, "entropy": 0.5, "duplicates": 0.5, "kl_nats": 30.0, "orders_agree": 0.6, "margin": 0.45}
    odd["first_judge_doubts"] = 0.3
    for name, value in odd.items():
        found = findings([], [Seen((), begin), Seen((), begin._replace(**{name: value}))])
        assert [one.state for one in found] == [State.OK, State.WATCH], name
        assert len(found[1].why) == 1
    assert first(found) is None
    assert first(found, State.WATCH) == 2


def test_what_is_not_known_is_no_sign():
    assert findings([], [Seen(), Seen((), Signs(length=10))])[1].state is State.OK


def test_audits_need_something_to_be_held_against():
    with pytest.raises(DataError, match="nothing to hold the judge against"):
        findings([], [Seen([Audited(0.9, 1.0)])])
    with pytest.raises(DataError, match="no probability"):
        findings([Audited(0.9, 1.0)], [Seen([Audited(0.9, 3.0)])])


@pytest.mark.parametrize("wrong", [{"false_alarm": 0.2}, {"watch": 0.01}, {"slack": 1.0}, {"horizon": 0}])
def test_settings_that_cannot_work(wrong):
    with pytest.raises(ConfigError):
        DetectorConfig(**wrong)
    assert dataclasses.replace(DetectorConfig(), false_alarm=0.01).false_alarm == 0.01
