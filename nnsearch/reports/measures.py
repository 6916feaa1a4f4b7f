"""One metric of a task by itself, as little of it worked out as it needs. Pure; knows no study.

Whoever draws rows or exchanges predictions thousands of times needs one number of them each time.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnsearch.tasks.metrics import (
    brier,
    class_metrics,
    confusion,
    confusion_metrics,
    number_metrics,
    surprises,
)

Array = NDArray[Any]


class Measure(NamedTuple):
    """A metric in two steps, between which rows may be drawn, or exchanged with another model's.

    `reduce(predictions, targets)` is what the metric needs of each row [N, ...], and
    `score(reduced, targets)` the metric.
    """

    reduce: Callable[[Array, Array], Array]
    score: Callable[[Array, Array], float]


def measure(name: str, num_labels: int) -> Measure | None:
    """The metric `name` of `num_labels` classes, or of numbers where that is 0.

    None for a metric that is not one of ours.
    """
    return _of_classes(name, num_labels) if num_labels else _of_numbers(name)


def _of_classes(name: str, num_labels: int) -> Measure | None:
    if name == "accuracy":
        return Measure(_hits, lambda hits, _: float(hits.mean()))
    if name in confusion_metrics(np.eye(num_labels, dtype=np.int64)):
        return Measure(_answers, lambda a, t: confusion_metrics(confusion(a, t, num_labels))[name])
    if name == "log_loss":
        return Measure(_surprises, lambda costs, _: float(costs.mean()))
    if name == "brier":
        return Measure(_whole, brier)
    known = class_metrics(np.eye(num_labels), np.arange(num_labels))
    return Measure(_whole, lambda p, t: class_metrics(p, t)[name]) if name in known else None


def _of_numbers(name: str) -> Measure | None:
    if name == "rmse":
        return Measure(lambda p, t: _errors(p, t) ** 2, lambda s, _: float(np.sqrt(s.mean())))
    if name == "mae":
        return Measure(lambda p, t: np.abs(_errors(p, t)), lambda e, _: float(e.mean()))
    known = number_metrics(np.zeros(1), np.zeros(1))
    return Measure(_flat, lambda p, t: number_metrics(p, t)[name]) if name in known else None


def _flat(predictions: Array, _: Array) -> Array:
    return np.asarray(predictions, np.float64).reshape(len(predictions))


def _answers(predictions: Array, _: Array) -> Array:
    answers: Array = predictions.argmax(axis=1)
    return answers


def _hits(predictions: Array, targets: Array) -> Array:
    hits: Array = predictions.argmax(axis=1) == targets
    return hits


def _surprises(predictions: Array, targets: Array) -> Array:
    return surprises(predictions, np.asarray(targets, np.int64))


def _whole(predictions: Array, _: Array) -> Array:
    return predictions


def _errors(predictions: Array, targets: Array) -> Array:
    return _flat(predictions, targets) - np.asarray(targets, np.float64)
