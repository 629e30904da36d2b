"""The cell of A/B tests, on few: its names are documented, and a wrong sequence would be seen."""

import re

from scripts import cells
from scripts.rounds import ab


def test_every_name_says_what_it_averages(monkeypatch):
    for name, few in (("RUNS", 10), ("_AT_ONCE", 10), ("SPLITS", 5), ("SPLIT_PEOPLE", 3000)):
        monkeypatch.setattr(ab, name, few)
    monkeypatch.setattr(ab.anytime, "_PATHS", 200)
    rows = ab.figures(0)
    told = cells.abouts("scripts.rounds.ab")
    settings = {setting.name for setting in ab.SETTINGS}
    names = {
        name if (last := name.rpartition("/")[2]) not in settings else re.sub(f"{last}$", "<setting>", name)
        for name in (row["name"] for row in rows)
    }
    assert names == set(told)
    assert all(row["low"] <= row["value"] <= row["high"] and row["n"] > 0 for row in rows)


def test_a_bound_that_forgets_the_looks_would_be_seen(monkeypatch):
    monkeypatch.setattr(ab, "RUNS", 250)
    monkeypatch.setattr(ab.anytime, "_PATHS", 400)
    good = ab._setting(ab.SETTINGS[1], 5)
    # Six standard errors of 250 around .05 would be .13.
    assert good.false < 0.13 * 250
    assert good.peeked > 0.25 * 250
