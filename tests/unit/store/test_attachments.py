"""What models write to comparisons is kept once and shown to raters by chance; what was shown is kept too."""

import pytest

from palate.core.errors import ConfigError, DataError
from palate.core.records import Comparison, Completion, Prompt, Rater
from palate.store import assistance, attachments, erasure, rows
from palate.store.attachments import Attachment


@pytest.fixture
def made(where, filled):
    return filled(where, 4)


def wrote(comparison, kind="critique", text="It leaves out the dose.", **more):
    return Attachment(comparison=comparison.id, kind=kind, helper="helper-1", text=text, **more)


def test_an_attachment_is_kept_once_and_comes_back_as_it_was(journal, made):
    some = [
        wrote(made[0], side="first"),
        wrote(made[0], side="second", text="NUL \x00 and <b>"),
        wrote(made[1], "debate", turn=1, side="first"),
        wrote(made[1], "debate", turn=2, side="first"),
    ]
    assert attachments.add(journal, some) == 4
    assert attachments.add(journal, [some[2], wrote(made[2], "summary")]) == 1
    assert attachments.of(journal, [one.id for one in made]) == {
        made[0].id: some[:2],
        made[1].id: some[2:],
        made[2].id: [wrote(made[2], "summary")],
    }
    assert attachments.of(journal, [made[3].id]) == attachments.of(journal, []) == {}


def test_nonsense_is_refused_and_nothing_of_it_stored(journal, made):
    nowhere = Attachment(comparison="nowhere", kind="check", helper="h", text="t")
    with pytest.raises(DataError, match="not in the journal"):
        attachments.add(journal, [wrote(made[0]), nowhere])
    assert attachments.of(journal, [made[0].id]) == {}
    for wrong in ({"kind": "praise"}, {"side": "left"}, {"turn": -1}, {"text": " \n"}):
        with pytest.raises(DataError):
            wrote(made[0], **wrong)


def test_what_lacks_one_is_named_with_its_sides(journal, made):
    attachments.add(
        journal, [wrote(made[0], side="first"), wrote(made[1], side="first"), wrote(made[1], side="second")]
    )
    left = attachments.lacking(journal, "critique", ("first", "second"), ["s"])
    assert left == {made[0].id: ["second"], made[2].id: ["first", "second"], made[3].id: ["first", "second"]}
    assert attachments.lacking(journal, "summary", ("",)) == {one.id: [""] for one in made}
    assert attachments.lacking(journal, "critique", ("first",), ["no such source"]) == {}


def test_half_of_raters_see_it_and_the_share_is_a_setting_of_the_source(journal, made):
    attachments.add(journal, [wrote(one) for one in made])
    raters = [f"a{number}" for number in range(100)]
    rows.add_raters(journal, [Rater(name) for name in raters])
    seen = {name: assistance.deal(journal, name, made) for name in raters}
    often = sum(map(len, seen.values()))
    # 400 fair coins: outside 5 standard deviations less than once in a million seeds, and this seed is fixed.
    assert abs(often - 200) < 50
    # By comparison as much as by rater: neither decides alone.
    assert all(20 < sum(one.id in some for some in seen.values()) < 80 for one in made)
    dealt = assistance.all(journal)
    assert len(dealt) == 400
    assert {(one.comparison, one.rater) for one in dealt if one.shown} == {
        (c, r) for r, some in seen.items() for c in some
    }
    assert all(bool(one.shown) != bool(one.withheld) and one.share == 0.5 for one in dealt)
    assert assistance.all(journal, ["s"]) == dealt
    assert assistance.all(journal, ["other"]) == []
    for value, wanted in ((1.0, len(made)), (0.0, 0)):
        assistance.set_share(journal, "s", value)
        assert assistance.share(journal, "s") == value
        rows.add_raters(journal, [Rater(f"b{value}")])
        assert len(assistance.deal(journal, f"b{value}", made)) == wanted
    assert assistance.share(journal, "another") == 0.5
    with pytest.raises(ConfigError):
        assistance.set_share(journal, "s", 1.1)


def test_what_was_dealt_stays_though_the_share_changes_or_more_is_written(journal, made):
    attachments.add(journal, [wrote(one) for one in made[:2]])
    assistance.set_share(journal, "s", 1.0)
    assert len(assistance.deal(journal, "r0", made[:1])) == 1
    assistance.set_share(journal, "s", 0.0)
    assert assistance.deal(journal, "r1", made[:1]) == {}
    attachments.add(journal, [wrote(made[0], "summary", text="Both are short.")])
    assert [one.kind for one in assistance.deal(journal, "r0", made[:1])[made[0].id]] == ["critique", "summary"]
    assistance.set_share(journal, "s", 1.0)
    assert assistance.deal(journal, "r1", made[:1]) == {}
    kept = [(one.rater, len(one.shown), len(one.withheld), one.share) for one in assistance.all(journal)]
    assert kept == [("r0", 1, 0, 1.0), ("r1", 0, 1, 0.0), ("r0", 2, 0, 1.0), ("r1", 0, 2, 0.0)]
    # Given again as it was, there is nothing new to write down.
    assistance.deal(journal, "r1", made[:1])
    assert len(assistance.all(journal)) == 4


def test_a_debate_is_always_shown_and_tosses_no_coin(journal, made):
    said = [wrote(made[0], "debate", turn=1, side="first"), wrote(made[0], "debate", turn=1, side="second")]
    attachments.add(journal, said)
    assistance.set_share(journal, "s", 0.0)
    assert assistance.deal(journal, "r0", made) == {made[0].id: said}
    attachments.add(journal, [wrote(made[0])])
    assert assistance.deal(journal, "r0", made) == {made[0].id: said}
    assert assistance.all(journal)[-1].withheld == (wrote(made[0]).id,)
    # Seen beside a debate, the rest was still to be dealt.
    assistance.set_share(journal, "s", 1.0)
    attachments.add(journal, [wrote(made[1], "debate", turn=1)])
    assistance.deal(journal, "r1", [made[1]])
    attachments.add(journal, [wrote(made[1])])
    assert len(assistance.deal(journal, "r1", [made[1]])[made[1].id]) == 2


def test_it_goes_with_its_comparison_its_helper_and_its_rater(journal):
    asked = Prompt.of("how much?")
    texts = [Completion(prompt=asked.id, text=text, policy="person:ada", sample=0) for text in ("a", "b")]
    shown = Comparison(prompt=asked.id, first=texts[0].id, second=texts[1].id, source="s")
    other = Prompt.of("how long?")
    more = [Completion(prompt=other.id, text=text, policy="p", sample=0) for text in ("a", "b")]
    stays = Comparison(prompt=other.id, first=more[0].id, second=more[1].id, source="s")
    rows.add_prompts(journal, [asked, other])
    rows.add_completions(journal, texts + more)
    rows.add_comparisons(journal, [shown, stays])
    rows.add_raters(journal, [Rater("ada"), Rater("bob")])
    attachments.add(journal, [wrote(shown), wrote(stays)])
    assistance.deal(journal, "bob", [shown, stays])
    assistance.deal(journal, "ada", [stays])
    gone = erasure.forget(journal, "ada").deleted
    # What ada wrote goes with what was attached to it; what ada was shown goes too.
    assert gone["attachment"] == 1
    assert gone["assistance"] == 2
    assert list(attachments.of(journal, [shown.id, stays.id])) == [stays.id]
    assert erasure.forget(journal, "helper-1").deleted == {"attachment": 1}
    assert [one.rater for one in assistance.all(journal)] == ["bob"]
