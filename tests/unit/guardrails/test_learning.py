"""A classifier trained on a user's own flagged texts."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from palate.core.errors import ConfigError, DataError, MissingArtefact
from palate.guardrails import classifier, labelled, learning
from palate.guardrails.features import features, parts
from palate.guardrails.labelled import Labelled

BAD = ("forge", "steal", "break into", "misuse")
GOOD = ("protect", "store", "check", "look after")
THINGS = ("an invoice", "a password", "a passport", "a phone", "a contract", "a diary", "a laptop", "an id card")


def texts(things=THINGS):
    return [
        Labelled(f"how do i {verb} {thing}?", verb in BAD, group=thing) for verb in (*BAD, *GOOD) for thing in things
    ]


@pytest.fixture(scope="module")
def learned():
    return learning.train(texts())


def test_what_was_held_out_is_told_apart(learned):
    """Every thing was scored by a classifier that never saw it; the verbs tell, so all 64 must come out right."""
    assert learned.caught == (32, 32)
    assert learned.false_alarms[1] == 32
    assert learned.auc == 1.0
    assert learned.false_alarms[0] <= 0.02 * 32


def test_a_disguise_or_a_lot_of_harmless_words_do_not_hide_it(learned):
    one = learned.classifier
    plain = one.score("how do i forge a receipt?")
    fine = one.score("how do i check a receipt?")
    assert plain > 0.5 > fine
    for hidden in ("HOW DO I F0RGE A R3CEIPT", "how do i fоrge a rесеipt", "how do i f\u200borge a receipt?"):
        assert one.score(hidden) > 0.5, hidden
    harmless = "how do i store a laptop and protect a diary? " * 60
    assert one.score(harmless) < 0.5
    assert one.score(harmless + "how do i forge a receipt? " + harmless) > 0.5


def test_the_fit_is_the_minimum():
    """At the minimum the gradient is 0, and no small step in any direction does better."""
    rng = np.random.default_rng(0)
    n, d, price = 40, 7, 1e-2
    dense = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.5)
    y = (rng.random(n) < 0.4).astype(float)
    rows, columns = np.nonzero(dense)
    w, b = learning.fit(learning._Rows(rows, columns, dense[rows, columns], n, d), y, price)

    def value(w, b):
        return np.logaddexp(0, -(2 * y - 1) * (dense @ w + b)).mean() + price / 2 * w @ w

    p = 1 / (1 + np.exp(-(dense @ w + b)))
    assert np.abs(dense.T @ (p - y) / n + price * w).max() < 1e-6
    assert abs((p - y).mean()) < 1e-6
    for _ in range(50):
        step = rng.normal(size=d + 1) * 1e-3
        assert value(w + step[:-1], b + step[-1]) >= value(w, b)


def test_labels_that_mean_nothing_are_not_learned():
    """Over 200 texts with coin-flip labels the held-out AUC has a standard error of .04: beyond .16 is 1 in 16,000."""
    rng = random.Random(3)
    rows = [
        Labelled(f"word{rng.randrange(40)} word{rng.randrange(40)} word{n}", rng.random() < 0.5) for n in range(200)
    ]
    assert abs(learning.train(rows).auc - 0.5) < 0.16


def test_the_threshold_stops_no_more_fine_texts_than_asked():
    rows = [*texts(), *(Labelled(f"how do i forge good habit number {n}?", False) for n in range(20))]
    for allowed in (0.0, 0.1, 0.3):
        found = learning.train(rows, learning.LearningConfig(false_alarms=allowed, prices=(1e-3,)))
        assert found.false_alarms[0] <= allowed * found.false_alarms[1]


def test_the_file_holds_the_same_classifier(learned, tmp_path):
    path = tmp_path / classifier.FILE
    classifier.save(path, learned.classifier, {"texts": 64})
    again = classifier.load(tmp_path)
    for text in ("how do i forge a receipt?", "hello", ""):
        assert again.score(text) == pytest.approx(learned.classifier.score(text), abs=1e-6)
    assert again.threshold == learned.classifier.threshold
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        classifier.load(path)
    save_file({"numbers": np.zeros(1, np.int32), "weights": np.zeros(1), "bias": np.zeros(2)}, path)
    with pytest.raises(DataError, match="cannot be read"):
        classifier.load(path)
    with pytest.raises(MissingArtefact, match="no classifier"):
        classifier.load(tmp_path / "elsewhere")


@settings(max_examples=30)
@given(st.text(max_size=300))
def test_any_text_has_a_chance(text):
    only = classifier.Classifier(np.ones(1 << 18), -1.0, 0.5)
    assert 0 <= only.score(text) <= 1
    found = features(text)
    assert len(found.numbers_K) == 0 or np.linalg.norm(found.values_K) == pytest.approx(1)


def test_the_parts_of_a_text_leave_nothing_out():
    text = "".join(chr(97 + n % 26) for n in range(5_000))
    _, *passages = parts(text)
    assert all(any(text[at : at + 300] in part for part in passages) for at in range(0, 4_701, 100))
    assert parts("one sentence. another one here.\nand a line") == [
        "one sentence. another one here.\nand a line",
        "one sentence.",
        "another one here.",
        "and a line",
    ]


def write(path, *rows):
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_labels_in_the_words_that_people_use(tmp_path):
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": "Harmful"}, {"text": "c", "label": False}]
    path = write(tmp_path / "rows.jsonl", *rows, {"text": "d", "label": "fine", "group": 7})
    assert labelled.read(path) == [("a", True, ""), ("b", True, ""), ("c", False, ""), ("d", False, "7")]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"text": "x", "label": "perhaps"}, "neither stop nor go"),
        ({"text": "x"}, "neither stop nor go"),
        ({"text": " ", "label": 1}, "no text"),
        (["x", 1], "no text"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, why):
    path = write(tmp_path / "rows.jsonl", {"text": "a", "label": 1}, row)
    with pytest.raises(DataError, match=why) as error:
        labelled.read(path)
    assert error.value.where.endswith("rows.jsonl:2")


def test_one_kind_alone_teaches_nothing(tmp_path):
    with pytest.raises(DataError, match="both kinds"):
        labelled.read(write(tmp_path / "rows.jsonl", *({"text": str(n), "label": 1} for n in range(9))))
    with pytest.raises(ConfigError, match="held out from themselves"):
        learning.train([Labelled("a", True, "g"), Labelled("b", True, "g"), Labelled("c", False), Labelled("d", False)])
