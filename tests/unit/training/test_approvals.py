"""Approvals: from preferences and thumbs, on the disk, as tokens, and who meets which stranger."""

import json

import pytest
from tests.recipes.practice import BAD, GOOD, PROMPTS
from tests.voices import tokenizer_of

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import DataError
from palate.core.records import Approval, Preference
from palate.formats import read
from palate.preferences import dataset
from palate.training.approvals import Approved, encode, encode_some, identity, strangers

TOKENIZER = tokenizer_of("chatml")


def approval(place=0, text=GOOD, p_good=1.0, weight=1.0):
    return Approval(prompt=PROMPTS[place], completion=text, p_good=p_good, weight=weight)


def row(prompt, completion):
    return Approved(str(prompt), [prompt] * 3, completion, 1.0, 1.0)


def test_a_preference_has_two():
    told = Preference(comparison="c", prompt=PROMPTS[0], chosen=GOOD, rejected=BAD, p_chosen=0.75, weight=2.0)
    assert told.approvals == (approval(text=GOOD, p_good=0.75, weight=2.0), approval(text=BAD, p_good=0.25, weight=2.0))


def test_a_probability_is_one():
    with pytest.raises(DataError, match="no probability"):
        approval(p_good=1.5)


def test_what_is_frozen_comes_back_split_by_prompt(tmp_path):
    told = [approval(i, text, p) for i in range(8) for text, p in ((GOOD, 1.0), (BAD, 0.0))]
    folder = dataset.freeze_approvals(told, Workspace(tmp_path), heldout_fraction=0.4)
    train, heldout = dataset.load_approvals(folder), dataset.load_approvals(folder, "heldout")
    assert sorted(a.id for a in train + heldout) == sorted(a.id for a in told)
    assert heldout
    assert not {a.prompt.id for a in train} & {a.prompt.id for a in heldout}
    assert read_manifest(folder).made_by == "dataset approvals"
    with pytest.raises(DataError) as caught:  # half of them are bad: nothing to imitate
        dataset.load_demonstrations(folder)
    assert "palate train kto" in str(caught.value)


def test_thumbs_in_a_file_are_approvals(tmp_path):
    lines = [{"prompt": "q", "completion": " a", "label": True}, {"prompt": "r", "completion": " b", "label": False}]
    (tmp_path / "thumbs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = read(tmp_path / "thumbs.jsonl")
    assert [(a.prompt.text, a.completion, a.p_good) for a in found.approvals] == [("q", " a", 1.0), ("r", " b", 0.0)]
    assert found.refused == []


def test_rows_end_with_an_end_token_and_the_rest_is_counted():
    found = encode(TOKENIZER, [approval(), approval(1, weight=0.0), approval(2, "no " * 200)], 60)
    assert len(found.rows) == 1
    assert (found.too_long, found.no_signal) == (1, 1)
    assert found.rows[0].completion[-1] == TOKENIZER.eos_token_id
    assert found.sentence == "1 completions (left out: 1 too long, 1 without a signal)"
    with pytest.raises(DataError, match="no completion to learn from"):
        encode_some(TOKENIZER, [approval()], 3)


def test_other_labels_are_other_data():
    assert identity([approval()]) != identity([approval(p_good=0.0)])


def test_everyone_meets_the_completion_of_another_prompt():
    rows = [row(prompt, [100 * prompt + i]) for prompt in (1, 2, 3) for i in range(3)]
    for seed in range(20):
        found = strangers(rows, 10, seed)
        assert [other.prompt for other in found] == [own.prompt for own in rows]
        assert all(other.completion[0] // 100 != own.prompt[0] for own, other in zip(rows, found, strict=True))
        assert found == strangers(rows, 10, seed)
    assert strangers(rows, 10, 0) != strangers(rows, 10, 1)


def test_when_one_prompt_has_nearly_all_rows_each_still_meets_a_stranger():
    rows = [*(row(1, [100 + i]) for i in range(9)), row(2, [200])]
    found = strangers(rows, 10, 0)
    assert [other.completion for other in found[:9]] == [[200]] * 9
    assert found[9].completion[0] < 200


def test_a_stranger_that_does_not_fit_is_cut():
    found = strangers([row(1, [1] * 8), row(2, [2])], 7, 0)
    assert [len(other.completion) for other in found] == [1, 4]


def test_one_prompt_has_no_strangers():
    with pytest.raises(DataError, match="at least two prompts"):
        strangers([row(1, [1]), row(1, [2])], 10, 0)
