import pytest

from palate.world.bench.workload import PLANS, TRAINED, Cell, Work, work_of


@pytest.mark.parametrize("stage", TRAINED)
@pytest.mark.parametrize("size", ["tiny", "small"])
def test_a_block_uses_each_prompt_once(stage, size):
    work = work_of(Cell(stage, size), seed=0, blocks=3)
    plan = PLANS[size][stage]
    sampled = stage in ("ppo", "grpo", "rloo")
    assert len(work.prompts) == plan.batch * plan.steps // (plan.group if sampled else 1)
    assert len({tuple(prompt) for prompt in work.prompts}) == len(work.prompts)
    assert all(16 <= len(prompt) <= 64 for prompt in work.prompts)
    assert len(work.completions) == (0 if sampled else len(work.prompts))
    assert all(len(own) == plan.group and all(4 <= len(c) <= 63 for c in own) for own in work.completions)


def test_the_same_seed_gives_the_same_work_and_another_another():
    cell = Cell("dpo", "tiny")
    assert work_of(cell, seed=1, blocks=2) == work_of(cell, seed=1, blocks=2)
    assert work_of(cell, seed=1, blocks=2) != work_of(cell, seed=2, blocks=2)


def test_lengths_are_spread_evenly_whatever_the_seed():
    means = [
        sum(map(len, work.prompts)) / len(work.prompts)
        for work in (work_of(Cell("ppo", "tiny"), seed=seed, blocks=2) for seed in range(5))
    ]
    assert all(abs(mean - 40) < 0.5 for mean in means)  # 128 strata of .4 tokens: the mean of 40 moves by less


def test_grouped_batches_hold_like_lengths_from_the_whole_range():
    work = work_of(Cell("sft_grouped", "tiny"), seed=0, blocks=2)
    totals = [len(p) + len(own[0]) for p, own in zip(work.prompts, work.completions, strict=True)]
    batches = [totals[i : i + work.batch] for i in range(0, len(totals), work.batch)]
    assert all(max(batch) - min(batch) <= 12 for batch in batches)
    assert max(totals) > 100
    assert min(totals) < 45
    assert sum(totals) / len(totals) == pytest.approx(73.5, abs=3)


@pytest.mark.parametrize("stage", TRAINED)
def test_a_plain_cell_leaves_nothing_to_gain(stage):
    work = work_of(Cell(stage, "tiny", plain=True), seed=0, blocks=2)
    assert len({len(prompt) for prompt in work.prompts}) == 1
    assert len({len(c) for own in work.completions for c in own}) <= 1
    if work.group > 1:  # what is shared is short
        assert len(work.prompts[0]) == 4


def test_work_survives_the_way_to_another_process(tmp_path):
    work = work_of(Cell("grpo", "tiny", plain=True), seed=3, blocks=2)
    assert Work.read(work.write(tmp_path / "deep" / "work.json")) == work


def test_names_are_those_of_figures():
    assert Cell("dpo", "small").name == "dpo/small"
    assert Cell("dpo", "tiny", plain=True).name == "plain/dpo/tiny"
