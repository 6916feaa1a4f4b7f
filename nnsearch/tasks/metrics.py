"""Metrics of whole splits in NumPy, as scikit-learn defines them. Knows no task and no torch.

A metric is worked out from all predictions at once, since the mean of batches is wrong for F1 and
the areas. Where scikit-learn gives NaN or a warning, as for a class that has no row, each function
says what it gives instead. Predictions that are not finite give NaN where they matter, silently:
whoever trains stops at a loss that is not finite.

Shapes: N examples, C classes.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]

BINARY = 2


def class_metrics(predictions: Array, targets: Array) -> dict[str, float]:
    """Every metric of probabilities [N, C] against class indices [N]."""
    dtype = np.result_type(predictions, np.float32)
    probabilities: Floats = np.asarray(predictions, dtype=dtype)
    truth = np.asarray(targets, dtype=np.int64)
    counts = confusion(probabilities.argmax(axis=1), truth, probabilities.shape[1])
    roc_auc, pr_auc = areas(probabilities, truth)
    return {
        **confusion_metrics(counts),
        "roc_auc": roc_auc,
        "pr_auc": pr_auc,
        "log_loss": log_loss(probabilities, truth),
        "brier": brier(probabilities, truth),
    }


def confusion(predicted: Array, targets: Array, num_classes: int) -> Counts:
    """How often each class was taken for each: [C, C], rows the truth, columns the prediction."""
    pairs = np.asarray(targets, np.int64) * num_classes + np.asarray(predicted, np.int64)
    counts = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def confusion_metrics(counts: Counts) -> dict[str, float]:
    """The metrics that a confusion matrix [C, C] settles.

    A macro mean is over the classes that are in the truth or were predicted, balanced accuracy
    over those in the truth. Precision is 0 for a class never predicted, recall 0 for one that has
    no row; Matthews' correlation (mcc) is 0 where truth or prediction is one class throughout.
    """
    hits = np.diagonal(counts).astype(np.float64)
    truth, predicted = counts.sum(axis=1), counts.sum(axis=0)
    precision, recall = _ratio(hits, predicted), _ratio(hits, truth)
    f1 = _ratio(2 * hits, truth + predicted)
    is_seen, share = (truth + predicted) > 0, truth / max(truth.sum(), 1)
    return {
        "accuracy": float(hits.sum() / max(truth.sum(), 1)),
        "balanced_accuracy": _mean(recall[truth > 0]),
        "precision_macro": _mean(precision[is_seen]),
        "recall_macro": _mean(recall[is_seen]),
        "f1_macro": _mean(f1[is_seen]),
        "precision_weighted": float(precision @ share),
        "recall_weighted": float(recall @ share),
        "f1_weighted": float(f1 @ share),
        "mcc": _correlation(hits.sum(), truth.astype(np.float64), predicted.astype(np.float64)),
    }


def areas(probabilities: Floats, targets: Array) -> tuple[float, float]:
    """The areas under the ROC curve and under the precision-recall curve.

    Of two classes the second is the positive one; of more, each is set against the rest and the
    mean taken over the classes that are in the truth. Where the truth is a single class the first
    area is 0.5, as for a guess, and the second 1, or 0 where that class is the first of two. The
    second area is the average precision, a sum over steps, not trapezoids.
    """
    num_classes = probabilities.shape[1]
    scores = probabilities[:, 1:] if num_classes == BINARY else probabilities
    positive = np.asarray(targets)[:, None] == np.arange(num_classes)
    positive = positive[:, 1:] if num_classes == BINARY else positive
    totals = positive.sum(axis=0)
    is_split = (totals > 0) & (totals < len(positive))
    if not is_split.any():
        return 0.5, float(totals.max() > 0)
    hits, ends, starts = _ranked(scores[:, is_split], positive[:, is_split])
    totals = totals[is_split]
    before, through = _counts_at(hits, starts), _counts_at(hits, ends + 1)
    pairs = np.where(hits, 0.0, (before + through) / 2).sum(axis=0)
    precision = np.where(hits, through / (ends + 1), 0.0).sum(axis=0)
    return _mean(pairs / (totals * (len(positive) - totals))), _mean(precision / totals)


def log_loss(probabilities: Floats, targets: Array) -> float:
    """The mean of -log(probability of the true class), in nats.

    Probabilities are kept from 0 by the smallest step of their own type at 1, so a sure mistake
    costs 15.9 in float32 and 36 in float64, not infinity.
    """
    epsilon = np.finfo(probabilities.dtype).eps
    of_truth = np.take_along_axis(probabilities, np.asarray(targets, np.int64)[:, None], axis=1)
    return float(-np.log(np.clip(of_truth, epsilon, 1 - epsilon), dtype=np.float64).mean())


def brier(probabilities: Floats, targets: Array) -> float:
    """The mean squared distance of the probabilities from the truth.

    Of two classes it is that of the second class alone, from 0 to 1; of more the sum over the
    classes, from 0 to 2.
    """
    errors = probabilities.astype(np.float64)
    errors[np.arange(len(errors)), np.asarray(targets, np.int64)] -= 1
    if errors.shape[1] == BINARY:
        errors = errors[:, 1:]
    return float((errors**2).sum(axis=1).mean())


def number_metrics(predictions: Array, targets: Array) -> dict[str, float]:
    """Every metric of numbers [N, 1] or [N] against numbers [N], in the target's unit.

    r2 of targets that are all the same, or of a single one, is 1 where every prediction is exact
    and 0 otherwise. mape is a share, not a percentage, and huge where a target is 0.
    """
    truth = np.asarray(targets, dtype=np.float64)
    predicted = np.asarray(predictions, dtype=np.float64).reshape(truth.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        errors = predicted - truth
        squared = errors @ errors
        spread = ((truth - truth.mean()) ** 2).sum()
        shares = np.abs(errors) / np.maximum(np.abs(truth), np.finfo(np.float64).eps)
        r2 = 1 - squared / spread if spread > 0 else float(squared == 0)
        return {
            "rmse": float(np.sqrt(squared / len(truth))),
            "mae": float(np.abs(errors).mean()),
            "r2": float(r2),
            "mape": float(shares.mean()),
        }


def _ratio(part: Floats, whole: Counts) -> Floats:
    return part / np.maximum(whole, 1)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0


def _correlation(num_hits: float, truth: Floats, predicted: Floats) -> float:
    total = truth.sum()
    together = num_hits * total - truth @ predicted
    alone = (total**2 - truth @ truth) * (total**2 - predicted @ predicted)
    return float(together / np.sqrt(alone)) if alone > 0 else 0.0


def _ranked(scores: Floats, positive: npt.NDArray[np.bool_]) -> tuple[Array, Counts, Counts]:
    """Per column: the truth by falling score, and each row's last and first row of equal score."""
    descending = np.argsort(-scores, axis=0)
    ranked = np.take_along_axis(scores, descending, axis=0)
    rows = np.arange(len(scores))[:, None]
    is_new = np.ones_like(positive)
    is_new[1:] = ranked[1:] != ranked[:-1]
    starts = np.maximum.accumulate(np.where(is_new, rows, 0), axis=0)
    is_last = np.ones_like(positive)
    is_last[:-1] = is_new[1:]
    kept = np.where(is_last, rows, len(scores))
    ends = np.minimum.accumulate(kept[::-1], axis=0)[::-1]
    return np.take_along_axis(positive, descending, axis=0), ends, starts


def _counts_at(hits: Array, rows: Counts) -> Counts:
    """How many of the first `rows` rows are hits, per column."""
    sums = np.zeros((len(hits) + 1, hits.shape[1]), np.int64)
    np.cumsum(hits, axis=0, out=sums[1:])
    return np.take_along_axis(sums, rows, axis=0)
