"""Whatever stands in the columns of a shape: a row is carried or refused, and no row goes missing."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.errors import DataError
from palate.formats import SHAPES, Recorder, pair_records, read

TURN = {"role": "user", "content": "q"}
KEYS = [
    *("role", "content", "from", "value", "messages", "rank", "completion", "response", "overall_score"),
    *("annotations", "Rating", "message_id", "parent_id", "text", "replies", "model", "mapping", "result", "type"),
    *("selected", "ranker", "selection", "scale_value", "rating", "chat", "history", "events", "ranking", "user_id"),
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-4, 4)
    | st.floats()
    | st.sampled_from(["", " ", "q", "a b", "a c", "\n\nHuman: q\n\nAssistant: a", "[1]", "true", "model_a", "\ud800"])
    | st.sampled_from([TURN, [TURN], [TURN, {"role": "assistant", "content": "a"}]])
)
CELLS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=6,
)
COLUMNS = {
    "judgements": ["record", "prompt", "first", "second", "verdict", "rater", "strength", "seconds", "uid", "messages"],
    "chatgpt": ["conversation", "feedback", "comparisons"],
    "open-webui": ["data", "meta", "snapshot", "user_id", "created_at"],
    "langfuse": ["traceId", "name", "value", "dataType", "comment", "input", "output", "data", "trace"],
    "label-studio": ["data", "annotations", "id"],
    "argilla": ["fields", "responses", "prompt", "response1", "response2", "x.responses", "x.responses.users"],
    "potato": ["text", "annotations", "prompt", "user", "preference"],
    "pandalm": ["instruction", "input", "response1", "response2", "annotator1", "annotator2"],
    "alpaca-eval": ["instruction", "input", "output_1", "output_2", "preference", "annotator", "generator_1"],
    "red-team": ["transcript", "rating", "task_description", "red_team_member_id"],
    "openai": ["input", "preferred_output", "non_preferred_output"],
    "nemo-rl": ["context", "completions"],
    "ultrafeedback": ["instruction", "completions"],
    "oasst": ["message_id", "parent_id", "text", "role", "rank", "replies", "prompt", "deleted"],
    "arena": ["conversation_a", "conversation_b", "winner", "turn", "judge", "prompt", "response_a", "winner_tie"],
    "helpsteer2": ["prompt", "response", "helpfulness", "response_1", "response_2", "preference_strength"],
    "alpaca": ["instruction", "input", "output", "chosen", "rejected", "system", "history"],
    "hh": ["chosen", "rejected"],
    "preference": ["prompt", "chosen", "rejected", "messages", "system"],
    "implicit": ["chosen", "rejected"],
    "unpaired": ["prompt", "completion", "label"],
    "stepwise": ["prompt", "completions", "labels"],
    "messages": ["messages", "conversations", "prompt", "completion", "label", "system"],
    "prompts": ["prompt", "messages"],
    "text": ["text"],
}


def test_every_shape_is_here():
    assert (*COLUMNS, "columns") == SHAPES


@pytest.mark.parametrize("shape", COLUMNS)
@settings(max_examples=25)
@given(data=st.data())
def test_rows_are_carried_or_refused(shape, data):
    row = st.fixed_dictionaries({}, optional=dict.fromkeys(COLUMNS[shape], CELLS))
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        try:
            found = read(path, shape=shape)
        except DataError:
            return
    assert len({refusal.where for refusal in found.refused}) == len(found.refused) < len(rows)
    records = pair_records(found, found.identity)
    Recorder(found.identity).take(found)
    assert len({judgement.uid for judgement in records.judgements}) == len(found.pairs)
    for prompt in (*records.prompts, *found.prompts, *(shown.prompt for shown in found.demonstrations)):
        assert prompt.messages[-1].role == "user"
