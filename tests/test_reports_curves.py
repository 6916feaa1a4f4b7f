"""ROC and precision-recall points, against scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics

from nnsearch.reports.curves import macro, precision_recall, roc


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("decimals", [1, 8])
def test_curves_are_scikit_learns(seed: int, decimals: int) -> None:
    generator = np.random.default_rng(seed)
    positive = generator.random(80) < 0.3
    scores = np.round(generator.random(80) + positive * 0.4, decimals).astype(np.float32)
    found = roc(scores, positive)
    xs, ys, _ = metrics.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(found.xs, xs)
    np.testing.assert_allclose(found.ys, ys)
    assert found.area == pytest.approx(metrics.roc_auc_score(positive, scores))
    found = precision_recall(scores, positive)
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    np.testing.assert_allclose(found.xs, recall[::-1])
    np.testing.assert_allclose(found.ys, precision[::-1])
    assert found.area == pytest.approx(metrics.average_precision_score(positive, scores))


@pytest.mark.parametrize("points", [roc, precision_recall])
@pytest.mark.parametrize("value", [True, False])
def test_a_class_without_rows_or_with_all_has_no_area(points: object, value: bool) -> None:
    assert callable(points)
    assert np.isnan(points(np.arange(4.0), np.full(4, value)).area)


def test_macro_is_the_mean_of_the_classes_that_have_an_area() -> None:
    scores = np.array([0.9, 0.8, 0.3, 0.1])
    perfect = roc(scores, np.array([True, True, False, False]))
    reversed_ = roc(scores, np.array([False, False, True, True]))
    absent = roc(scores, np.zeros(4, bool))
    found = macro([perfect, absent, reversed_], label="mean")
    assert found.label == "mean"
    assert found.area == pytest.approx(0.5)
    assert found.ys[100] == pytest.approx(0.5)
    assert np.isnan(macro([absent], label="mean").area)
