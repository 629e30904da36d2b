"""KTO, held against TRL."""

import pytest
from tests.parity import kto, material, theirs
from tests.parity.measure import deviation

from palate.training.approvals import strangers

pytestmark = theirs.needs_trl


@pytest.mark.parametrize("case", kto.CASES)
def test_loss_and_gradient(folders, seed, case):
    """For the reference point TRL puts each completion behind the next row's prompt, whosoever that is; Palate
    draws one that was written for another prompt, which is right: the paper's y' must not fit x, and in data
    from preferences a prompt's rows lie side by side. On TRL's choice both agree."""
    assert deviation(*kto.compare(folders, seed, case)).within


def test_who_is_a_stranger(folders, seed):
    given = kto.approvals(seed)
    rows, made = kto.encoded(folders, given), kto.trainer(folders, given)
    assert made.train_dataset[6]["KL_completion_ids"] == rows[5].completion
    assert rows[5].prompt_id == rows[6].prompt_id  # TRL holds an answer to the prompt for a mismatched one
    wrote = {tuple(row.completion): row.prompt_id for row in rows}
    assert all(wrote[tuple(other.completion)] != other.prompt_id for other in strangers(rows, 128, seed))


def test_the_reference_point_is_seen(folders, seed):
    """One of the two cases has one above 0, and there the loss without it is another."""
    given = kto.approvals(seed)
    rows = kto.encoded(folders, given)
    turned = material.Folders(folders.policy, folders.reference, folders.later)
    points = [kto.ours(f, rows, kto.rotated(rows)).reference_point_nats for f in (folders, turned)]
    assert min(points) == 0 < max(points)
