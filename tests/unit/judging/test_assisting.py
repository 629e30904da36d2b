"""Help by a scripted model: what it is asked, what is attached to which side, and what a failure leaves."""

import pytest

from palate.core.errors import ConfigError
from palate.core.records import Comparison, Completion, Prompt
from palate.core.subjects import Answer
from palate.judging.assisting import REQUESTS, AssistingConfig, assist
from palate.store import attachments, rows
from palate.store.journal import Journal
from scripted import Parrot


def scripted(fails=lambda prompt: None):
    """Names the answer that it is asked about; may fail."""
    return Parrot(lambda p: fails(p) or f"about {p.messages[-2].content}")


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "j.db") as opened:
        yield opened


@pytest.fixture
def made(journal):
    """Three comparisons of a source, two of which share an answer, and one of another."""
    prompts = [Prompt.of(f"question {n}", kind="code") for n in range(3)]
    texts = [[Completion(prompt=p.id, text=f"answer {n}{k}", policy="p") for k in "abc"] for n, p in enumerate(prompts)]
    pairs = [(0, 0, 1, "s"), (0, 0, 2, "s"), (1, 0, 1, "s"), (2, 0, 1, "other")]
    found = [
        Comparison(prompt=prompts[n].id, first=texts[n][i].id, second=texts[n][j].id, source=s) for n, i, j, s in pairs
    ]
    rows.add_prompts(journal, prompts)
    rows.add_completions(journal, [one for some in texts for one in some])
    rows.add_comparisons(journal, found)
    return found


def test_each_answer_gets_its_own_and_is_read_once(journal, made):
    helper = scripted()
    told = assist(journal, helper, "critic", AssistingConfig(sources=("s",)))
    assert (told.comparisons, told.written, told.failed) == (3, 6, 0)
    assert len(helper.heard) == 5, "one answer stands in two comparisons"
    there = attachments.of(journal, [one.id for one in made])
    assert [(one.side, one.text, one.helper, one.kind) for one in there[made[1].id]] == [
        ("first", "about answer 0a", "critic", "critique"), ("second", "about answer 0c", "critic", "critique"),
    ]  # fmt: skip
    assert made[3].id not in there
    asked = next(p for p in helper.heard if p.messages[-2].content == "answer 1b")
    assert [m.role for m in asked.messages] == ["user", "assistant", "user"]
    assert asked.messages[-1].content == REQUESTS["critique"]
    assert not {"first", "second"} & set(asked.text.split()), "it cannot know on which side it will be"
    again = scripted()
    assert assist(journal, again, "critic", AssistingConfig(sources=("s",))).comparisons == 0
    assert again.heard == []
    # Another kind is another matter.
    assert assist(journal, again, "critic", AssistingConfig(kind="summary", sources=("s",))).written == 6


def test_what_fails_is_not_attached_and_asked_again(journal, made):
    def ill(prompt):
        return {
            "answer 0a": Answer("", finished=False, error="429"),
            "answer 1a": Answer("and so", finished=False),
        }.get(prompt.messages[-2].content) or (Answer(" \n") if prompt.messages[-2].content == "answer 0b" else None)

    told = assist(journal, scripted(ill), "critic", AssistingConfig(sources=("s",), at_once=1))
    assert (told.written, told.failed) == (2, 4)
    assert told.reasons == {"429": 2, "it was cut off": 1, "nothing was said": 1}
    helper = scripted()
    told = assist(journal, helper, "critic", AssistingConfig(sources=("s",)))
    assert (told.comparisons, told.written, told.failed) == (3, 4, 0)
    assert len(helper.heard) == 3
    assert sorted(len(some) for some in attachments.of(journal, [one.id for one in made[:3]]).values()) == [2, 2, 2]


def test_a_death_loses_what_was_under_way_and_nothing_else(journal, made):
    class Dies(Parrot):
        def answer(self, prompts, *, seed=0, progress=None):
            if self.heard:
                raise KeyboardInterrupt
            return super().answer(prompts)

    with pytest.raises(KeyboardInterrupt):
        assist(journal, Dies(lambda p: "fine"), "critic", AssistingConfig(at_once=2))
    told = assist(journal, scripted(), "critic", AssistingConfig(at_most=1))
    assert (told.comparisons, told.written) == (1, 2)
    assert assist(journal, scripted(), "critic", AssistingConfig()).written == 2


def test_nonsense_is_refused():
    for wrong in ({"kind": "debate"}, {"at_most": -1}, {"at_once": 0}):
        with pytest.raises(ConfigError):
            AssistingConfig(**wrong)
