"""Differences over seeds whose divisions share rows: a test that holds its level there."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from nnsearch.reports.pairs import ALPHA
from nnsearch.reports.seeds import over_seeds

SHARE = 0.2 / 0.64


def differences(
    num_seeds: int, gap: float, generator: np.random.Generator, num_studies: int = 2000
) -> NDArray[np.float64]:
    """Differences [num_studies, num_seeds] as correlated as divisions with SHARE make them."""
    correlation = SHARE / (1 + SHARE)
    common = generator.normal(size=(num_studies, 1)) * np.sqrt(correlation)
    own = generator.normal(size=(num_studies, num_seeds)) * np.sqrt(1 - correlation)
    drawn: NDArray[np.float64] = gap + common + own
    return drawn


@pytest.mark.parametrize("num_seeds", [3, 5, 10])
def test_equal_studies_raise_no_more_false_alarms_than_promised(num_seeds: int) -> None:
    drawn = differences(num_seeds, 0.0, np.random.default_rng(0))
    alarms = sum(over_seeds(each.tolist(), SHARE).p_value < ALPHA for each in drawn)
    plain = sum(stats.ttest_1samp(each, 0).pvalue < ALPHA for each in drawn)
    assert alarms <= stats.binom.ppf(0.999, len(drawn), ALPHA)
    assert plain > 1.5 * alarms, "or the correction is not needed"


def test_large_differences_are_found_and_the_interval_holds_the_truth() -> None:
    drawn = differences(5, 3.0, np.random.default_rng(1))
    found = [over_seeds(each.tolist(), SHARE) for each in drawn]
    assert np.mean([each.p_value < ALPHA for each in found]) > 0.9
    assert np.mean([each.low <= 3.0 <= each.high for each in found]) > 0.94


def test_without_shared_rows_it_is_the_t_test() -> None:
    values = [0.3, -0.1, 0.4, 0.2]
    found = over_seeds(values, 0.0)
    expected = stats.ttest_1samp(values, 0)
    assert found.p_value == pytest.approx(expected.pvalue)
    ends = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))


def test_more_seeds_settle_a_difference_only_if_the_rows_suffice() -> None:
    large = over_seeds([1.0, 3.0, 2.0], 0.1)
    assert large.needed is not None
    assert 3 <= large.needed <= 6
    assert over_seeds([0.1, 1.0, -1.0], SHARE).needed is None
    assert over_seeds([0.0, 0.0], SHARE).p_value == 1
    assert over_seeds([0.5, 0.5], SHARE).p_value == 0
    with pytest.raises(ValueError, match="one seed"):
        over_seeds([0.5], SHARE)
