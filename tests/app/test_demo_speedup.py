"""Speed-up rows: a median over pairs, never a ratio of medians of different runs."""

from scripts.demo_speedup import figures


def test_the_ratio_is_taken_within_pairs():
    rows = {row["name"]: row for row in figures([(300.0, 200.0), (100.0, 100.0), (400.0, 200.0)])}
    assert rows["demo/speedup"]["value"] == 1.5
    assert (rows["demo/speedup"]["low"], rows["demo/speedup"]["high"]) == (1.0, 2.0)
    assert rows["demo/before_s"]["value"] == 300.0
    assert rows["demo/after_s"]["value"] == 200.0
    assert {row["n"] for row in rows.values()} == {3}
