import pytest

from palate.world.bench.ratios import PHASES, peak_mb, rate, ratio, seconds, shares, spread, utilisation


def block(cpu, gflops, *, tokens=120, charge=0.0, rollout=(), **more):
    return {
        "cpu_s": list(cpu),
        "probe_gflops": list(gflops),
        "parts_s": {"rollout": list(rollout)} if rollout else {},
        "tokens": tokens,
        "completion_tokens": tokens // 2,
        "charge_s": charge,
        "peak_mb": 100.0,
        "flops": 1.2e12,
        "sampling_flops": 6e11,
        **more,
    }


def test_a_rate_is_tokens_a_second_and_on_a_core_of_constant_speed():
    slow = block([1, 3], [60, 120])
    assert seconds(slow) == (4, (60 + 3 * 120) / 120)
    assert rate(slow) == (120 / 4, 120 / 3.5)


def test_what_was_done_before_the_first_step_is_charged():
    assert seconds(block([1, 1], [60, 60], charge=2.0)) == (4, 2)


def test_sampling_is_rated_by_its_own_time_and_tokens():
    found = rate(block([4, 4], [120, 60], rollout=[1, 2], charge=5.0), sampling=True)
    assert found == (60 / 3, 60 / 2)


def test_the_lower_of_the_two_medians_counts():
    theirs = [block([10], [120])] * 3
    # Raw 2, 2.5 and 4 times as fast; the probe says that ours had half the core in two rounds.
    ours = [block([5], [120]), block([4], [60]), block([2.5], [60])]
    found = ratio(ours, theirs)
    assert found.raw == (2.5, 2.0, 4.0, 3)
    assert found.norm == (5.0, 2.0, 8.0, 3)
    assert found.counts == found.raw
    swapped = ratio(ours, [block([10], [30])] * 3)
    assert swapped.norm.value == pytest.approx(1.25)
    assert swapped.counts == swapped.norm


def test_rounds_are_compared_pair_by_pair():
    ours, theirs = [block([1], [100]), block([4], [100])], [block([2], [100]), block([8], [100])]
    assert ratio(ours, theirs).counts == (2.0, 2.0, 2.0, 2)
    with pytest.raises(ValueError, match="shorter"):
        ratio(ours, theirs[:1])


def test_utilisation_is_useful_over_delivered():
    # 1.2e12 operations in 20 s at 120 GFLOP/s, which could do 2.4e12
    assert utilisation([block([20], [120])]).value == pytest.approx(0.5)
    assert utilisation([block([40], [60])]).value == pytest.approx(0.5)


def test_shares_add_up_to_one():
    found = shares([block([6, 2], [1, 1], rollout=[1, 1], charge=2.0)])
    assert set(found) == set(PHASES)
    assert found["rollout"] == 0.2
    assert found["passes"] == 0.2
    assert sum(found.values()) == pytest.approx(1)


def test_peak_and_spread():
    assert peak_mb([block([1], [1], peak_mb=3.0), block([1], [1], peak_mb=5.0)]) == 5
    assert spread([3, 1, 2, 10]) == (2.5, 1, 10, 4)
