"""Each gate finds what was planted, names it, and lets the rest through."""

import pytest

from palate.core.errors import ConfigError
from palate.core.records import Judgement, Preference, Prompt, Verdict
from palate.preferences.gates import GATES, GateConfig, Material, pass_gates, sentence


def row(number, chosen="a good answer", rejected="a bad answer", prompt=None, p=0.9):
    text = prompt or f"question {number}"
    return Preference(comparison=f"c{number}", prompt=Prompt.of(text), chosen=chosen, rejected=rejected, p_chosen=p)


def said(comparison, rater):
    return Judgement(uid=f"{comparison}/{rater}", comparison=comparison, rater=rater, verdict=Verdict.FIRST)


def material(rows, unfinished=(), judgements=(), evaluation=(), share=0.3):
    return Material(rows, unfinished, judgements, evaluation, share)


def found_by(gate, given, mode="warn"):
    stay, findings = pass_gates(GateConfig(**{gate: mode}), given)
    return stay, {id for finding in findings for id in finding.rows}, findings


def test_the_same_two_answers_again():
    rows = [
        row(0, prompt="q"),
        row(1, prompt="Q ", chosen="A bad  answer", rejected="a good answer"),
        row(2, prompt="q", chosen="another"),
        row(3, prompt="other"),
    ]
    assert found_by("duplicates", material(rows))[1] == {"c1"}


@pytest.mark.parametrize(
    "text", ["As an AI language model, I", "I'm ChatGPT.", "I was trained by OpenAI", "I am Claude"]
)
def test_an_answer_that_names_its_model(text):
    rows = [row(0, rejected=f"Well. {text}"), row(1, chosen="I am fine, and Claude Monet was a painter")]
    stay, found, findings = found_by("identity", material(rows), "drop")
    assert found == {"c0"}
    assert stay == {"c1"}
    assert "c0" in sentence(findings[0])
    assert "dropped" in sentence(findings[0])


def test_answers_that_end_early_or_hold_nothing():
    assert found_by("unfinished", material([row(0), row(1, rejected=" \n"), row(2)], unfinished={"c2"}))[1] == {
        "c1",
        "c2",
    }


def test_circles_and_opposite_verdicts():
    rows = [
        row(0, "a", "b", "q"),
        row(1, "b", "c", "q"),
        row(2, "c", "a", "q"),
        row(3, "a", "d", "q"),  # leaves the circle: no contradiction
        row(4, "c", "b", "other"),  # another prompt
        row(5, "x", "y", "third"),
        row(6, "y", "x", "third"),
        row(7, "d", "a", "q", p=0.5),  # nobody leads
    ]
    assert found_by("contradictions", material(rows))[1] == {"c0", "c1", "c2", "c5", "c6"}


def test_two_circles_of_one_prompt_are_not_joined():
    rows = [
        row(0, "a", "b", "q"),
        row(1, "b", "a", "q"),
        row(2, "c", "d", "q"),
        row(3, "d", "c", "q"),
        row(4, "a", "c", "q"),
    ]
    assert found_by("contradictions", material(rows))[1] == {"c0", "c1", "c2", "c3"}


def test_one_rater_over_the_share():
    rows = [row(k) for k in range(10)]
    judgements = [said(f"c{k}", "loud") for k in range(8)] + [said(f"c{k}", f"r{k % 4}") for k in range(6, 10)]
    # 8 of 12 are too many for half: dropping d of the six rows that are loud's alone leaves (8 - d) of (12 - d): 4.
    stay, found, findings = found_by("one_rater", material(rows, judgements=judgements, share=0.5), "drop")
    assert found == {"c0", "c1", "c2", "c3"}
    assert "loud with 67%" in findings[0].detail
    left = [j for j in judgements if j.comparison in stay]
    assert sum(j.rater == "loud" for j in left) / len(left) <= 0.5
    assert not found_by("one_rater", material(rows, judgements=judgements, share=0.7))[1]


def test_prompts_that_models_are_evaluated_on():
    words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    rows = [row(0, prompt="What is TRUTH?"), row(1, prompt=f"please say {words}"), row(2, prompt="one two three")]
    assert found_by("evaluation", material(rows, evaluation=["what is truth?", f"{words} fifteen"]))[1] == {"c0", "c1"}


def test_off_is_off_warn_keeps_and_gates_see_what_the_last_one_left():
    rows = [row(0, prompt="q", chosen="I am ChatGPT"), row(1, prompt="q", chosen="I am ChatGPT")]
    assert pass_gates(GateConfig(), material(rows)) == ({"c0", "c1"}, [])
    stay, findings = pass_gates(GateConfig.all("warn"), material(rows))
    assert stay == {"c0", "c1"}
    assert [finding.gate for finding in findings] == ["identity", "duplicates"]
    stay, findings = pass_gates(GateConfig(identity="drop", duplicates="warn"), material(rows))
    assert (stay, [finding.gate for finding in findings]) == (set(), ["identity"])


def test_settings_that_cannot_work_are_refused():
    assert set(GATES) == {"duplicates", "identity", "unfinished", "contradictions", "one_rater", "evaluation"}
    with pytest.raises(ConfigError, match="no such mode"):
        GateConfig(identity="delete")
    with pytest.raises(ConfigError, match="one_rater_share"):
        GateConfig(one_rater_share=0)
