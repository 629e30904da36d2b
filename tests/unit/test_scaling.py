import math
import re
from dataclasses import fields
from pathlib import Path

import pytest
from scripts import scaling
from scripts.scale import arithmetic, raters
from scripts.scale.assumptions import JUDGEMENTS, POLICIES, SOURCES, Assumptions, Shape
from transformers import LlamaConfig

from palate.models.anatomy import anatomy_from

# Numbers that can be counted by hand: 10 layers, 4 heads of 2, 2 of them for keys.
SMALL = Shape("small", layers=10, width=8, inner=16, heads=4, kv_heads=2, vocabulary=100, tied=True)
GIVEN = Assumptions(
    prompt_tokens=10, completion_tokens=20, characters_a_token=4, seconds_a_judgement=36, rater_usd_an_hour=10,
    work_hours_a_year=1000, days_to_collect=1, peak_over_mean=2, page_bytes=100, judgement_bytes=7, comparison_bytes=3,
    store_write_s=0.5, rows_in_python_bytes=1000, token_in_python_bytes=36,
)  # fmt: skip


def test_parameters_counted_by_hand():
    layer = 2 * 8 * 8 + 2 * 8 * 4 + 3 * 8 * 16 + 2 * 8
    assert SMALL.parameters == 10 * layer + 100 * 8 + 8


def test_parameters_are_those_of_transformers():
    shape = POLICIES[0]
    config = LlamaConfig(
        num_hidden_layers=shape.layers, hidden_size=shape.width, intermediate_size=shape.inner,
        num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads, vocab_size=shape.vocabulary,
        tie_word_embeddings=True,
    )  # fmt: skip
    assert anatomy_from(config).parameters == shape.parameters
    assert [round(shape.parameters / 1e9, 2) for shape in POLICIES] == [1.24, 8.03, 70.55]


def test_collecting_counted_by_hand():
    found = arithmetic.collecting(86_400, GIVEN)  # one a second, two at the busiest time
    assert found.rater_hours == pytest.approx(864)
    assert found.rater_years == pytest.approx(0.864)
    assert found.rater_usd == pytest.approx(8640)
    assert found.raters_at_once == pytest.approx(72)
    assert found.writes_a_second == pytest.approx(4)
    assert found.store_busy == pytest.approx(1)
    text = 4 * (10 + 2 * 20)
    assert found.store_bytes == 86_400 * (10 + text)
    assert found.to_raters_bytes == 86_400 * (100 + text)
    assert found.trainer_host_bytes == 86_400 * 50 * 36


def test_memory_counted_by_hand():
    found = arithmetic.memory(SMALL)
    assert found.ppo == (16 + 16 + 2 + 2) * SMALL.parameters
    assert found.sampler == 2 * SMALL.parameters
    assert arithmetic.least_gpus(145e9, Assumptions()) == 3  # 72 GB each


def test_flops_counted_by_hand():
    # 3 tokens, each multiplied by every weight, and attending to 5: queries by keys, and shares by values.
    assert arithmetic.forward_flops(SMALL, 3, 5) == 3 * (2 * SMALL.parameters + 2 * 10 * 8 * 5)
    untied = SMALL.__class__(**{f.name: getattr(SMALL, f.name) for f in fields(SMALL)} | {"tied": False})
    # Embeddings are looked up, not multiplied.
    assert arithmetic.forward_flops(untied, 3, 5) == arithmetic.forward_flops(SMALL, 3, 5)


def test_a_pass_costs_what_its_stages_cost():
    given = Assumptions(prompt_tokens=10, completion_tokens=20, gpu_flops=1e6, training_mfu=0.5)
    found = arithmetic.training(SMALL, 3600, given)
    pair, single = (arithmetic.forward_flops(SMALL, tokens, 15) for tokens in (50, 30))
    assert found.reward == pytest.approx(3 * pair / 0.5e6)
    assert found.dpo == pytest.approx(4 * pair / 0.5e6)
    assert found.ppo == pytest.approx(9 * single / 0.5e6)
    assert found.all == found.reward + found.rollouts + found.ppo


def test_decoding_is_bound_by_what_takes_longer():
    slow_memory = arithmetic.sampling(POLICIES[1], Assumptions(gpu_bandwidth=1e11))
    slow_maths = arithmetic.sampling(POLICIES[1], Assumptions(gpu_flops=1e12))
    assert (slow_memory.bound, slow_maths.bound) == ("bandwidth", "FLOPs")
    found = arithmetic.sampling(POLICIES[1], Assumptions())
    row = 2 * 2 * 32 * 1024 * 450  # bytes of keys and values at the middle of the completion
    assert found.step_s == pytest.approx((2 * POLICIES[1].parameters + 512 * row) / (3.35e12 * 0.5))
    assert found.tokens_a_second == pytest.approx(512 / found.step_s)


def test_a_replica_grows_until_its_rows_fit():
    large = arithmetic.sampling(POLICIES[2], Assumptions())
    rows = 2 * 2 * 80 * 1024 * 600 * 512
    weights = 2 * POLICIES[2].parameters
    assert large.gpus == 4
    assert 0.9 * 4 * 80e9 > weights + rows > 0.9 * 2 * 80e9


def test_weights_travel_over_the_links_of_a_replica():
    found = arithmetic.traffic(POLICIES[2], 40, Assumptions())
    assert found.weights_s == pytest.approx(2 * POLICIES[2].parameters / (4 * 50e9))
    assert found.share == pytest.approx(found.weights_s / (found.weights_s + found.iteration_s))


def test_hosts_are_whole():
    assert arithmetic.gpus_for(0, 1, Assumptions()) == 8
    assert arithmetic.gpus_for(24 * 30 * 9, 1, Assumptions()) == 16


@pytest.mark.parametrize("people", [50, 1000, 3000])
def test_the_simulation_agrees_with_queueing_theory(people):
    """Exponential times, below and above the knee. Of 20,000 judgements the spread is under 1 %; 3 % is wide."""
    seen = raters.simulate(people, think_s=60, write_s=0.02, exponential=True, rounds=20)
    assert 0.97 < seen.judgements_a_second / raters.exact(people, think_s=60, write_s=0.04) < 1.03


def test_nobody_waits_alone_and_everyone_waits_at_the_end():
    alone = raters.simulate(1, think_s=1, write_s=0.01)
    assert alone.wait_p99_s == pytest.approx(0.01)
    crowd = raters.simulate(5000, think_s=60, write_s=0.02)
    assert crowd.busy > 0.99
    assert 0.97 < crowd.judgements_a_second / raters.capacity(0.02) < 1.03
    assert raters.simulate(5000, think_s=60, write_s=0.02) == crowd  # one seed, one result


def test_every_assumption_has_a_source():
    assert list(SOURCES) == [field.name for field in fields(Assumptions)]
    assert all(source for _, source in SOURCES.values())


def test_the_page_is_what_the_script_writes():
    page = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
    for name, rows in scaling.tables(Assumptions()).items():
        found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end of {name} -->", page, re.DOTALL)
        assert found, name
        assert found[1] == scaling.markdown(rows), f"{name}: run `make scaling`"


def test_what_the_page_says_in_words():
    given = Assumptions()
    for count in JUDGEMENTS:
        for shape in POLICIES:
            hours = arithmetic.training(shape, count, given)
            cost = arithmetic.collecting(count, given).rater_usd / (hours.all * given.gpu_usd_an_hour)
            assert 100 < cost < 10_000
            assert 1.8 < hours.ppo / hours.reward < 2.2
            assert hours.rollouts < 0.4 * hours.reward
    shares = {count: {one.what: one.share for one in arithmetic.limits(count, given)} for count in (10**7, *JUDGEMENTS)}
    assert max(shares[10**7].values()) < 1
    lists, writer, freezing, disk = (shares[10**8][what] for what in shares[10**6])
    assert 1 < lists < 2
    assert 0.7 < writer < 0.8
    assert lists > writer > freezing > disk
    assert min(shares[10**10].values()) > 10
    assert math.isclose(arithmetic.memory(POLICIES[2]).ppo / arithmetic.memory(POLICIES[2]).reference, 18)
    assert all(
        arithmetic.traffic(shape, scaling.cluster(shape, 10**6, given), given).share < 0.01 for shape in POLICIES
    )
