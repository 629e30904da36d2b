"""The card shows each figure with its n and its interval, and cannot be broken by a name."""

import re

from palate.core.artefacts import Workspace, read_manifest
from palate.core.records import Comparison, Completion, Prompt, Rater
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judge


def card_of(path, **settings):
    with Journal.open(path) as journal:
        folder = freeze(journal, Workspace(path.parent), SnapshotConfig(**settings))
    return (folder / "card.md").read_text(encoding="utf-8"), read_manifest(folder)


def line(card, start):
    (found,) = [one for one in card.splitlines() if one.startswith(start)]
    return found


def test_figures_stand_with_n_and_interval(tmp_path, study):
    study(tmp_path / "j.db", 4)
    card, manifest = card_of(tmp_path / "j.db")
    # 12 comparisons of two raters, 8 agree. Verdicts: 20 first, 4 second, n = 24. D_o = 8/24,
    # D_e = (576 - 400 - 16) / 23 / 24 = 160/552; alpha = 1 - (1/3) / (160/552) = -.15.
    assert re.search(r"agree: 66\.7% \[\d\d\.\d%, \d\d\.\d%\], n = 12 pairs of raters", card)
    assert re.search(r"alpha \(.*\): -0\.15 \[-?\d\.\d\d, -?\d\.\d\d\], n = 24 judgements of 12 comparisons", card)
    assert re.search(r"ties: 0\.0% \[0\.0%, \d\d\.\d%\], n = 24 judgements", card)
    for rater in ("r0", "r1"):
        assert re.fullmatch(
            rf"\| {rater} \| 12 \| 66\.7% \[\d\d\.\d%, \d\d\.\d%\], n = 12 \|", line(card, f"| {rater}")
        )
    assert line(card, "| source 0 ") == "| source 0 | 6 | 12 | 6 |"
    assert line(card, "| source 1 ") == "| source 1 | 6 | 12 | 6 |"
    # Of each prompt's three comparisons, one policy is first in two of them and another in one.
    assert line(card, "| policy-0 ") == "| policy-0 | 4 | 0 | 4 |"
    assert line(card, "| policy-1 ") == "| policy-1 | 4 | 0 | 4 |"
    assert line(card, "| policy-2 ") == "| policy-2 | 0 | 8 | 0 |"
    assert manifest.facts["alpha"]["n"] == 24
    assert manifest.facts["agreement"]["n"] == 12


def test_when_all_agree_no_interval_is_a_point(tmp_path, asked, said):
    with Journal.open(tmp_path / "j.db") as journal:
        made = asked(journal, 3)
        judge(
            journal,
            [
                j
                for k, c in enumerate(made)
                for v in [("second", "first")[k % 2]]
                for j in said(c.id, ("r0", v), ("r1", v))
            ],
        )
    card, _ = card_of(tmp_path / "j.db")
    # 9 / (9 + 1.96^2) = 70.1 %, Wilson's.
    assert "agree: 100.0% [70.1%, 100.0%], n = 9" in card
    assert "| r0 | 9 | 100.0% [70.1%, 100.0%], n = 9 |" in card
    assert re.search(r"alpha \(.*\): 1\.00 \[0\.\d\d, 1\.00\]", card)
    for value, low, high in re.findall(r"(\S+) \[(\S+), (\S+)\]", card):
        assert low != high, value


def test_what_cannot_be_known_is_said(tmp_path, asked, said):
    with Journal.open(tmp_path / "j.db") as journal:
        made = asked(journal, 1)
        judge(journal, said(made[0].id, ("r0", "first"), ("r1", "skip")))
    card, manifest = card_of(tmp_path / "j.db")
    assert "two raters of one comparison agree: not known, n = 0" in card
    assert "| r1 | 1 | not known, n = 0 |" in card
    assert "comparisons, too few judgements: 2" in card
    assert (manifest.facts["agreement"], manifest.facts["alpha"]) == (None, None)
    with Journal.open(tmp_path / "j.db") as journal:
        judge(journal, said(made[0].id, ("r2", "first"), start=5))
    card, manifest = card_of(tmp_path / "j.db")
    assert "not known, only one verdict was given, n = 2 judgements" in card
    assert manifest.facts["alpha"] is None


def test_a_name_cannot_break_the_card(tmp_path, said):
    hostile = "x | y\n# Head <script> \u2028 `"
    prompt = Prompt.of("question", kind=hostile)
    pair = [Completion(prompt=prompt.id, text=text, policy=hostile) for text in ("a", "bb")]
    comparison = Comparison(prompt=prompt.id, first=pair[0].id, second=pair[1].id, source=hostile)
    with Journal.open(tmp_path / "j.db") as journal:
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, pair)
        rows.add_comparisons(journal, [comparison])
        rows.add_raters(journal, [Rater(hostile)])
        judge(journal, said(comparison.id, (hostile, "first")))
    card, _ = card_of(tmp_path / "j.db")
    shown = r"| x \| y\\n# Head \<script\> \\u2028 \` |"
    assert sum(one.startswith(shown) for one in card.splitlines()) == 4
    assert [one for one in card.splitlines() if one.startswith("#")] == [
        one for one in card.split("\n") if re.match(r"#{1,2} (Dataset|Can|Raters|Where|What|Kinds)", one)
    ]
