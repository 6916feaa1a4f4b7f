"""Two models on the same rows: tests that hold their level, and find what is there."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from nnsearch.reports.measures import Measure, measure
from nnsearch.reports.pairs import (
    ALPHA,
    Paired,
    compare_pair,
    exchange,
    share_difference,
    units_needed,
)
from nnsearch.reports.statistics import mcnemar
from nnsearch.tasks.metrics import class_metrics, number_metrics

Array = NDArray[Any]
NUM_PAIRS = 100
BENCHMARKS = Path(__file__).resolve().parent / "benchmarks"


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark that simulates pairs of models."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("power")


def p_value_of(power: ModuleType, models: Any, num_rows: int, draws: np.random.Generator) -> float:
    """McNemar's, for two simulated models."""
    first, second = power.answers(models, num_rows, draws)
    return mcnemar(first, second, np.ones(num_rows, np.bool_)).p_value


def equal(power: ModuleType) -> Any:
    return power.CASES["0.95 and 0.95, 3 % wrong in both"]


def crippled(power: ModuleType) -> Any:
    return power.CASES["0.95 and 0.92, 4 % wrong in both"]


def most_alarms(num_pairs: int) -> int:
    """How many false alarms a test at the 5 % level gives in 999 of 1,000 simulations at most."""
    return int(stats.binom.ppf(0.999, num_pairs, ALPHA))


def of(name: str, num_labels: int) -> Measure:
    found = measure(name, num_labels)
    assert found is not None
    return found


def said(is_right: Array) -> Array:
    """Probabilities [N, 2] of rows that are all of class 1."""
    chance = np.where(is_right, 0.8, 0.3)
    return np.stack([1 - chance, chance], axis=1)


def judged(power: ModuleType, models: Any, num_rows: int, generator: np.random.Generator) -> Paired:
    first, second = (said(each) for each in power.answers(models, num_rows, generator))
    truth = np.ones(num_rows, np.int64)
    return compare_pair(of("accuracy", 2), first, second, truth, is_accuracy=True)


@pytest.mark.parametrize("name", [*class_metrics(np.eye(6), np.arange(6)), "nothing of ours"])
def test_a_measure_is_the_metric_of_the_task(name: str) -> None:
    generator = np.random.default_rng(0)
    predictions = generator.dirichlet(np.ones(6), 50).astype(np.float32)
    targets = generator.integers(0, 6, 50)
    found = measure(name, 6)
    expected = class_metrics(predictions, targets).get(name)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.score(found.reduce(predictions, targets), targets) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["rmse", "mae", "r2", "mape", "medae"])
def test_a_measure_of_numbers_takes_a_column(name: str) -> None:
    generator = np.random.default_rng(0)
    predictions, targets = generator.normal(size=(2, 40))
    chosen = of(name, 0)
    found = chosen.score(chosen.reduce(predictions[:, None], targets), targets)
    assert found == pytest.approx(number_metrics(predictions, targets)[name])


def test_equal_models_raise_few_false_alarms(power: ModuleType) -> None:
    generator = np.random.default_rng(0)
    p_values = [p_value_of(power, equal(power), 360, generator) for _ in range(1000)]
    assert sum(p < ALPHA for p in p_values) <= 0.05 * 1000, "the exact test is below its level"


def test_whole_verdicts_on_equal_models_raise_few_false_alarms(power: ModuleType) -> None:
    generator = np.random.default_rng(0)
    found = [judged(power, equal(power), 300, generator) for _ in range(NUM_PAIRS)]
    assert sum(each.p_value < ALPHA for each in found) <= 0.05 * NUM_PAIRS
    held = [each.low <= 0 <= each.high for each in found]
    assert sum(held) >= 0.95 * NUM_PAIRS, "the intervals hold the truth, which is 0"
    assert all(hold == (each.p_value >= ALPHA) for each, hold in zip(found, held, strict=True))


@pytest.mark.parametrize(("name", "per_group"), [("rmse", 1), ("mae", 1), ("rmse", 8)])
def test_exchanging_equal_models_raises_few_false_alarms(
    power: ModuleType, name: str, per_group: int
) -> None:
    generator = np.random.default_rng(1)
    truth, num_found, chosen = np.zeros(160), 0, of(name, 0)
    for number in range(2 * NUM_PAIRS):
        first, second, groups = power.errors(0.0, 160, generator, per_group=per_group)
        p_value = exchange(
            chosen.score,
            (chosen.reduce(first, truth), chosen.reduce(second, truth)),
            truth,
            groups=None if per_group == 1 else groups,
            seed=number,
            num_draws=199,
        )
        num_found += p_value < ALPHA
    assert 0 < num_found <= most_alarms(2 * NUM_PAIRS)


def test_rows_of_a_group_are_not_taken_for_independent(power: ModuleType) -> None:
    generator = np.random.default_rng(2)
    alone, together, chosen, truth = 0, 0, of("mae", 0), np.zeros(160)
    for number in range(60):
        first, second, groups = power.errors(0.0, 160, generator, per_group=16)
        for told in (None, groups):
            p_value = exchange(
                chosen.score,
                (chosen.reduce(first, truth), chosen.reduce(second, truth)),
                truth,
                groups=told,
                seed=number,
                num_draws=99,
            )
            alone += told is None and p_value < ALPHA
            together += told is not None and p_value < ALPHA
    assert alone > 2 * max(together, 1), "or the groups are not needed"


@pytest.mark.parametrize(("num_rows", "least"), [(360, 0.55), (1000, 0.95)])
def test_three_points_of_accuracy_are_found_where_there_is_power(
    power: ModuleType, num_rows: int, least: float
) -> None:
    generator = np.random.default_rng(3)
    truth, tests = np.ones(num_rows, np.bool_), []
    for _ in range(300):
        first, second = power.answers(crippled(power), num_rows, generator)
        tests.append(mcnemar(first, second, truth))
    found = [each for each in tests if each.p_value < ALPHA]
    assert len(found) >= least * len(tests)
    right_way = [each for each in found if each.only_first > each.only_second]
    assert len(right_way) >= 0.98 * len(found), "the crippled one is called the worse"


def test_the_rows_it_asks_for_settle_the_difference(power: ModuleType) -> None:
    truth = np.ones(200, np.int64)
    # What is expected of 200 rows: 2 that only the second gets right, 8 that only the first does.
    is_right = np.ones((2, 200), np.bool_)
    is_right[0, :2] = is_right[1, 2:10] = False
    first, second = (said(each) for each in is_right)
    found = compare_pair(of("accuracy", 2), first, second, truth, is_accuracy=True)
    assert found.p_value > ALPHA
    needed = units_needed(found)
    assert needed is not None
    assert 200 < needed < 600
    generator, models = np.random.default_rng(4), power.Models(0.99, 0.96, 0.0)
    p_values = [p_value_of(power, models, needed, generator) for _ in range(400)]
    assert 0.7 <= np.mean(np.less(p_values, ALPHA)) <= 0.9


def test_more_tests_need_more_rows_and_no_difference_cannot_be_settled(power: ModuleType) -> None:
    generator = np.random.default_rng(5)
    found = judged(power, crippled(power), 400, generator)
    one, three = (units_needed(found, num_tests=number) for number in (1, 3))
    assert one is not None
    assert three is not None
    assert one < three < 2 * one
    same = said(np.arange(50) > 5)
    none = compare_pair(of("accuracy", 2), same, same, np.ones(50, np.int64), is_accuracy=True)
    assert (none.value, none.p_value, units_needed(none)) == (0, 1, None)
    assert none.low < 0 < none.high, "50 rows that agree do not say that all rows do"


@pytest.mark.parametrize("counts", [(0, 5), (0, 6), (3, 12), (2, 12), (40, 60), (39, 61), (7, 7)])
def test_the_interval_of_two_shares_agrees_with_mcnemars_test(counts: tuple[int, int]) -> None:
    low, high = share_difference(*counts, 300)
    assert (low <= 0 <= high) == (stats.binomtest(counts[0], sum(counts)).pvalue >= ALPHA)
    assert low <= (counts[1] - counts[0]) / 300 <= high


def test_a_metric_that_is_not_finite_has_no_answer() -> None:
    chosen = of("rmse", 0)
    targets = np.arange(20.0)
    broken = np.where(targets == 3, np.nan, targets)
    found = compare_pair(chosen, targets, broken, targets)
    assert np.isnan(found.p_value)
    assert units_needed(found) is None
    with pytest.raises(ValueError, match="same rows"):
        compare_pair(chosen, targets, broken[:5], targets)


def test_accuracy_of_grouped_rows_is_exchanged_by_groups() -> None:
    generator = np.random.default_rng(6)
    groups = np.repeat(np.arange(12), 25)
    is_right = generator.random((2, 12)) < 0.7
    first, second = (said(each[groups]) for each in is_right)
    truth = np.ones(300, np.int64)
    told = compare_pair(of("accuracy", 2), first, second, truth, is_accuracy=True, groups=groups)
    blind = compare_pair(of("accuracy", 2), first, second, truth, is_accuracy=True)
    assert (told.test, told.num_units, blind.test, blind.num_units) == (
        "permutation",
        12,
        "mcnemar",
        300,
    )
    assert told.p_value > blind.p_value
    assert told.high - told.low > 2 * (blind.high - blind.low)


@pytest.mark.slow
def test_the_benchmark_of_power_says_what_is_promised() -> None:
    line = [sys.executable, str(BENCHMARKS / "power.py"), "--pairs", "200", "--networks", "4"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=110, check=True)
    told = json.loads(done.stdout)
    found = told["accuracy"]["0.95 and 0.92, 4 % wrong in both"]
    assert found["200"] < found["500"] < found["2000"] == 1.0
    groups = told["rmse of 500 rows in groups of 10"]
    assert groups["equal, rows exchanged"] > 2 * groups["equal, groups exchanged"]
