import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from palate.cli.data import import_pairs
from palate.core.errors import ConfigError, DataError, MissingArtefact
from palate.formats import read

ROWS = [{"prompt": "q", "chosen": "a", "rejected": "b"}, {"prompt": "q", "chosen": "a", "rejected": "a"}]


@pytest.fixture
def library(monkeypatch):
    """A stand-in for `datasets` that keeps what it was asked for."""
    asked = []

    def load_dataset(name, configuration, split):
        asked.append((name, configuration, split))
        if name == "nobody/nothing":
            raise FileNotFoundError("no such data set")
        return ROWS if split == "train" else []

    def load_from_disk(name):
        asked.append((name,))
        return {"train": ROWS} if "dict" in name else ROWS

    fake = SimpleNamespace(load_dataset=load_dataset, load_from_disk=load_from_disk)
    monkeypatch.setitem(sys.modules, "datasets", fake)
    return asked


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("hub:owner/name", ("owner/name", None, "train")),
        ("hub:owner/name[train]", ("owner/name", None, "train")),
        ("hub:owner/name:en[train]", ("owner/name", "en", "train")),
    ],
)
def test_a_name_is_taken_apart(library, name, asked):
    found = read(name)
    assert library == [asked]
    assert (found.shape, len(found.pairs)) == ("preference", 1)
    assert found.refused[0].where == "hub:owner/name[train]:2"


def test_a_slice_keeps_its_brackets(library):
    with pytest.raises(DataError, match="has no rows"):
        read("hub:owner/name[train[:10]]")
    assert library == [("owner/name", None, "train[:10]")]


def test_the_id_follows_from_the_rows(library):
    one, other = read("hub:owner/name"), read("hub:other/name")
    assert one.identity == other.identity
    assert len(one.identity) == 16


@pytest.mark.parametrize(
    ("name", "files"), [("dict", ["dataset_dict.json"]), ("one", ["dataset_info.json", "state.json"])]
)
def test_a_folder_that_was_saved_is_opened(library, tmp_path, name, files):
    folder = tmp_path / name
    folder.mkdir()
    for file in files:
        (folder / file).write_text("{}", encoding="utf-8")
    assert len(read(f"hub:{folder}").pairs) == 1
    assert library == [(str(folder),)]
    with pytest.raises(MissingArtefact, match="cannot be fetched"):
        read(f"hub:{folder}[test]")


def test_its_pairs_reach_the_journal_once(library, tmp_path):
    source = Path("hub:owner/name")
    assert import_pairs(read(source), source, tmp_path)[1] == 1
    assert import_pairs(read(source), source, tmp_path)[1] == 0


def test_a_data_set_that_is_not_there(library):
    with pytest.raises(MissingArtefact, match="cannot be fetched") as caught:
        read("hub:nobody/nothing[test]")
    assert caught.value.where == "hub:nobody/nothing[test]"
    assert "no such data set" in caught.value.found


def test_a_name_that_is_none(library):
    with pytest.raises(DataError, match="cannot be read") as caught:
        read("hub:[train]")
    assert "hub:owner/name[split]" in caught.value.expected
    assert library == []


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match="not installed: datasets") as caught:
        read("hub:owner/name")
    assert caught.value.hint == "pip install 'palate[data]'"
