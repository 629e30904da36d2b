"""Whether stated probabilities come true."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from palate.core.errors import ConfigError, DataError
from palate.functional.calibration import confidence, error_spread, fit_temperature, reliability


def logit(p):
    return math.log(p / (1 - p))


def test_temperature_by_hand():
    # One margin, right in three of four rows: σ(m / T) = 3/4, so T = m / log 3.
    margins, labels = torch.full((4,), 2.0), tensor([1.0, 1.0, 1.0, 0.0])
    assert fit_temperature(margins, labels) == pytest.approx(2 / math.log(3), rel=1e-9)
    # The same as a soft label, as weights, and with a pair the other way round.
    assert fit_temperature(tensor([2.0]), tensor([0.75])) == pytest.approx(2 / math.log(3), rel=1e-9)
    weighted = fit_temperature(tensor([2.0, -2.0]), tensor([1.0, 1.0]), tensor([3.0, 1.0]))
    assert weighted == pytest.approx(2 / math.log(3), rel=1e-9)


def test_temperature_undoes_a_scale():
    true = tensor([logit(p) for p in (0.55, 0.6, 0.7, 0.8, 0.95)], dtype=torch.float64)
    for scale in (0.1, 1.0, 30.0):
        assert fit_temperature(scale * true, true.sigmoid()) == pytest.approx(scale, rel=1e-8)


def test_where_no_temperature_is_best_it_says_so():
    with pytest.raises(DataError, match="right on every row"):
        fit_temperature(tensor([1.0, 2.0]), tensor([1.0, 1.0]))
    with pytest.raises(DataError, match="no better than chance"):
        fit_temperature(tensor([1.0, 2.0]), tensor([0.0, 0.5]))


def test_confidence_is_seen_from_the_preferred_side():
    stated, came = confidence(tensor([2 * math.log(3), -2 * math.log(3)]), tensor([0.9, 0.9]), temperature=2.0)
    assert_close(stated, tensor([0.75, 0.75]))
    assert_close(came, tensor([0.9, 0.1]))


def test_reliability_by_hand():
    stated, came = tensor([0.9, 0.6, 0.7, 0.8]), tensor([1.0, 0.0, 1.0, 1.0])
    found = reliability(stated, came, bins=2)
    assert_close(found.stated_K, tensor([0.65, 0.85], dtype=torch.float64))
    assert_close(found.observed_K, tensor([0.5, 1.0], dtype=torch.float64))
    assert found.counts_K.tolist() == [2, 2]
    assert found.error == pytest.approx((0.15 + 0.15) / 2)  # gaps of both signs do not cancel
    # Bins of 3 and 2: the larger one counts more.
    five = reliability(tensor([0.5, 0.5, 0.5, 0.9, 0.9]), tensor([0.0, 0.0, 0.0, 1.0, 1.0]), bins=2)
    assert five.counts_K.tolist() == [3, 2]
    assert five.error == pytest.approx((3 * 0.5 + 2 * 0.1) / 5)
    assert reliability(stated, came, bins=10).counts_K.tolist() == [1, 1, 1, 1]


def test_a_perfect_model_scores_two_hundredths_at_three_thousand():
    # Each of ten bins errs by √(2/π) √(p(1-p)/300): .018 to .023 over p in [.5, .8]. Over 20 draws the mean is
    # known to .001.
    generator = torch.Generator().manual_seed(0)
    stated = 0.5 + 0.4 * torch.rand(20, 3000, generator=generator)
    came = (torch.rand(20, 3000, generator=generator) < stated).float()
    errors = [reliability(s, c).error for s, c in zip(stated, came, strict=True)]
    assert sum(errors) / 20 == pytest.approx(0.02, abs=0.003)


def test_the_spread_is_that_of_new_samples():
    generator = torch.Generator().manual_seed(0)

    def draw():
        stated = 0.5 + 0.4 * torch.rand(1000, generator=generator)
        return stated, (torch.rand(1000, generator=generator) < stated - 0.1).float()

    errors = tensor([reliability(*draw()).error for _ in range(200)])
    # All bins are off by .1, far from 0: the spread of 200 is known to 5 %, that of a bootstrap to about 5 % too.
    stated, came = draw()
    assert 0.8 < error_spread(stated, came) / float(errors.std()) < 1.25
    # Every row ten times over, drawn together: as much is known as before, and not more.
    units = [i for i in range(1000) for _ in range(10)]
    tenfold = error_spread(stated.repeat_interleave(10), came.repeat_interleave(10), units)
    assert 0.85 < tenfold / error_spread(stated, came) < 1.15
    assert error_spread(stated.repeat_interleave(10), came.repeat_interleave(10)) < 0.5 * tenfold


def test_nothing_to_measure_is_refused():
    with pytest.raises(ConfigError):
        reliability(tensor([0.5]), tensor([1.0]), bins=0)
    with pytest.raises(DataError):
        reliability(torch.empty(0), torch.empty(0))
