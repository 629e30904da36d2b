import pytest

from palate.world.bench.flops import Shape, forward, llama, useful

TINY = llama(hidden=128, intermediate=512, layers=4, heads=4, kv_heads=2, vocabulary=1024)


def test_a_llamas_weights_by_hand():
    query = output = 128 * 128
    keys = values = 128 * 64
    gate = up = down = 128 * 512
    assert TINY.body == 4 * (query + keys + values + output + gate + up + down) == 983_040
    assert TINY.head == 131_072
    assert TINY.attention == 512


def test_a_forward_pass_by_hand():
    shape = Shape(body=10, head=100, attention=4)
    # 5 tokens through the body; 2 logits; 1 + 2 + 3 and 1 + 2 pairs, a dot product and a weighted sum of 4 each
    assert forward(shape, [3, 2], 2) == 2 * 10 * 5 + 2 * 100 * 2 + 2 * 2 * 4 * (6 + 3)


@pytest.mark.parametrize(
    ("stage", "more", "full", "scalar"),
    [
        ("sft", {}, 3, 0),
        ("reward", {}, 0, 3),
        ("dpo", {}, 4, 0),
        ("rollout", {}, 1, 0),
        ("grpo", {"reference": False}, 4, 0),
        ("grpo", {}, 5, 0),
        ("rloo", {}, 5, 0),
        ("ppo", {"epochs": 4}, 2 + 12, 2 + 12),
        ("ppo", {"epochs": 4, "reward_model": False}, 2 + 12, 1 + 12),
    ],
)
def test_a_stage_is_so_many_passes(stage, more, full, scalar):
    prompts, completions = [3, 5], [2, 4]
    whole = [5, 9]
    expected = full * forward(TINY, whole, 6) + scalar * forward(TINY, whole, 0)
    assert useful(stage, TINY, prompts, completions, **more) == expected


def test_a_real_model_has_the_shape_that_the_formula_gives(tmp_path):
    from palate.world.bench.palate_side import shape_of
    from palate.world.bench.prepare import config_of

    config_of("tiny", architectures=["LlamaForCausalLM"]).save_pretrained(tmp_path)
    assert shape_of(tmp_path) == TINY
