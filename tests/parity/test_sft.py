"""Supervised fine-tuning, held against TRL."""

import pytest
from tests.parity import material, sft, theirs
from tests.parity.measure import deviation, step

from palate.models.template import PLAIN_TEMPLATE

pytestmark = theirs.needs_trl


@pytest.mark.parametrize("case", sft.CASES)
def test_loss_and_gradient(folders, seed, case):
    """Palate trains all that the assistant says unless told otherwise; TRL trains the last answer, or, with
    `assistant_only_loss` and a template that marks them, all. Each is right for who asks for it."""
    assert deviation(*sft.compare(folders, seed, case)).within


def test_other_tokens_are_seen(folders, seed):
    given = material.demonstrations(seed)
    other = sft.ours(folders.policy, sft.encoded(folders.policy, given, turns="all"))
    assert not deviation(other, sft.compare(folders, seed, "sft last")[1]).within


def test_rows_that_are_too_long(folders, seed):
    """TRL cuts them, and trains an answer that breaks off; Palate leaves them out and counts them, which is right:
    nobody wrote that answer. With the same rows left out of TRL's data both agree."""
    given = material.demonstrations(seed)
    limit = sorted(len(row.tokens) for row in sft.encoded(folders.policy, given, turns="last"))[2]
    rows = sft.encoded(folders.policy, given, turns="last", limit=limit)
    assert len(rows) == 3
    cut = sft.rows_of(sft.trainer(folders.policy, given, turns="last", max_length=limit))
    assert len(cut) > len(rows)
    fit = [d for d in given if sft.encoded(folders.policy, [d], turns="last", limit=limit)]
    made = sft.trainer(folders.policy, fit, turns="last")
    assert sft.rows_of(made) == rows
    found = step(made.model, lambda: made.compute_loss(made.model, theirs.batch(made)))
    assert deviation(sft.ours(folders.policy, rows), found).within


def test_a_template_that_writes_no_end(folders, seed):
    """TRL trains what such a template writes and so nobody learns to stop; Palate puts one end token behind each
    answer, which is right: it is what sampling waits for. With the end put into TRL's rows both agree."""
    given = material.demonstrations(seed)
    rows = sft.encoded(folders.policy, given, turns="last", template=PLAIN_TEMPLATE)
    made = sft.trainer(folders.policy, given, turns="last", template=PLAIN_TEMPLATE)
    end = made.processing_class.eos_token_id
    assert all(row.tokens[-1] == end for row in rows)
    assert all(end not in row.tokens for row in sft.rows_of(made))
    by_hand = [
        {"input_ids": [*read["input_ids"][:-1], end], "labels": [*read["labels"][:-1], end]}
        for read in made.train_dataset  # the last token is the line break that such a template writes there
    ]
    assert [row["input_ids"] for row in by_hand] == [row.tokens for row in rows]
    found = step(made.model, lambda: made.compute_loss(made.model, dict(made.data_collator(by_hand))))
    assert deviation(sft.ours(folders.policy, rows), found).within
