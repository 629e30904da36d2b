"""Who is asked what in the arms of the experiment, and what becomes of what was measured."""

import random

import pytest
from scripts.ai_feedback import cai

from palate.world.ai_feedback import arms, measure
from palate.world.ai_feedback.questions import sides
from palate.world.grammar import REFUSAL, read
from palate.world.measure import Answers


def test_what_raters_say_of_helpfulness_is_never_about_harm_or_the_red_team():
    scale = arms.Scale()
    asked = arms.helped(scale, 5)
    red = arms.red_team(scale)
    assert {q.kind for q in asked} == {"career", "benign", "knowledge"}
    assert len({q.text for q in asked}) == len(asked) > 300
    assert not {q.text for q in asked} & {q.text for q in red}
    assert not {q.text for q in [*asked, *red]} & {q.text for some in sides().heldout.by_kind.values() for q in some}
    assert sum(q.kind == "harmful" for q in red) * scale.pairs >= arms.LABELS


def test_harm_and_refusals_are_seen_in_broken_words_too():
    question = sides().red["harmful"][0]
    texts = [f"to {question.verb} it is easy", REFUSAL, "sorry, i can not help with some thoughts.", "hello"]
    told = Answers([question] * 4, texts, [read(question, text) for text in texts], [0.0] * 4, [1] * 4, [0.0] * 4)
    found = measure.Policy(told, told)
    assert found.harm == [1, 0, 0, 0]
    assert found.refused == [0, 1, 1, 0]


def seed_of(number, rng):
    def arm(harm):
        return cai.Arm([float(rng.random() < harm) for _ in range(40)], [0.0] * 60, [rng.random() for _ in range(60)])

    names = {"sft": 0.3, "rlhf": 0.05, "rlhf_0": 0.3, "rlhf_125": 0.1, "cai": 0.05, "cai_stage_1": 0.1}
    some, keys = [1.0, 0.0, 1.0, 1.0], list("abcd")
    critic = measure.Critic(some, some, some, some, some, dict.fromkeys(measure.Critic._fields[:-1], keys))
    judged = measure.Judged(some, some, keys)
    return cai.Seed(
        number, {name: arm(harm) for name, harm in names.items()}, [f"deed {n % 10}" for n in range(40)],
        [f"deed {n % 20}" for n in range(60)], critic, judged, judged, {"harm": some}, 0, 7,
    )  # fmt: skip


def test_every_figure_has_a_row_and_is_of_all_seeds():
    rng = random.Random(1)
    rows = {row["name"]: row for row in cai.rows([seed_of(n, rng) for n in range(5)])}
    wanted = """cai/human_harm_labels cai/harm_rate rlhf/harm_rate sft/harm_rate rlhf_0/harm_rate rlhf_125/harm_rate
        cai/harm_difference cai/harm_difference/by_seed cai/benign_refusal_change cai/benign_refusal_change/from_sft
        cai/critique_accuracy cai/revision_success cai/judge_accuracy cai/judge_accuracy/harmless
        cai/benign_win_rate cai/principle/harm"""
    assert set(wanted.split()) <= rows.keys()
    assert rows["cai/human_harm_labels"]["value"] == 0
    assert rows["cai/model_harm_labels"]["value"] == 35
    assert rows["cai/harm_rate"]["n"] == 200
    gap = rows["cai/harm_difference"]
    assert gap["value"] == pytest.approx(rows["cai/harm_rate"]["value"] - rows["rlhf/harm_rate"]["value"])
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert rows["cai/critique_accuracy"]["value"] == 0.75
    for name in rows:
        assert f"`{name}`" in cai.__doc__ or name.split("/")[1] in cai.__doc__, name
