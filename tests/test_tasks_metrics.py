"""Every metric equals scikit-learn's, and is a number where scikit-learn's is none."""

from math import isnan, log
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from nnsearch.tasks.classification import DIRECTIONS as OF_CLASSES
from nnsearch.tasks.classification import OF_MANY_CLASSES
from nnsearch.tasks.metrics import (
    areas,
    brier,
    class_metrics,
    class_metrics_many,
    confusion,
    log_loss,
    number_metrics,
    pinball,
)
from nnsearch.tasks.regression import DIRECTIONS as OF_NUMBERS

Array = npt.NDArray[Any]

seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, num_classes: int, *, ties: bool, rows: int = 40) -> tuple[Array, Array]:
    """Probabilities [rows, C] and targets [rows]; every class is in the truth."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(num_classes), rows)
    if ties:
        raw = rng.integers(1, 4, (rows, num_classes)).astype(np.float64)
        probabilities = raw / raw.sum(axis=1, keepdims=True)
    rest = rng.integers(0, num_classes, rows - num_classes)
    return probabilities, rng.permutation(np.concatenate([np.arange(num_classes), rest]))


def calibration_error(probabilities: Array, truth: Array) -> float:
    """As Guo et al. write it down: bins that are open on the left and closed on the right."""
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    error = 0.0
    for index in range(15):
        is_in = (confidence > index / 15) & (confidence <= (index + 1) / 15)
        if is_in.any():
            gap = (predicted == truth)[is_in].mean() - confidence[is_in].mean()
            error += is_in.mean() * abs(gap)
    return error


@given(seed=seeds, num_classes=st.integers(2, 8), ties=st.booleans())
def test_metrics_of_classes_equal_scikit_learns(seed: int, num_classes: int, ties: bool) -> None:
    probabilities, truth = drawn(seed, num_classes, ties=ties)
    ours, predicted = class_metrics(probabilities, truth), probabilities.argmax(axis=1)
    is_binary = num_classes == 2
    scores = probabilities[:, 1] if is_binary else probabilities
    one_hot = truth if is_binary else np.eye(num_classes)[truth]
    expected = {
        "accuracy": sk.accuracy_score(truth, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
        "mcc": sk.matthews_corrcoef(truth, predicted),
        "roc_auc": sk.roc_auc_score(truth, scores, multi_class="ovr", average="macro"),
        "pr_auc": sk.average_precision_score(one_hot, scores, average="macro"),
        "log_loss": sk.log_loss(truth, y_proba=probabilities),
        "brier": sk.brier_score_loss(truth, scores),
        "ece": calibration_error(probabilities, truth),
    }
    if num_classes > 5:
        labels = np.arange(num_classes)
        top = sk.top_k_accuracy_score(truth, probabilities, k=5, labels=labels)
        expected["top_5_accuracy"] = top
    for mean in ("macro", "weighted"):
        options: dict[str, Any] = {"average": mean, "zero_division": 0}
        expected[f"precision_{mean}"] = sk.precision_score(truth, predicted, **options)
        expected[f"recall_{mean}"] = sk.recall_score(truth, predicted, **options)
        expected[f"f1_{mean}"] = sk.f1_score(truth, predicted, **options)
    for micro in (sk.precision_score, sk.recall_score, sk.f1_score):
        assert ours["accuracy"] == pytest.approx(micro(truth, predicted, average="micro"))
    assert ours == pytest.approx(expected, abs=1e-12)
    assert ours.keys() == (OF_CLASSES | (OF_MANY_CLASSES if num_classes > 5 else {})).keys()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(seed=seeds, num_classes=st.integers(2, 7), ties=st.booleans())
def test_metrics_of_many_trials_are_those_of_each(
    dtype: Any, seed: int, num_classes: int, ties: bool
) -> None:
    drawings = [
        drawn(seed + index, num_classes, ties=ties)[0].astype(dtype)
        for index in range(1 + seed % 4)
    ]
    truth = np.maximum(drawn(seed, num_classes, ties=False)[1] - seed % 2, 0)
    together = class_metrics_many(np.stack(drawings), truth)
    assert together == [class_metrics(each, truth) for each in drawings]


def test_one_bad_trial_does_not_touch_its_neighbours() -> None:
    probabilities, truth = drawn(4, 3, ties=False)
    bad = np.full_like(probabilities, -np.nan)
    first, broken, last = class_metrics_many(np.stack([probabilities, bad, probabilities]), truth)
    assert first == last == class_metrics(probabilities, truth)
    assert isnan(broken["log_loss"])


def test_calibration_is_judged_by_the_gap_of_each_bin() -> None:
    probabilities = np.array([[0.9, 0.1]] * 10 + [[0.4, 0.6]] * 10)
    truth = np.array([0] * 9 + [1] + [1] * 4 + [0] * 6)
    assert class_metrics(probabilities, truth)["ece"] == pytest.approx(0.5 * 0.2)
    assert class_metrics(np.eye(2)[truth], truth)["ece"] == 0


def test_top_5_looks_past_the_first_guess() -> None:
    probabilities = np.array([[0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05]] * 7)
    found = class_metrics(probabilities, np.arange(7))
    assert (found["accuracy"], found["top_5_accuracy"]) == (1 / 7, 5 / 7)


@given(seed=seeds, num_classes=st.integers(3, 6), missing=st.integers(1, 2))
def test_absent_classes_are_left_out_as_scikit_learn_does(
    seed: int, num_classes: int, missing: int
) -> None:
    probabilities, truth = drawn(seed, num_classes, ties=True)
    truth = np.maximum(truth - missing, 0)  # the last classes have no row any more
    predicted = probabilities.argmax(axis=1)
    ours = class_metrics(probabilities, truth)
    options: dict[str, Any] = {"average": "macro", "zero_division": 0}
    assert ours["precision_macro"] == pytest.approx(sk.precision_score(truth, predicted, **options))
    assert ours["recall_macro"] == pytest.approx(sk.recall_score(truth, predicted, **options))
    assert ours["f1_macro"] == pytest.approx(sk.f1_score(truth, predicted, **options))
    present = [each for each in range(num_classes) if 0 < (truth == each).sum() < len(truth)]
    each_alone = [sk.roc_auc_score(truth == each, probabilities[:, each]) for each in present]
    assert ours["roc_auc"] == pytest.approx(np.mean(each_alone) if present else 0.5)
    recalls = sk.recall_score(truth, predicted, average=None, labels=np.unique(truth))
    assert ours["balanced_accuracy"] == pytest.approx(np.mean(recalls))


@given(seed=seeds, num_classes=st.integers(2, 5))
def test_the_confusion_matrix_equals_scikit_learns(seed: int, num_classes: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, truth = rng.integers(0, num_classes, (2, 30))
    expected = sk.confusion_matrix(truth, predicted, labels=np.arange(num_classes))
    assert np.array_equal(confusion(predicted, truth, num_classes), expected)


@given(seed=seeds, rows=st.integers(2, 30))
def test_metrics_of_numbers_equal_scikit_learns(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = 3 * rng.normal(size=(2, rows))
    expected = {
        "rmse": sk.root_mean_squared_error(truth, predicted),
        "mae": sk.mean_absolute_error(truth, predicted),
        "r2": sk.r2_score(truth, predicted),
        "mape": sk.mean_absolute_percentage_error(truth, predicted),
        "medae": sk.median_absolute_error(truth, predicted),
    }
    assert number_metrics(predicted[:, None], truth) == pytest.approx(expected)
    assert list(expected) == list(OF_NUMBERS)
    for quantile in (0.1, 0.5, 0.8):
        ours = pinball(predicted[:, None], truth, quantile)
        assert ours == pytest.approx(sk.mean_pinball_loss(truth, predicted, alpha=quantile))


def test_a_truth_of_one_class_gives_numbers() -> None:
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6]])
    ours = class_metrics(probabilities, np.array([0, 0]))
    assert ours["accuracy"] == ours["balanced_accuracy"] == 0.5
    assert ours["mcc"] == 0
    assert (ours["roc_auc"], ours["pr_auc"]) == (0.5, 0)
    assert areas(probabilities, np.array([1, 1])) == (0.5, 1)
    assert areas(np.full((2, 3), 1 / 3), np.array([2, 2])) == (0.5, 1)


def test_equal_scores_are_a_guess() -> None:
    truth = np.array([0, 1, 1, 1])
    assert areas(np.full((4, 2), 0.5), truth) == (0.5, 0.75)


def test_the_order_of_rows_does_not_matter_to_ties() -> None:
    probabilities, truth = drawn(3, 4, ties=True)
    shuffled = np.random.default_rng(0).permutation(len(truth))
    one, other = (
        class_metrics(probabilities, truth),
        class_metrics(probabilities[shuffled], truth[shuffled]),
    )
    assert one == pytest.approx(other, abs=1e-12)


def test_a_sure_mistake_costs_no_infinity() -> None:
    truth, wrong = np.array([0]), np.array([[0.0, 1.0]])
    assert log_loss(wrong, truth) == pytest.approx(-log(np.finfo(np.float64).eps))
    assert log_loss(wrong.astype(np.float32), truth) == pytest.approx(
        -log(np.finfo(np.float32).eps), rel=1e-6
    )
    assert brier(wrong, truth) == 1
    assert brier(np.array([[0.0, 1.0, 0.0]]), truth) == 2


def test_float32_predictions_are_judged_as_float64_ones() -> None:
    probabilities, truth = drawn(1, 5, ties=False, rows=200)
    rough = class_metrics(probabilities.astype(np.float32), truth)
    assert rough == pytest.approx(class_metrics(probabilities, truth), abs=1e-4)


def test_inputs_are_left_as_they_were() -> None:
    probabilities, truth = drawn(2, 3, ties=False)
    copies = probabilities.copy(), truth.copy()
    class_metrics(probabilities, truth)
    assert np.array_equal(probabilities, copies[0])
    assert np.array_equal(truth, copies[1])


def test_equal_targets_give_an_r2() -> None:
    truth = np.array([2.0, 2.0])
    assert number_metrics(truth, truth)["r2"] == 1
    assert number_metrics(np.array([2.0, 3.0]), truth)["r2"] == 0
    assert number_metrics(np.full(7, 0.2), np.full(7, 0.1))["r2"] == 0, "their mean is no 0.1"
    assert number_metrics(np.array([1.0]), np.array([2.0])) == {
        "rmse": 1,
        "mae": 1,
        "r2": 0,
        "mape": 0.5,
        "medae": 1,
    }


def test_predictions_that_are_not_finite_warn_nobody() -> None:
    numbers = number_metrics(np.array([np.inf, 1e200, np.nan]), np.array([0.0, 1.0, 2.0]))
    assert all(isnan(value) for value in numbers.values())
    classes = class_metrics(np.full((3, 2), np.nan, np.float32), np.array([0, 1, 1]))
    assert isnan(classes["log_loss"])
    assert isnan(classes["brier"])
    assert isnan(classes["ece"])
    assert class_metrics(np.full((7, 7), np.nan), np.arange(7))["top_5_accuracy"] == 0
