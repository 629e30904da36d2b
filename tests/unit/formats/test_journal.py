from dataclasses import replace

from palate.core.ids import file_id
from palate.core.records import Rater, Verdict
from palate.formats import pair_records, read

PAIR = {"prompt": "q", "chosen": "yes", "rejected": "no"}
AGAINST = {"prompt": "q", "chosen": "no", "rejected": "yes"}


def test_a_pair_is_a_comparison_and_one_judgement_by_the_file(take):
    records = pair_records(take(PAIR), "f00d")
    (prompt,), (shown,), (rater,), (judgement,) = (
        records.prompts,
        records.comparisons,
        records.raters,
        records.judgements,
    )
    texts = {completion.id: completion.text for completion in records.completions}
    assert sorted(texts.values()) == ["no", "yes"]
    assert {completion.policy for completion in records.completions} == {"import:f00d"}
    assert {completion.prompt for completion in records.completions} == {shown.prompt} == {prompt.id}
    assert rater == Rater("import:f00d", "import")
    assert (judgement.comparison, judgement.rater) == (shown.id, rater.id)
    better = shown.first if judgement.verdict is Verdict.FIRST else shown.second
    assert texts[better] == "yes"
    assert shown.source == "import:f00d"


def test_the_same_pair_twice_is_one_comparison_with_two_judgements(take):
    records = pair_records(take(PAIR, PAIR, AGAINST), "f00d")
    assert len(records.prompts) == len(records.comparisons) == len(records.raters) == 1
    assert len(records.completions) == 2
    assert len({judgement.uid for judgement in records.judgements}) == 3
    verdicts = [judgement.verdict for judgement in records.judgements]
    assert verdicts[0] == verdicts[1] != verdicts[2]


def test_importing_twice_adds_nothing_whatever_the_name(jsonl):
    one, other = jsonl("oops", PAIR, AGAINST), jsonl("oops", PAIR, AGAINST, name="copy.jsonl")
    first, second = (
        pair_records(read(path), file_id(path), judged_at="2026-01-01T00:00:00.000+00:00") for path in (one, other)
    )
    assert first == second


def test_other_files_are_other_judgements_and_completions(take):
    one, other = (pair_records(take(PAIR), name) for name in ("f00d", "cafe"))
    assert one.prompts == other.prompts
    assert not {c.id for c in one.completions} & {c.id for c in other.completions}
    assert one.judgements[0].uid != other.judgements[0].uid


def test_raters_of_a_file_keep_their_names(take):
    rows = [{"prompt": "q", "x": "1", "y": "2", "v": "a", "who": who} for who in ("ann", "bob", "")]
    columns = {"first": "x", "second": "y", "verdict": "v", "rater": "who"}
    records = pair_records(take(*rows, columns=columns), "f00d")
    assert [rater.id for rater in records.raters] == ["import:f00d:ann", "import:f00d:bob", "import:f00d"]
    assert {rater.kind for rater in records.raters} == {"import"}
    assert len(records.comparisons) == 1


def test_two_verdicts_of_a_row_are_two_judgements(take):
    row = {"prompt": "q", "x": "1", "y": "2", "v1": "a", "v2": "a"}
    uids = {
        pair_records(take(row, columns={"first": "x", "second": "y", "verdict": v}), "f").judgements[0].uid
        for v in ("v1", "v2")
    }
    assert len(uids) == 2


def test_equal_texts_are_told_apart_by_their_sample(take):
    imported = take(PAIR)
    twins = [replace(imported.pairs[0], first="same", second="same")]
    records = pair_records(replace(imported, pairs=twins), "f00d")
    assert [completion.sample for completion in records.completions] == [0, 1]
    assert records.comparisons[0].first != records.comparisons[0].second


def test_the_order_of_display_is_part_of_a_comparison(take):
    rows = [{"prompt": "q", "x": "1", "y": "2", "v": "a"}, {"prompt": "q", "x": "2", "y": "1", "v": "b"}]
    records = pair_records(take(*rows, columns={"first": "x", "second": "y", "verdict": "v"}), "f00d")
    assert len(records.comparisons) == 2
    assert len(records.completions) == 2
