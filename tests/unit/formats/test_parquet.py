import sys

import pytest

from palate.core.errors import ConfigError, DataError, MissingArtefact
from palate.core.records import Verdict
from palate.formats import read


@pytest.fixture
def table(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: it comes with palate[data]")
    parquet = pytest.importorskip("pyarrow.parquet")

    def write(rows, **options):
        path = tmp_path / "rows.parquet"
        parquet.write_table(arrow.Table.from_pylist(rows), path, **options)
        return path

    return write


def bot(text):
    return [{"role": "assistant", "content": text}]


def test_rows_and_their_numbers(table):
    good = {"prompt": "q\u2028ü", "chosen": bot("a"), "rejected": bot("b")}
    found = read(table([good, {**good, "rejected": bot("")}, good]))
    assert (found.shape, len(found.pairs), found.rows) == ("preference", 2, 3)
    assert found.pairs[0].prompt.text == "q\u2028ü"
    (refusal,) = found.refused
    assert refusal.where == "rows.parquet:2"
    assert len(found.identity) == 16


def test_keys_that_the_table_fills_with_nothing_are_no_loss(table):
    # Arrow gives every message the keys of all messages.
    rows = [
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "tool_calls": None}]},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "tool_calls": ["f"]}]},
    ]
    assert read(table(rows)).lost == {"messages[].tool_calls": 1}


def test_row_groups_are_read_through(table):
    rows = [{"prompt": f"q{i}"} for i in range(10)]
    found = read(table(rows, row_group_size=3))
    assert [prompt.text for prompt in found.prompts] == [f"q{i}" for i in range(10)]


def test_a_table_without_rows(table):
    arrow = pytest.importorskip("pyarrow")
    path = table([{"prompt": "q"}])
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"prompt": arrow.array([], arrow.string())}), path)
    with pytest.raises(DataError, match="has no rows"):
        read(path)


def test_a_broken_table(table):
    path = table([{"prompt": "q"}])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="Parquet file is broken"):
        read(path)


@pytest.mark.parametrize(("content", "what"), [(b"", "is empty"), (b'{"prompt": "q"}', "is called .parquet is none")])
def test_a_file_of_that_name_alone(tmp_path, content, what):
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=what):
        read(path)


def test_no_file(tmp_path):
    with pytest.raises(MissingArtefact):
        read(tmp_path / "absent.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match="not installed: pyarrow") as caught:
        read(path)
    assert caught.value.hint == "pip install 'palate[data]'"


def test_columns_can_be_mapped(table):
    found = read(
        table([{"one": "a", "two": "b", "says": 2}]), columns={"first": "one", "second": "two", "verdict": "says"}
    )
    assert found.pairs[0].verdict is Verdict.SECOND
