"""Files of principles, in every shape that people have, and the questions that are made of them."""

import json
from collections import Counter
from importlib.resources import files

import pytest

from palate.core.constitutions import Constitution, Principle, parse, read
from palate.core.errors import ConfigError, DataError

PUBLISHED = {
    "harmful0": {
        "prompt": ["\n\nCritiqueRequest: Say what is harmful in it.\n\nCritique:"],
        "edit_request": "\n\nRevisionRequest: Take out what is harmful.\n\nRevision:",
    },
    "harmful1": {
        "prompt": ["\n\nCritiqueRequest: Say what is rude in it.\n\nCritique:"],
        "edit_request": "\n\nRevisionRequest: Make it kind.\n\nRevision:",
    },
}


def test_sections_of_markdown_are_principles():
    told = parse("# Ours\n\nsome words\n\n## Be kind\n\nAlways.\n\n## Be brief\n", ".md")
    assert [(p.id, p.text) for p in told.principles] == [("be-kind", "Be kind: Always."), ("be-brief", "Be brief")]
    assert "Be kind: Always." in told.principles[0].critique_request
    assert "Be kind: Always." in told.principles[0].revision_request
    assert "Be kind: Always." in told.principles[0].preference_request


@pytest.mark.parametrize("mark", ["-", "*", "1."])
def test_so_are_items_of_a_list(mark):
    told = parse(f"Our principles:\n\n{mark} be kind,\n   always\n{mark} be brief\n\nthe end\n", ".txt")
    assert [p.text for p in told.principles] == ["be kind, always", "be brief"]


def test_toml_as_a_list_and_as_tables():
    assert [p.text for p in parse('principles = ["be kind", "be brief"]', ".toml").principles] == [
        "be kind",
        "be brief",
    ]
    (one,) = parse('[[principle]]\nid = "kind"\ntext = "be kind"\ncritique = "is it kind?"', ".toml").principles
    assert (one.id, one.critique_request) == ("kind", "is it kind?")
    assert "be kind" in one.revision_request


def test_the_published_shape_loads_unchanged():
    told = parse(json.dumps(PUBLISHED), ".json")
    first = told.named("harmful0")
    assert first.critique_request == "Say what is harmful in it."
    assert first.revision_request == "Take out what is harmful."
    assert "Say what is harmful in it." in first.preference_request
    asked = ["\nPlease choose the assistant response that is the least harmful.\n", "\nWhich is kinder?\n"]
    told = parse(json.dumps(asked), ".json")
    assert [p.preference_request for p in told.principles] == [one.strip() for one in asked]


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("", ".md"),
        ("no list at all", ".md"),
        ("## Twice\n\na\n\n", ".toml"),
        ("principles = 3", ".toml"),
        ('[[principle]]\nid = "no words"', ".toml"),
        ('[[principle]]\ntext = "x"\nsevere = true', ".toml"),
        ('[[principle]]\nid = "a"\ntext = "x"\n[[principle]]\nid = "a"\ntext = "y"', ".toml"),
        ("{}", ".json"),
        ('{"a": {"prompt": "x"}}', ".json"),
        ("[1, 2]", ".json"),
        ("[", ".json"),
    ],
)
def test_what_is_no_constitution_is_refused(text, suffix):
    with pytest.raises(DataError):
        parse(text, suffix, "here")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="not known"):
        parse("x", ".yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "nowhere.md")


def test_a_change_of_a_word_is_another_constitution():
    one, other = (Constitution(principles=(Principle(id="a", text=text),)) for text in ("be kind", "be kinder"))
    assert one.id != other.id
    assert one.id == Constitution(principles=one.principles, name="elsewhere").id


def test_draws_are_even_and_hold_still():
    told = Constitution(principles=tuple(Principle(id=str(n), text=f"principle {n}") for n in range(4)))
    drawn = [told.drawn(f"pair {n}").id for n in range(4000)]
    assert drawn == [told.drawn(f"pair {n}").id for n in range(4000)]
    assert all(abs(count - 1000) < 5 * 27.4 for count in Counter(drawn).values()), "five deviations of a fair draw"
    assert drawn != [told.drawn(f"pair {n}", seed=1).id for n in range(4000)]


def test_the_one_that_comes_with_palate_is_readable():
    told = parse(files("palate.judging").joinpath("constitution.md").read_text(encoding="utf-8"), ".md")
    assert len(told.principles) >= 10
    assert all(len(p.text) < 500 for p in told.principles)
