"""The reward model, held against TRL."""

import pytest
from tests.parity import reward, theirs
from tests.parity.measure import deviation

from palate.models import load

pytestmark = theirs.needs_trl


@pytest.mark.parametrize("case", reward.CASES)
def test_loss_and_gradient(folders, seed, case):
    """TRL reads the score at the last token that is no pad token, Palate at the last token by count; both are one
    here, since the model is saved with a pad id that is no end token."""
    assert deviation(*reward.compare(folders, seed, case)).within


@pytest.mark.parametrize("case", reward.CASES[1:])
def test_margin_and_centring_are_seen(folders, seed, case):
    folder = reward.make(folders.policy, seed)
    plain = reward.ours(folder, reward.pairs(load.load_tokenizer(folder), seed))
    assert not deviation(plain, reward.compare(folders, seed, case)[1]).within
