import csv
import gzip
import json
import sys

import pytest

from palate.core.errors import DataError, MissingArtefact
from palate.formats import read
from palate.formats.imported import EXCERPT_LENGTH

GOOD = {"prompt": "q", "chosen": "yes", "rejected": "no"}


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingArtefact, match="no such file") as caught:
        read(tmp_path / "absent.jsonl")
    assert caught.value.where.endswith("absent.jsonl")


def test_a_folder(tmp_path, jsonl):
    jsonl(GOOD)
    with pytest.raises(DataError, match="folder") as caught:
        read(tmp_path)
    assert caught.value.found == "`rows.jsonl`"


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.txt", "rows.jsonl.gz"])
@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
def test_an_empty_file(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") and content else content)
    with pytest.raises(DataError, match="is empty"):
        read(path)


@pytest.mark.parametrize(("name", "content"), [("rows.csv", "prompt,kind\n"), ("rows.json", "[ ]")])
def test_a_file_without_rows(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="has no rows"):
        read(path)


def test_an_unknown_suffix(jsonl):
    with pytest.raises(DataError, match="does not tell") as caught:
        read(jsonl(GOOD, name="rows.xlsx"))
    assert ".jsonl" in caught.value.expected


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.txt"])
def test_not_utf8(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"prompt\nfine\ncaf\xe9\n")
    with pytest.raises(DataError, match="not UTF-8") as caught:
        read(path)
    assert caught.value.where == f"{path}:3"
    assert "0xe9" in caught.value.found


def test_gzip_that_is_none(jsonl):
    with pytest.raises(DataError, match="cannot be unzipped") as caught:
        read(jsonl(GOOD, name="rows.jsonl.gz"))
    assert "`rows.jsonl`" in caught.value.hint


def test_gzip_cut_short(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-12])
    with pytest.raises(DataError, match="cannot be unzipped") as caught:
        read(path)
    assert "cut short" in caught.value.found


def test_gzip_in_disguise(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(gzip.compress(json.dumps(GOOD).encode()))
    with pytest.raises(DataError, match="compressed") as caught:
        read(path)
    assert "rows.jsonl.gz" in caught.value.hint


def test_a_broken_line_costs_only_itself(take):
    found = take(GOOD, '{"prompt": "q", "chosen": ', "", '["a"]', "[" * 100_000, "7", GOOD)
    assert [pair.where for pair in found.pairs] == ["rows.jsonl:1", "rows.jsonl:7"]
    assert [pair.row for pair in found.pairs] == [1, 6]
    assert [refusal.where for refusal in found.refused] == [f"rows.jsonl:{n}" for n in (2, 4, 5, 6)]
    assert found.refused[0].reason.startswith("the line is not JSON: Expecting value at column 27")
    assert found.refused[1].reason == "the row is not an object but a list"
    assert all(len(refusal.excerpt) <= EXCERPT_LENGTH for refusal in found.refused)
    assert found.rows == 6


def test_refusals_stand_in_the_order_of_the_file(take):
    found = take(GOOD, {**GOOD, "chosen": ""}, "{oh", {**GOOD, "chosen": ""}, GOOD)
    assert [refusal.where for refusal in found.refused] == [f"rows.jsonl:{n}" for n in (2, 3, 4)]


def test_only_broken_lines(take):
    with pytest.raises(DataError, match="no row of a file can be read") as caught:
        take("{oh", "no}")
    assert caught.value.where == "rows.jsonl:1"
    assert caught.value.found.startswith("2 broken rows")


def test_only_refused_rows(take):
    with pytest.raises(DataError, match="every row of a file was refused when read as `preference`") as caught:
        take({**GOOD, "chosen": ""}, {**GOOD, "chosen": " "}, {**GOOD, "chosen": "no"})
    assert caught.value.where == "rows.jsonl:1"
    assert caught.value.found.startswith("2 times: the chosen completion is empty; 1 times:")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[\n{"prompt": "q"},\n{"prompt": }\n]', 3),
        ('[\n{"prompt": "q"}\n{"prompt": "r"}\n]', 3),
        ('[\n{"prompt": "q"},\n', 3),
        ('[{"prompt": "q"}]\nmore', 1),
        ("[\n" + "[" * 100_000, 2),
    ],
)
def test_a_broken_list_names_its_line_and_nothing_is_taken(tmp_path, text, line):
    path = tmp_path / "rows.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="JSON file is broken") as caught:
        read(path)
    assert caught.value.where == f"rows.json:{line}"


def test_one_object_over_several_lines_is_not_a_list_of_rows(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"data": [GOOD]}, indent=1), encoding="utf-8")
    with pytest.raises(DataError, match="one object over several lines"):
        read(path)


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
@pytest.mark.parametrize("indent", [None, 2])
def test_lists_and_lines_are_told_apart_by_what_they_hold(tmp_path, name, indent):
    path = tmp_path / name
    path.write_text(json.dumps([GOOD, GOOD], indent=indent), encoding="utf-8")
    assert len(read(path).pairs) == 2
    path.write_text("\n".join([json.dumps(GOOD)] * 3), encoding="utf-8")
    assert len(read(path).pairs) == 3


def test_line_separators_within_a_text_end_no_line(take):
    (pair,) = take({**GOOD, "prompt": "a\u2028b\u0085c\x0bd"}).pairs
    assert pair.prompt.text == "a\u2028b\u0085c\x0bd"


def test_two_columns_of_one_name(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("prompt,a, a,b\nq,1,2,3\n", encoding="utf-8")
    with pytest.raises(DataError, match="two columns of the same name") as caught:
        read(path)
    assert (caught.value.where, caught.value.found) == ("rows.csv:1", "`a` more than once")


def test_bad_rows_of_a_table_cost_only_themselves(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('prompt,kind\nq,k\nr\ns,k,more\n"t"u,k\nv,k\n"w,k\n', encoding="utf-8")
    found = read(path)
    assert [prompt.text for prompt in found.prompts] == ["q", "v"]
    assert [refusal.where for refusal in found.refused] == [f"rows.csv:{n}" for n in (3, 4, 5, 7)]
    assert found.refused[0].reason == "the row has 1 cells and the header 2"


def test_a_long_cell_of_a_table(tmp_path):
    limit = csv.field_size_limit()
    path = tmp_path / "rows.csv"
    path.write_text("prompt,kind\n" + "x" * (limit + 1) + ",k\n", encoding="utf-8")
    assert len(read(path).prompts[0].text) == limit + 1
    assert csv.field_size_limit() == limit, "the process is left as it was"


def test_no_torch_and_nothing_written(tmp_path, jsonl):
    path = jsonl(GOOD)
    before = sorted(p.name for p in tmp_path.iterdir())
    assert read(path) == read(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    formats = [module for name, module in sys.modules.items() if name.startswith("palate.formats")]
    assert all("torch" not in vars(module) for module in formats)


RATINGS = [{"prompt": "q\u2028", "response": text, "helpfulness": score} for text, score in (("a\u0085", 1), ("b", 2))]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.json"])
def test_rows_that_belong_together_are_joined_however_the_file_is_written(tmp_path, name, end, mark):
    lines = [json.dumps(row, ensure_ascii=False) for row in RATINGS]
    text = f"[{end}{f',{end}'.join(lines)}{end}]" if name == "rows.json" else end.join(lines) + end
    data = mark + text.encode("utf-8")
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    (pair,) = read(tmp_path / name).pairs
    assert pair.prompt.text == "q\u2028"
    assert {pair.first, pair.second} == {"a\u0085", "b"}
