"""The points of ROC and precision-recall curves, of one class or averaged. Pure numpy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve and its area; the area is NaN where a class has no rows, or all."""

    label: str
    xs: Floats
    ys: Floats
    area: float


def roc(scores: NDArray[Any], positive: NDArray[np.bool_], label: str = "") -> Curve:
    """False positive rate against true positive rate, with the area below."""
    right, wrong = _counts(scores, positive)
    if not right[-1] or not wrong[-1]:
        return _nothing(label)
    xs, ys = wrong / wrong[-1], right / right[-1]
    return Curve(label, xs, ys, float(np.trapezoid(ys, xs)))


def precision_recall(scores: NDArray[Any], positive: NDArray[np.bool_], label: str = "") -> Curve:
    """Recall against precision; the area is the average precision, as in scikit-learn."""
    right, wrong = _counts(scores, positive)
    if not right[-1] or not wrong[-1]:
        return _nothing(label)
    precision = right[1:] / (right[1:] + wrong[1:])
    recall = right / right[-1]
    area = float(np.sum(np.diff(recall) * precision))
    return Curve(label, recall, np.concatenate(([1.0], precision)), area)


def macro(curves: list[Curve], *, label: str) -> Curve:
    """The mean of several curves over 201 places, with the mean of their areas."""
    known = [curve for curve in curves if np.isfinite(curve.area)]
    if not known:
        return _nothing(label)
    places = np.linspace(0, 1, 201)
    heights = np.mean([np.interp(places, curve.xs, curve.ys) for curve in known], axis=0)
    return Curve(label, places, heights, float(np.mean([curve.area for curve in known])))


def _counts(scores: NDArray[Any], positive: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Rows at or above each distinct score, right and wrong, from the highest down, 0 first."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    right = np.cumsum(positive[order], dtype=np.float64)[ends]
    wrong = 1.0 + ends - right
    return np.concatenate(([0.0], right)), np.concatenate(([0.0], wrong))


def _nothing(label: str) -> Curve:
    return Curve(label, np.empty(0), np.empty(0), float("nan"))
