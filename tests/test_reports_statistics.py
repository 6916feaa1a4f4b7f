"""Intervals and tests, against scipy's own and against what they promise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from nnsearch.reports.statistics import (
    Interval,
    Method,
    best_so_far,
    draw,
    holm,
    mcnemar,
    of_rows,
    paired_difference,
    share_interval,
)

Array = NDArray[Any]


def accuracy(predictions: Array, targets: Array) -> float:
    return float((predictions == targets).mean())


def mean_of(predictions: Array, _: Array) -> float:
    return float(predictions.mean())


def bootstrap_interval(
    metric: Callable[[Array, Array], float], *arrays: Array, confidence: float = 0.95, **how: Any
) -> Interval:
    judge = of_rows(lambda *rows: {"": metric(*rows)}, *arrays)
    return draw(judge, len(arrays[1]), **how).intervals(confidence)[""]


@pytest.mark.parametrize(("right", "total"), [(0, 10), (10, 10), (1, 1), (281, 288), (7, 2000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_share_interval_is_scipys_exact_one(right: int, total: int, confidence: float) -> None:
    expected = stats.binomtest(right, total).proportion_ci(confidence, method="exact")
    found = share_interval(right, total, confidence=confidence)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_share_interval_of_nothing_is_everything() -> None:
    assert share_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("right", "total"), [(3, 2), (-1, 5)])
def test_share_interval_refuses_counts_that_cannot_be(right: int, total: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        share_interval(right, total)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        share_interval(1, 2, confidence=confidence)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_agrees_with_scipys(method: Method) -> None:
    sample = np.random.default_rng(3).exponential(size=120)
    expected = stats.bootstrap(
        (sample,), np.mean, n_resamples=9999, method=method, rng=np.random.default_rng(0)
    ).confidence_interval
    found = bootstrap_interval(mean_of, sample, sample, seed=1, num_resamples=9999, method=method)
    assert found == pytest.approx((expected.low, expected.high), abs=0.01)


def test_bca_moves_with_the_skew() -> None:
    sample = np.random.default_rng(3).exponential(size=60)
    plain = bootstrap_interval(mean_of, sample, sample, seed=1, num_resamples=5000)
    moved = bootstrap_interval(mean_of, sample, sample, seed=1, num_resamples=5000, method="bca")
    assert moved[0] > plain[0]
    assert moved[1] > plain[1]


def test_bca_with_blocks_is_near_the_full_jackknife(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = np.random.default_rng(5).exponential(size=600)
    blocks = bootstrap_interval(mean_of, sample, sample, seed=1, method="bca")
    monkeypatch.setattr("nnsearch.reports.statistics._MAX_JACKKNIFE", 600)
    assert blocks == pytest.approx(
        bootstrap_interval(mean_of, sample, sample, seed=1, method="bca"), abs=0.005
    )


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    num_covered = 0
    for seed in range(200):
        sample = generator.normal(size=60)
        low, high = bootstrap_interval(mean_of, sample, sample, seed=seed, num_resamples=300)
        num_covered += low <= 0 <= high
    assert 0.89 <= num_covered / 200 <= 0.99


def test_bootstrap_depends_on_the_seed_and_nothing_else() -> None:
    sample = np.arange(50.0)
    first = bootstrap_interval(mean_of, sample, sample, seed=1)
    assert first == bootstrap_interval(mean_of, sample, sample, seed=1)
    assert first != bootstrap_interval(mean_of, sample, sample, seed=2)


def test_rows_of_a_group_are_drawn_together() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=20), 25)
    groups = np.repeat(np.array([f"patient {each}" for each in range(20)]), 25)
    alone = bootstrap_interval(mean_of, values, values, seed=0)
    together = bootstrap_interval(mean_of, values, values, seed=0, groups=groups)
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])


def test_groups_of_different_sizes_that_are_mixed_up_stay_whole() -> None:
    groups = np.array([2, 0, 1, 0, 2, 2])

    def is_whole(predictions: Array, _: Array) -> float:
        counts = np.bincount(predictions, minlength=3)
        assert not (counts % np.array([2, 1, 3])).any()
        return float(counts.sum())

    low, high = bootstrap_interval(is_whole, groups, groups, seed=0, groups=groups, method="bca")
    assert low < high


def test_several_metrics_share_the_draws() -> None:
    targets = np.array([0, 1] * 30)
    predictions = np.where(np.arange(60) % 7 == 0, 1 - targets, targets)

    def both(predicted: Array, true: Array) -> dict[str, float]:
        right = accuracy(predicted, true)
        return {"accuracy": right, "error": 1 - right, "nothing": float("nan")}

    found = draw(of_rows(both, predictions, targets), len(targets), seed=4).intervals()
    low, high = found["accuracy"]
    assert 0 < low < accuracy(predictions, targets) < high < 1
    assert found["error"] == pytest.approx((1 - high, 1 - low))
    assert np.isnan(found["nothing"]).all()


def test_bootstrap_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        bootstrap_interval(mean_of, np.empty(0), np.empty(0), seed=0)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_perfect_model_has_an_interval_of_one_point(method: Method) -> None:
    rows = np.arange(30)
    assert bootstrap_interval(accuracy, rows, rows, seed=0, method=method) == (1.0, 1.0)


def test_paired_difference_sees_what_lies_within_the_single_intervals() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 400)
    first = np.where(generator.random(400) < 0.8, targets, 1 - targets)
    second = first.copy()
    better = np.flatnonzero(first == targets)[:14]
    second[better] = 1 - targets[better]
    found = paired_difference(accuracy, first, second, targets, seed=0)
    assert found.value == pytest.approx(14 / 400)
    assert 0 < found.low < found.value < found.high
    assert found.p_value < 0.01
    one, two = (bootstrap_interval(accuracy, each, targets, seed=0) for each in (first, second))
    assert one[0] < two[1]


def test_paired_difference_of_a_model_with_itself_is_none() -> None:
    rows = np.arange(20) % 3
    found = paired_difference(accuracy, rows, rows, rows * 0, seed=0)
    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_paired_difference_needs_the_same_rows() -> None:
    with pytest.raises(ValueError, match="same rows"):
        paired_difference(accuracy, np.zeros(3), np.zeros(4), np.zeros(4), seed=0)


def test_mcnemar_is_the_binomial_test_of_the_rows_that_differ() -> None:
    targets = np.zeros(30, int)
    first = np.array([0] * 9 + [1] * 2 + [0] * 19)
    second = np.array([1] * 9 + [0] * 2 + [0] * 18 + [1])
    found = mcnemar(first, second, targets)
    assert (found.only_first, found.only_second) == (10, 2)
    assert found.p_value == pytest.approx(stats.binomtest(2, 12, 0.5).pvalue)


def test_mcnemar_cannot_tell_equals_apart() -> None:
    rows = np.array([0, 1, 2])
    assert mcnemar(rows, rows, rows).p_value == 1
    assert mcnemar(np.array([0, 1]), np.array([1, 0]), np.array([0, 0])).p_value == 1
    with pytest.raises(ValueError, match="same rows"):
        mcnemar(rows, rows[:2], rows)


def test_holm_multiplies_from_the_smallest_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.9]) == pytest.approx([0.04, 0.09, 0.09, 0.9])
    assert holm([]) == []


def test_best_so_far_skips_what_is_no_value() -> None:
    values = [None, float("nan"), 0.5, float("inf"), 0.4, 0.7]
    rising = best_so_far(values, "maximize")
    assert np.isnan(rising[:2]).all()
    assert rising[2:] == [0.5, 0.5, 0.5, 0.7]
    assert best_so_far([*values, float("-inf")], "minimize")[2:] == [0.5, 0.5, 0.4, 0.4, 0.4]


def test_an_interval_that_repeats_bias_is_moved_over_its_value() -> None:
    rows = np.random.default_rng(0).normal(size=300)

    def distinct(drawn: Array, _: Array) -> dict[str, float]:
        return {"distinct": float(len(np.unique(drawn))), "mean": float(drawn.mean())}

    found = draw(of_rows(distinct, rows, rows), len(rows), seed=0).intervals()
    low, high = found["distinct"]
    assert low < 300 < high
    assert 10 < high - low < 50  # of the draws: their number has a deviation of about 5.4
    low, high = found["mean"]
    draws = np.random.default_rng(1).choice(rows, (2000, 300)).mean(1)
    np.testing.assert_allclose((low, high), np.quantile(draws, [0.025, 0.975]), atol=0.02)
