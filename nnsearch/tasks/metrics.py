"""Metrics of whole splits in NumPy, as scikit-learn defines them. Knows no task and no torch.

A metric is worked out from all predictions at once, since the mean of batches is wrong for F1 and
the areas. Where scikit-learn gives NaN or a warning, as for a class that has no row, each function
says what it gives instead. Predictions that are not finite give NaN where they matter, silently:
whoever trains stops at a loss that is not finite.

Shapes: N examples, C classes, K trials judged at once, `...` any leading axes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]

BINARY = 2
TOP = 5
NUM_BINS = 15


def has_single_answers(predictions: Array, targets: Array, labels: Sequence[str]) -> bool:
    """Whether each row's answer is one class of `labels` or, without labels, one number."""
    return targets.ndim == 1 and predictions.shape == (len(targets), len(labels) or 1)


def class_metrics(predictions: Array, targets: Array) -> dict[str, float]:
    """Every metric of probabilities [N, C] against class indices [N]."""
    return class_metrics_many(np.asarray(predictions)[None], targets)[0]


def class_metrics_many(predictions: Array, targets: Array) -> list[dict[str, float]]:
    """`class_metrics` of K trials' probabilities [K, N, C] against the same class indices [N].

    For small splits it takes a fraction of the time that K calls would, and gives the same bits.
    """
    scores: Floats = np.asarray(predictions, np.result_type(predictions, np.float32))
    truth = np.asarray(targets, np.int64)
    num_trials, _, num_classes = scores.shape
    predicted = scores.argmax(axis=2)
    cells = (np.arange(num_trials)[:, None] * num_classes + truth) * num_classes + predicted
    counts = np.bincount(cells.ravel(), minlength=num_trials * num_classes**2)
    roc_auc, pr_auc = _areas(scores, truth)
    found = {
        **metrics_of_confusions(counts.reshape(num_trials, num_classes, num_classes)),
        "roc_auc": roc_auc,
        "pr_auc": pr_auc,
        "log_loss": surprises(scores, truth).mean(axis=1),
        "brier": _squares(scores, truth).mean(axis=1),
        "ece": _calibration_error(*confidence_gaps(scores, truth)),
    }
    if num_classes > TOP:
        found[f"top_{TOP}_accuracy"] = is_in_top(scores, truth).mean(axis=1)
    rows = zip(*(values.tolist() for values in found.values()), strict=True)
    return [dict(zip(found, row, strict=True)) for row in rows]


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
    Where each row is of one class, the micro means of precision, recall and F1 are the accuracy.
    """
    return {name: float(values[0]) for name, values in metrics_of_confusions(counts[None]).items()}


def areas(probabilities: Floats, targets: Array) -> tuple[float, float]:
    """The areas under the ROC curve and under the precision-recall curve.

    Of two classes the second is the positive one; of more, each is set against the rest and the
    mean taken over the classes that are in the truth. Where the truth is a single class the first
    area is 0.5, as for a guess, and the second 1, or 0 where that class is the first of two. The
    second area is the average precision, a sum over steps, not trapezoids.
    """
    roc_auc, pr_auc = _areas(probabilities[None], np.asarray(targets, np.int64))
    return float(roc_auc[0]), float(pr_auc[0])


def log_loss(probabilities: Floats, targets: Array) -> float:
    """The mean of -log(probability of the true class), in nats."""
    return float(surprises(probabilities, np.asarray(targets, np.int64)).mean())


def surprises(probabilities: Floats, truth: Counts) -> Floats:
    """-log(probability of the true class) of [..., N, C] as [..., N], in nats.

    Probabilities are kept from 0 by the smallest step of their own type at 1, so a sure mistake
    costs 15.9 in float32 and 36 in float64, not infinity.
    """
    epsilon = np.finfo(probabilities.dtype).eps
    of_truth = np.ascontiguousarray(probabilities[..., np.arange(len(truth)), truth])
    costs: Floats = -np.log(np.clip(of_truth, epsilon, 1 - epsilon), dtype=np.float64)
    return costs


def brier(probabilities: Floats, targets: Array) -> float:
    """The mean squared distance of the probabilities from the truth.

    Of two classes it is that of the second class alone, from 0 to 1; of more the sum over the
    classes, from 0 to 2.
    """
    return float(_squares(probabilities, np.asarray(targets, np.int64)).mean())


def confidence_gaps(probabilities: Floats, truth: Counts) -> tuple[Counts, Floats]:
    """For [..., N, C] each row's bin of confidence and its confidence less its success, [..., N].

    The confidence is the largest probability; 15 bins of one width divide it. The expected
    calibration error (ece) is the sum of the bins' absolute sums of gaps, divided by the rows
    (Guo et al., On Calibration of Modern Neural Networks, 2017).
    """
    confidence = probabilities.max(axis=-1).astype(np.float64)
    bins = np.searchsorted(np.arange(1, NUM_BINS) / NUM_BINS, confidence)
    return bins, confidence - (probabilities.argmax(axis=-1) == truth)


def is_in_top(probabilities: Floats, truth: Counts) -> npt.NDArray[np.bool_]:
    """Whether the true class is among the 5 most probable, for [..., N, C] as [..., N].

    Of equally probable classes the later one goes first, as in scikit-learn.
    """
    of_truth = probabilities[..., np.arange(len(truth)), truth][..., None]
    is_before = ~(probabilities < of_truth)
    is_before &= (probabilities != of_truth) | (np.arange(probabilities.shape[-1]) > truth[:, None])
    is_in: npt.NDArray[np.bool_] = is_before.sum(axis=-1) < TOP
    return is_in


def number_metrics(predictions: Array, targets: Array) -> dict[str, float]:
    """Every metric of numbers [N, 1] or [N] against numbers [N], in the target's unit.

    r2 of targets that are all the same, or of a single one, is 1 where every prediction is exact
    and 0 otherwise. mape is a share, not a percentage, and huge where a target is 0; medae is the
    median of the absolute errors.
    """
    truth = np.asarray(targets, dtype=np.float64)
    predicted = np.asarray(predictions, dtype=np.float64).reshape(truth.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        errors = predicted - truth
        squared = errors @ errors
        # Numbers that are all the same may differ from their mean by rounding.
        spread = ((truth - truth.mean()) ** 2).sum() if np.ptp(truth) else 0.0
        shares = np.abs(errors) / np.maximum(np.abs(truth), np.finfo(np.float64).eps)
        r2 = 1 - squared / spread if spread > 0 else float(squared == 0)
        return {
            "rmse": float(np.sqrt(squared / len(truth))),
            "mae": float(np.abs(errors).mean()),
            "r2": float(r2),
            "mape": float(shares.mean()),
            "medae": float(np.median(np.abs(errors))),
        }


def pinball(predictions: Array, targets: Array, quantile: float) -> float:
    """The mean pinball loss of predictions [N, 1] or [N] of a quantile of the targets [N]."""
    truth = np.asarray(targets, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        errors = truth - np.asarray(predictions, dtype=np.float64).reshape(truth.shape)
        return float(np.maximum(quantile * errors, (quantile - 1) * errors).mean())


def metrics_of_confusions(counts: Counts) -> dict[str, Floats]:
    """`confusion_metrics` of [K, C, C], each [K]."""
    hits = np.diagonal(counts, axis1=1, axis2=2).astype(np.float64)
    truth, predicted = counts.sum(axis=2).astype(np.float64), counts.sum(axis=1).astype(np.float64)
    both, total = truth + predicted, truth.sum(axis=1)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(truth, 1)
    f1, share = 2 * hits / np.maximum(both, 1), truth / np.maximum(total, 1)[:, None]
    # What does not count is 0 in the sums.
    num_seen = np.maximum((both > 0).sum(axis=1), 1)
    num_true = np.maximum((truth > 0).sum(axis=1), 1)
    num_hits = hits.sum(axis=1)
    together = num_hits * total - (truth * predicted).sum(axis=1)
    alone = (total**2 - (truth**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
    recall_macro = recall.sum(axis=1)
    return {
        "accuracy": num_hits / np.maximum(total, 1),
        "balanced_accuracy": recall_macro / num_true,
        "precision_macro": precision.sum(axis=1) / num_seen,
        "recall_macro": recall_macro / num_seen,
        "f1_macro": f1.sum(axis=1) / num_seen,
        "precision_weighted": (precision * share).sum(axis=1),
        "recall_weighted": (recall * share).sum(axis=1),
        "f1_weighted": (f1 * share).sum(axis=1),
        "mcc": np.where(alone > 0, together / np.sqrt(np.where(alone > 0, alone, 1)), 0.0),
    }


def _areas(scores: Floats, truth: Counts) -> tuple[Floats, Floats]:
    """`areas` of [K, N, C], each [K].

    Only the rows that are of a class count for it, so one sort of each class's scores is enough:
    the rest is where those rows stand among all rows, and among themselves.
    """
    num_trials, num_rows, num_classes = scores.shape
    first = 1 if num_classes == BINARY else 0
    totals = np.bincount(truth, minlength=num_classes)
    is_split = (totals > 0) & (totals < num_rows) & (np.arange(num_classes) >= first)
    if not is_split.any():
        return np.full(num_trials, 0.5), np.full(num_trials, float(totals[first:].max() > 0))
    totals = totals[is_split]
    order, rows = _order(scores[:, :, is_split]), np.argsort(truth, kind="stable")
    rows = rows[is_split[truth[rows]]]
    of_class = np.repeat(np.arange(len(totals)), totals)
    many = np.tile(totals, num_trials)
    offset = np.arange(len(many)).reshape(num_trials, -1) << 32
    # Everything lies trial by trial, class by class, the lowest score first.
    every = (np.sort(order) + offset[:, :, None]).ravel()
    hits = np.sort(order[:, of_class, rows] + offset[:, of_class]).ravel()
    starts = np.cumsum(many) - many
    start, all_start = np.repeat([starts, np.arange(len(many)) * num_rows], many, axis=1)
    below, hits_below = every.searchsorted(hits) - all_start, hits.searchsorted(hits) - start
    up_to = every.searchsorted(hits, "right") - all_start
    hits_up_to = hits.searchsorted(hits, "right") - start
    pairs = np.add.reduceat(below - hits_below + up_to - hits_up_to, starts) / 2
    precision = (np.repeat(many, many) - hits_below) / np.maximum(num_rows - below, 1)
    roc_auc = (pairs / (many * (num_rows - many))).reshape(num_trials, -1)
    pr_auc = (np.add.reduceat(precision, starts) / many).reshape(num_trials, -1)
    return roc_auc.mean(axis=1), pr_auc.mean(axis=1)


def _order(scores: Floats) -> npt.NDArray[np.integer[Any]]:
    """Integers [K, C, N] that are in the order of the scores [K, N, C], and below 2**32."""
    lying = np.abs(np.swapaxes(scores, 1, 2))  # -0.0 is 0.0, and no NaN has a sign
    if lying.dtype == np.float32:
        # Floats that are not negative are in the order of their bits.
        return np.ascontiguousarray(lying).view(np.int32)
    return np.unique(lying, return_inverse=True)[1].reshape(lying.shape)


def _squares(probabilities: Floats, truth: Counts) -> Floats:
    """Each row's part [..., N] of the Brier score of [..., N, C]."""
    errors = probabilities.astype(np.float64)
    errors[..., np.arange(len(truth)), truth] -= 1
    counted = errors[..., 1:] if errors.shape[-1] == BINARY else errors
    squares: Floats = np.einsum("...c,...c->...", counted, counted)
    return squares


def _calibration_error(bins: Counts, gaps: Floats) -> Floats:
    """The expected calibration error [K] of `confidence_gaps` [K, N]."""
    num_trials, num_rows = bins.shape
    places = bins + np.arange(num_trials)[:, None] * NUM_BINS
    sums = np.bincount(places.ravel(), gaps.ravel(), minlength=num_trials * NUM_BINS)
    error: Floats = np.abs(sums.reshape(num_trials, NUM_BINS)).sum(axis=1) / num_rows
    return error
