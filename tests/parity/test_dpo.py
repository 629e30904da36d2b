"""DPO and its family, held against TRL."""

import pytest
from tests.parity import dpo, theirs
from tests.parity.measure import deviation

pytestmark = theirs.needs_trl


@pytest.mark.parametrize("case", dpo.CASES)
def test_loss_and_gradient(folders, seed, case):
    """For `ipo` TRL takes the mean log-ratio a token, Palate the sum. The sum is right: equation 17 of the paper
    is about the probability of a whole completion, and only with it is the optimum π_ref exp(P / β) / Z, which
    the exact worlds prove. With Palate's sums divided by hand both agree."""
    assert deviation(*dpo.compare(folders, seed, case)).within


def test_sums_and_means_are_not_one(folders, seed):
    sums = dpo.ours(folders, dpo.encoded(folders, seed), dpo.config_of("ipo"))
    assert not deviation(sums, dpo.compare(folders, seed, "dpo ipo")[1]).within


def test_policy_and_reference_are_not_one(folders, seed):
    """Else every loss would be log 2, here and there, whatever was wrong with it."""
    turned = folders._replace(reference=folders.policy, policy=folders.reference)
    rows = dpo.encoded(folders, seed)
    here, there = (dpo.ours(pair, rows, dpo.config_of("sigmoid")) for pair in (folders, turned))
    assert not deviation(here, there).within
