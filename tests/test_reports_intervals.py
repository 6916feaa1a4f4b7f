"""Intervals of whole sets of metrics: those of the plain bootstrap, sooner, and mostly true."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nnsearch.reports.intervals import MOST_CORRECTED, metric_intervals
from nnsearch.reports.statistics import Draws, Method, Metrics, draw, of_rows, share_interval
from nnsearch.tasks.metrics import class_metrics, number_metrics

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.floating]


def classes(num_rows: int, num_classes: int, seed: int, digits: int = 9) -> tuple[Floats, Array]:
    """Probabilities that know something, with ties where they have few digits."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, num_classes, num_rows)
    scores = generator.normal(size=(num_rows, num_classes))
    scores[np.arange(num_rows), targets] += 1.5
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return np.round(shares.astype(np.float32), digits), targets


def numbers(num_rows: int, seed: int) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    targets = generator.normal(size=num_rows)
    return (targets + generator.normal(0, 0.5, num_rows))[:, None], targets


def plain(*drawn: Array) -> dict[str, float]:
    """`class_metrics`, but not the function that there is a shorter way for."""
    return class_metrics(*drawn)


def draw_rows(metrics: Metrics, predictions: Array, targets: Array, **how: Any) -> Draws:
    return draw(of_rows(metrics, predictions, targets), len(targets), **how)


@pytest.mark.parametrize(
    ("num_rows", "num_classes", "digits"),
    [(5, 3, 1), (40, 2, 1), (60, 2, 9), (80, 4, 1), (150, 10, 9), (60, 40, 1)],
)
def test_classes_have_the_intervals_of_the_plain_bootstrap(
    num_rows: int, num_classes: int, digits: int
) -> None:
    predictions, targets = classes(num_rows, num_classes, seed=num_rows, digits=digits)
    found = metric_intervals(class_metrics, predictions, targets, seed=3)
    wanted = draw_rows(plain, predictions, targets, seed=3, method="bca").intervals()
    for metric, ends in wanted.items():
        if metric != "accuracy" and ends[0] < ends[1] - 1e-9:
            assert found.ends[metric] == pytest.approx(ends, rel=1e-6, abs=1e-9), metric
    correct = int((predictions.argmax(axis=1) == targets).sum())
    assert found.ends["accuracy"] == share_interval(correct, num_rows)


@pytest.mark.parametrize(
    ("metrics", "arrays"),
    [(class_metrics, classes(400, 5, seed=1)), (number_metrics, numbers(400, seed=1))],
    ids=["classes", "numbers"],
)
def test_every_metric_lies_in_its_interval_which_is_the_same_again(
    metrics: Callable[..., dict[str, float]], arrays: tuple[Array, Array]
) -> None:
    found = metric_intervals(metrics, *arrays, seed=0)
    values = metrics(*arrays)
    assert set(found.ends) == set(values)
    assert found.notes == ()
    for metric, (low, high) in found.ends.items():
        assert low < values[metric] < high, metric
    assert metric_intervals(metrics, *arrays, seed=0) == found
    assert metric_intervals(metrics, *arrays, seed=1).ends != found.ends


def rmse(predictions: Array, targets: Array) -> dict[str, float]:
    errors = np.subtract(predictions[:, 0], targets)
    return {"": float(errors @ errors / len(errors)) ** 0.5}


def mean(predictions: Array, _: Array) -> dict[str, float]:
    return {"": float(predictions.sum() / len(predictions))}


def ece(predictions: Array, targets: Array) -> dict[str, float]:
    gaps = np.bincount(predictions[:, 1].astype(np.int64), np.subtract(predictions[:, 0], targets))
    return {"": float(np.abs(gaps).sum() / len(targets))}


def distance(predictions: Array, _: Array) -> dict[str, float]:
    """Of the means, squared: chance alone makes it larger the fewer rows there are."""
    means = predictions.sum(axis=0) / len(predictions)
    return {"": float(means @ means)}


def long_tailed(num_rows: int, seed: int) -> tuple[Array, Array]:
    costs = np.random.default_rng(seed).exponential(size=num_rows)
    return costs, costs


def honest(num_rows: int, seed: int) -> tuple[Array, Array]:
    """Probabilities that are true, with their bins: of many rows their calibration error is 0."""
    generator = np.random.default_rng(seed)
    chances = generator.random(num_rows)
    is_there = (generator.random(num_rows) < chances).astype(np.float64)
    return np.column_stack([chances, np.floor(chances * 15)]), is_there


def clouds(num_rows: int, seed: int) -> tuple[Array, Array]:
    points = np.random.default_rng(seed).normal(0.4, 1, (num_rows, 5))
    return points, points


@pytest.mark.parametrize(
    ("metrics", "make", "num_rows", "least"),
    [
        (rmse, numbers, 20, 0.85),
        (mean, long_tailed, 60, 0.88),
        (ece, honest, 60, 0.9),
        (ece, honest, 300, 0.9),
        (distance, clouds, 40, 0.9),
    ],
)
def test_95_percent_intervals_hold_the_truth_about_as_often(
    metrics: Metrics,
    make: Callable[[int, int], tuple[Array, Array]],
    num_rows: int,
    least: float,
) -> None:
    """The truth is the metric's mean over other rows, as many: their number is a part of it."""
    method: Method = "bca" if num_rows <= MOST_CORRECTED else "percentile"
    truth = np.mean([metrics(*make(num_rows, 10_000 + seed))[""] for seed in range(600)])
    ends = [
        draw_rows(metrics, *make(num_rows, seed), seed=seed, num_resamples=250, method=method)
        for seed in range(150)
    ]
    held = [low <= truth <= high for low, high in (each.intervals()[""] for each in ends)]
    assert least <= np.mean(held) <= 0.995


def test_without_a_fault_there_is_nothing_to_draw_and_only_the_exact_interval_stays() -> None:
    targets = np.arange(30) % 3
    found = metric_intervals(class_metrics, np.eye(3, dtype=np.float32)[targets], targets, seed=0)
    assert found.ends == {"accuracy": share_interval(30, 30)}
    (note,) = found.notes
    assert "balanced_accuracy, " in note
    assert "every draw of the rows gives the same value" in note


def test_draws_that_are_not_finite_are_left_out_and_counted() -> None:
    targets = np.arange(30.0)

    def needs(number: int) -> Callable[[Array, Array], dict[str, float]]:
        """The mean, if each of the first rows was drawn."""

        def metrics(predictions: Array, drawn: Array) -> dict[str, float]:
            del predictions
            has_all = np.isin(np.arange(number), drawn).all()
            return {"mean": float(np.mean(drawn.astype(float))) if has_all else float("nan")}

        return metrics

    some = metric_intervals(needs(1), targets[:, None], targets, seed=0)
    low, high = some.ends["mean"]
    assert low < targets.mean() < high
    (note,) = some.notes
    num_lost = int(note.split(" not finite in ")[1].split()[0])
    assert 300 < num_lost < 430, "a row is absent from 1/e of the draws"
    most = metric_intervals(needs(4), targets[:, None], targets, seed=0)
    assert most.ends == {}
    assert most.notes == ("no interval of mean: not finite, or not in most draws of the rows",)


def test_a_share_of_rows_by_any_task_is_exact_and_another_accuracy_is_not() -> None:
    predictions, targets = numbers(50, seed=0)

    def metrics(drawn: Array, truth: Array) -> dict[str, float]:
        near = np.abs(np.asarray(drawn, float)[:, 0] - np.asarray(truth, float))
        return {"accuracy": float((near < 0.5).mean())}

    count = round(metrics(predictions, targets)["accuracy"] * 50)
    found = metric_intervals(metrics, predictions, targets, seed=0)
    assert found.ends["accuracy"] == share_interval(count, 50)

    def weighted(drawn: Array, truth: Array) -> dict[str, float]:
        return {"accuracy": metrics(drawn, truth)["accuracy"] * 0.987}

    other = metric_intervals(weighted, predictions, targets, seed=0)
    assert (
        other.ends["accuracy"]
        == draw_rows(weighted, predictions, targets, seed=0, method="bca").intervals()["accuracy"]
    )


def test_no_rows_have_no_intervals() -> None:
    nothing = np.empty((0, 3)), np.empty(0, np.int64)
    assert metric_intervals(class_metrics, *nothing, seed=0).ends == {}


def test_ten_thousand_rows_of_ten_classes_cost_little() -> None:
    predictions, targets = classes(10_000, 10, seed=0)

    def took(times: int, call: Callable[[], object]) -> float:
        """CPU seconds of this process, whatever else the machine does meanwhile."""
        began = time.process_time()
        for _ in range(times):
            call()
        return time.process_time() - began

    def ratio() -> float:
        each = took(20, lambda: class_metrics(predictions, targets)) / 20
        whole = took(1, lambda: metric_intervals(class_metrics, predictions, targets, seed=0))
        return whole / each

    # The plain bootstrap looks at drawn rows 1,000 times; this costs as much as about 250 looks.
    assert any(ratio() < 600 for _ in range(3))


def grouped(seed: int, num_groups: int = 40, each: int = 10) -> tuple[Array, Array, Array]:
    """Two classes; all rows of a group are right, or all are wrong: no more than a row's worth."""
    is_right = np.repeat(np.random.default_rng(seed).random(num_groups) < 0.7, each)
    targets = np.tile([0, 1], num_groups * each // 2)
    predictions = np.eye(2, dtype=np.float32)[np.where(is_right, targets, 1 - targets)]
    return predictions, targets, np.repeat(np.arange(num_groups), each)


def test_rows_of_a_group_are_drawn_together_and_the_interval_then_holds_the_truth() -> None:
    def share(predictions: Array, targets: Array) -> dict[str, float]:
        return {"accuracy": float(np.equal(predictions.argmax(axis=1), targets).mean())}

    hits = {"rows": 0, "groups": 0}
    for seed in range(24):
        predictions, targets, groups = grouped(seed)
        for way, given in (("rows", None), ("groups", groups)):
            found = metric_intervals(share, predictions, targets, seed=seed, groups=given)
            low, high = found.ends["accuracy"]
            hits[way] += low <= 0.7 <= high
    assert hits["groups"] >= 20
    assert hits["rows"] < 18


def test_groups_are_told_and_few_of_them_are_warned_of() -> None:
    many = metric_intervals(class_metrics, *grouped(0)[:2], seed=0, groups=grouped(0)[2])
    assert many.notes == ("intervals are drawn by group of rows, 40 in all",)
    predictions, targets, groups = grouped(1, num_groups=8)
    few = metric_intervals(class_metrics, predictions, targets, seed=0, groups=groups)
    assert few.notes[0].endswith("8 in all; from so few they are too narrow")
    wanted = draw_rows(plain, predictions, targets, seed=0, groups=groups, method="bca").intervals()
    assert few.ends["log_loss"] == pytest.approx(wanted["log_loss"], rel=1e-6)
    assert few.ends["accuracy"] == pytest.approx(wanted["accuracy"], rel=1e-6)


def test_groups_of_one_row_each_are_rows() -> None:
    predictions, targets = classes(80, 3, seed=2)
    alone = metric_intervals(class_metrics, predictions, targets, seed=0, groups=np.arange(80))
    assert alone == metric_intervals(class_metrics, predictions, targets, seed=0)
