import pytest

from palate.core.errors import DataError
from palate.formats import read


def test_one_prompt_a_line(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufefffirst\r\n\r\n  second \u2028 still second\n".encode())
    found = read(path)
    assert found.shape == "prompts"
    assert [prompt.text for prompt in found.prompts] == ["first", "second \u2028 still second"]
    assert found.rows == 2


def test_a_column_of_prompts_with_their_kind(take):
    found = take({"prompt": "q", "kind": 5, "id": 3}, {"prompt": [{"role": "user", "content": "r"}]})
    assert [(prompt.text, prompt.kind) for prompt in found.prompts] == [("q", "5"), ("r", "")]
    assert found.lost == {"id": 1}


def test_an_empty_prompt_is_refused(take):
    found = take({"prompt": "q"}, {"prompt": " "})
    assert [(r.where, r.reason) for r in found.refused] == [("rows.jsonl:2", "the prompt is empty")]


@pytest.mark.parametrize("column", ["response_a", "answer", "Model Output", "winner", "generations", "replies"])
def test_answers_under_unknown_names_do_not_pass_for_plain_prompts(take, column):
    with pytest.raises(DataError, match="cannot be told from its columns") as caught:
        take({"prompt": "q", column: "a"})
    assert f"`{column}`" in caught.value.found
    assert "--map" in caught.value.hint
