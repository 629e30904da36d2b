"""Pairs and transcripts as research publishes them."""

import pytest

from palate.core.records import Verdict
from palate.formats import Recorder, read

FARM = {"instruction": "q", "input": "", "output_1": "a", "output_2": "b", "annotator": "chatgpt_2", "preference": 2}


@pytest.mark.parametrize(
    ("preference", "verdict", "lost"),
    [
        (1, Verdict.FIRST, {}),
        (2, Verdict.SECOND, {}),
        (0, Verdict.TIE, {}),
        (1.0, Verdict.FIRST, {}),
        (1.5, Verdict.TIE, {}),
        (1.2, Verdict.FIRST, {"the size of a preference between 1 and 2": 1}),
        (1.97, Verdict.SECOND, {"the size of a preference between 1 and 2": 1}),
    ],
)
def test_alpaca_farm_and_eval(take, preference, verdict, lost):
    found = take(FARM | {"preference": preference, "generator_1": "x", "generator_2": "y"})
    (pair,) = found.pairs
    assert (found.shape, pair.first, pair.second, pair.verdict) == ("alpaca-eval", "a", "b", verdict)
    assert (pair.rater, pair.writers, found.lost) == ("chatgpt_2", ("x", "y"), lost)


@pytest.mark.parametrize("preference", [None, 3, -0.5, float("nan"), "?"])
def test_a_preference_off_the_scale_is_refused(take, preference):
    assert len(take(FARM, FARM | {"preference": preference}).refused) == 1


@pytest.mark.parametrize(
    ("name", "rows"), [("LLMBar/Natural", 100), ("CaseStudy/Normal", 59), ("CaseStudy/Negation", 59)]
)
def test_llmbar(data, name, rows):
    found = read(data / "llmbar" / name / "dataset.json")
    assert (found.shape, found.rows, len(found.pairs), found.refused) == ("alpaca-eval", rows, rows, [])
    assert set(found.lost) <= {"id", "comment"}
    assert {pair.verdict for pair in found.pairs} == {Verdict.FIRST, Verdict.SECOND}


def test_pandalm(take):
    row = {"idx": 1, "instruction": "q", "input": "i", "response1": "a", "response2": "b", "annotator1": 1}
    found = take(row | {"annotator2": 0, "annotator3": "both are fine", "cmp_key": "x_y"})
    assert found.shape == "pandalm"
    assert [(pair.rater, pair.verdict) for pair in found.pairs] == [
        ("annotator1", Verdict.FIRST),
        ("annotator2", Verdict.TIE),
    ]
    assert found.pairs[0].prompt.text == "q\n\ni"
    assert found.lost == {"idx": 1, "cmp_key": 1, "verdicts that are neither 0, 1 nor 2": 1}
    assert len(take(row, row | {"response2": True}).refused) == 1


def test_red_team_transcripts(take):
    text = "\n\nHuman: one\n\nAssistant: two\n\nHuman: three\n\nAssistant: four"
    row = {"transcript": text, "rating": 3.0, "task_description": "steal", "model_type": "rlhf", "tags": ["theft"]}
    found = take(row | {"red_team_member_id": 40}, row | {"rating": 0.0})
    assert (found.shape, found.demonstrations, found.pairs) == ("red-team", [], [])
    assert [turn.content for turn in found.prompts[0].messages] == ["one", "two", "three"]
    (signal,) = found.signals
    assert (signal.kind, signal.text, signal.value, signal.note) == ("report", "four", "3 of 4", "steal")
    assert (signal.person, signal.writer, found.lost) == ("40", "rlhf", {"tags": 2})
    assert len(take(row, row | {"rating": 9}).refused) == 1


def test_arena_140k(take):
    def talk(text):
        def part(said):
            return [{"type": "text", "text": said, "image": None, "mimeType": None}]

        return [{"role": "user", "content": part("q")}, {"role": "assistant", "content": part(text)}]

    row = {
        "id": "1",
        "model_a": "x",
        "model_b": "y",
        "winner": "both_bad",
        "evaluation_session_id": "s1",
        "evaluation_order": 1,
        "conversation_a": talk("a"),
        "conversation_b": talk("b"),
        "language": "German",
        "timestamp": "2025-06-01T00:00:00",
    }
    found = take(row)
    (pair,) = found.pairs
    assert (pair.verdict, pair.rater, pair.prompt.language) == (Verdict.BOTH_BAD, "s1", "de")
    assert pair.judged_at == "2025-06-01T00:00:00.000+00:00"
    assert found.lost == {"id": 1, "evaluation_order": 1}


def test_oasst_rankings_of_persons(take):
    def message(id, role, text, **more):
        return {"message_id": id, "text": text, "role": role} | more

    replies = [message(f"r{n}", "assistant", f"answer {n}", rank=n, replies=[]) for n in range(3)]
    ranked = [
        {"user_id": "u1", "ranked_message_ids": ["r2", "r0", "r1"]},
        {"user_id": "u2", "ranked_message_ids": ["r0", "r1"], "not_rankable": False},
        {"user_id": "u3", "ranked_message_ids": ["r0"]},
    ]
    events = {"ranking": ranked, "score": [{"score": 1}]}
    found = take(message("m", "prompter", "q", replies=replies, events=events))
    assert len(found.pairs) == 3  # by the ranks, as ever
    assert [(ranking.rater, ranking.ranks) for ranking in found.rankings] == [("u1", (2, 3, 1)), ("u2", (1, 2))]
    assert found.lost == {"rankings of answers that are not here, or of more than six": 1, "messages[].events.score": 1}
    recorder = Recorder("f")
    assert recorder.take(found) == []
    assert len(recorder.taken().slates) == 2
