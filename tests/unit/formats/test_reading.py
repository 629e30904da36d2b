import pytest

from palate.core.errors import ConfigError, DataError
from palate.formats import SHAPES, read

PAIR = {"prompt": "q", "chosen": "yes", "rejected": "no"}


def test_the_shapes_have_names():
    assert (
        *("judgements", "chatgpt", "open-webui", "langfuse", "label-studio", "argilla", "potato", "pandalm"),
        *("alpaca-eval", "red-team"),
        *("openai", "nemo-rl", "ultrafeedback", "oasst", "arena", "helpsteer2", "alpaca", "hh", "preference"),
        *("implicit", "unpaired", "stepwise", "messages", "prompts", "text", "columns"),
    ) == SHAPES


def test_an_undecidable_file_lists_shapes_and_columns(take):
    with pytest.raises(DataError, match="cannot be told") as caught:
        take({"question": "q", "answer": "a"})
    for name in SHAPES[:-1]:
        assert f"`{name}`" in caught.value.expected
    assert caught.value.found == "columns `question`, `answer`"
    assert caught.value.hint.startswith("name the columns, as in --map")


def test_a_file_of_two_halves_is_undecidable(take):
    with pytest.raises(DataError, match="cannot be told") as caught:
        take(PAIR, {"prompt": "q"})
    assert "of the first 2 rows 1 like `preference`, 1 like `prompts`" in caught.value.found


def test_sides_without_a_prompt_are_undecidable(take):
    with pytest.raises(DataError, match="cannot be told"):
        take({"chosen": "yes", "rejected": "no"})


def test_the_majority_of_the_first_rows_decides(take):
    found = take(PAIR, {"question": "?"}, PAIR)
    assert found.shape == "preference"
    assert len(found.refused) == 1


def test_a_shape_can_be_asked_for(take):
    found = take(PAIR, shape="prompts")
    assert found.shape == "prompts"
    assert found.lost == {"chosen": 1, "rejected": 1}


def test_a_shape_that_does_not_fit_refuses_every_row(take):
    with pytest.raises(DataError, match="every row of a file was refused when read as `alpaca`"):
        take(PAIR, shape="alpaca")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"shape": "parquet"}, "no such shape"),
        ({"shape": "columns"}, "needs a map"),
        ({"shape": "hh", "columns": {"prompt": "p"}}, "both asked for"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_the_file_is_touched(tmp_path, options, what):
    with pytest.raises(ConfigError, match=what):
        read(tmp_path / "absent.jsonl", **options)
