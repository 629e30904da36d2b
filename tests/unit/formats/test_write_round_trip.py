"""What was written is read back as it was, byte for byte, whatever the texts hold."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.records import Demonstration, Message, Preference, Prompt, Verdict
from palate.formats import read
from palate.formats.write import TARGETS, write_demonstrations, write_preferences, write_prompts

# Half characters cannot be written at all, U+0000 cannot be stored; all else must survive.
TEXTS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\x00") | st.sampled_from("\r\n\u2028\u0085 ,\"'{["),
    min_size=1,
    max_size=12,
).filter(str.strip)


@st.composite
def prompts(draw, turns=2, system=True):
    messages = [Message("system", draw(TEXTS))] if turns and system and draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, turns))):
        messages += [Message("user", draw(TEXTS)), Message("assistant", draw(TEXTS))]
    return Prompt((*messages, Message("user", draw(TEXTS))))


@st.composite
def preferences(draw, turns=2, system=True):
    chosen, rejected = draw(st.tuples(TEXTS, TEXTS).filter(lambda pair: pair[0].strip() != pair[1].strip()))
    return Preference(
        comparison="", prompt=draw(prompts(turns, system)), chosen=chosen, rejected=rejected, p_chosen=1.0
    )


def sides(pair):
    return (pair.first, pair.second) if pair.verdict is Verdict.FIRST else (pair.second, pair.first)


def there_and_back(write, name, suffix, records):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"out{suffix}"
        written = write(path, TARGETS[name], records)
        found = read(path)
    assert written.left_out == {}
    assert (found.refused, found.lost, found.rows) == ([], {}, len(records))
    return found


WAYS = [(target.name, suffix) for target in TARGETS.values() for suffix in target.suffixes if suffix != ".parquet"]
NO_SYSTEM = ("hh",)
"""These have no place for it, and say so."""


@pytest.mark.parametrize(("name", "suffix"), WAYS)
@settings(max_examples=30)
@given(data=st.data())
def test_preferences(name, suffix, data):
    rows = data.draw(st.lists(preferences(system=name not in NO_SYSTEM), min_size=1, max_size=4))
    found = there_and_back(write_preferences, name, suffix, rows)
    assert [(pair.prompt, *sides(pair)) for pair in found.pairs] == [(r.prompt, r.chosen, r.rejected) for r in rows]


@pytest.mark.parametrize(("name", "suffix"), [way for way in WAYS if way[0] != "hh"])
@settings(max_examples=30)
@given(rows=st.lists(st.tuples(prompts(), TEXTS), min_size=1, max_size=4))
def test_demonstrations(name, suffix, rows):
    shown = [Demonstration(prompt=prompt, completion=text) for prompt, text in rows]
    assert there_and_back(write_demonstrations, name, suffix, shown).demonstrations == shown


@settings(max_examples=30)
@given(asked=st.lists(prompts(), min_size=1, max_size=4))
def test_prompts(asked):
    assert there_and_back(write_prompts, "trl", ".jsonl", asked).prompts == asked


@pytest.mark.parametrize(("name", "turns"), [("trl", 2), ("openrlhf", 2), ("verl", 0)])
@settings(max_examples=20)
@given(data=st.data())
def test_preferences_in_parquet(name, turns, data):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: it comes with palate[data]")
    rows = data.draw(st.lists(preferences(turns), min_size=1, max_size=4))
    found = there_and_back(write_preferences, name, ".parquet", rows)
    assert [(pair.prompt, *sides(pair)) for pair in found.pairs] == [(r.prompt, r.chosen, r.rejected) for r in rows]
