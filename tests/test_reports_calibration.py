"""Calibration: what was said against what was so."""

import numpy as np
import pytest

from nnsearch.reports.calibration import calibration


def test_bins_and_gap_worked_out_by_hand() -> None:
    said = np.array([0.05, 0.15, 0.15, 0.95, 1.0])
    true = np.array([0, 0, 1, 1, 1])
    found = calibration(said, true)
    assert [(each.num_rows, each.share) for each in found.bins] == [(1, 0), (2, 0.5), (2, 1)]
    assert [each.said for each in found.bins] == pytest.approx([0.05, 0.15, 0.975])
    assert found.error == pytest.approx((1 * 0.05 + 2 * 0.35 + 2 * 0.025) / 5)
    assert found.excess == pytest.approx(said.mean() - 3 / 5)
    assert all(each.low <= each.share <= each.high for each in found.bins)


@pytest.mark.parametrize(("power", "sign"), [(0.4, 1), (1.0, 0), (2.5, -1)])
def test_too_sure_and_not_sure_enough_are_told_from_right(power: float, sign: int) -> None:
    random = np.random.default_rng(0)
    so = random.uniform(0.5, 1, 4000)
    said = so**power  # above so where the power is below 1
    found = calibration(said, random.uniform(size=4000) < so)
    if sign:
        assert np.sign(found.excess) == sign
        assert sign * found.z > 5
    else:
        assert abs(found.z) < 1.96
        assert found.error < 0.03


def test_a_sure_model_that_is_always_right_has_no_gap_and_no_rows_are_an_error() -> None:
    found = calibration(np.ones(7), np.ones(7))
    assert (found.error, found.excess, found.z) == (0.0, 0.0, 0.0)
    assert calibration(np.ones(7), np.zeros(7)).z == np.inf
    with pytest.raises(ValueError, match="no rows"):
        calibration(np.empty(0), np.empty(0))
