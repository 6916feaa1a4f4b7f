"""Every metric of classes for many draws of the rows at once. Knows no interval.

A draw is told by how often it has each row. What a row adds to a metric is worked out once, and
the areas under the curves, which cost a sort of each class's scores, come from one ranking of all
rows that serves every draw.

Shape suffixes: D draws, N rows, C classes, P rows among those of their class, in falling order.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnsearch.reports.statistics import Array
from nnsearch.tasks.metrics import (
    BINARY,
    NUM_BINS,
    TOP,
    confidence_gaps,
    is_in_top,
    metrics_of_confusions,
)

Places = NDArray[np.int64]


def class_metrics_by_counts(
    predictions: Array, targets: Array
) -> Callable[[Places], dict[str, Array]]:
    """`class_metrics`, but for rounding, as a function of counts [D, N]: each metric as [D].

    `counts[d, n]` is how often draw d has row n.
    """
    probabilities = np.asarray(predictions, np.result_type(predictions, np.float32))
    truth = np.asarray(targets, np.int64)
    num_classes = probabilities.shape[1]
    cells = truth * num_classes + probabilities.argmax(axis=1)
    logs, squares = _terms(probabilities, truth)
    bins, gaps = confidence_gaps(probabilities, truth)
    has_top, in_top = num_classes > TOP, is_in_top(probabilities, truth)
    ranking = _ranking(probabilities, truth)

    def metrics(counts_DN: Places) -> dict[str, Array]:
        totals_D = counts_DN.sum(axis=1)
        confusions = _sums(cells, counts_DN, num_classes**2)
        roc_auc, pr_auc = _areas(ranking, counts_DN)
        return {
            **metrics_of_confusions(confusions.reshape(-1, num_classes, num_classes)),
            "roc_auc": roc_auc,
            "pr_auc": pr_auc,
            "log_loss": counts_DN @ logs / totals_D,
            "brier": counts_DN @ squares / totals_D,
            "ece": np.abs(_sums(bins, counts_DN * gaps, NUM_BINS)).sum(axis=1) / totals_D,
            **({f"top_{TOP}_accuracy": counts_DN @ in_top / totals_D} if has_top else {}),
        }

    return metrics


def _sums(places: Places, values_DN: Array, size: int) -> Array:
    """The sums of each draw's values by place, [D, size]."""
    num_draws = len(values_DN)
    apart = places + np.arange(num_draws)[:, None] * size
    sums = np.bincount(apart.ravel(), values_DN.ravel(), minlength=num_draws * size)
    return sums.reshape(num_draws, size)


def _terms(probabilities: Array, truth: Places) -> tuple[Array, Array]:
    """Each row's part [N] of the logarithmic loss and of the Brier score, as `tasks.metrics`."""
    epsilon = np.finfo(probabilities.dtype).eps
    of_truth = probabilities[np.arange(len(truth)), truth]
    errors = probabilities.astype(np.float64)
    errors[np.arange(len(truth)), truth] -= 1
    counted = errors[:, 1:] if errors.shape[1] == BINARY else errors
    logs = -np.log(np.clip(of_truth, epsilon, 1 - epsilon), dtype=np.float64)
    return logs, (counted**2).sum(axis=1)


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Each class's scores ranked, as `tasks.metrics.areas` does for a single draw.

    `rows` [C, N] are all rows by falling score, class by class; of two classes the second alone.
    The rest is about the rows that are of the class, P in all: `hits` are those rows, `before` and
    `through` how far `rows`, laid flat, goes up to their first and to their last tie; `first` and
    `last` are the same among `hits`, and `starts` where each class begins there.
    """

    rows: Places
    hits: Places
    before: Places
    through: Places
    first: Places
    last: Places
    starts: Places
    of_class: Places


def _ranking(probabilities: Array, truth: Places) -> _Ranking:
    num_rows, num_classes = probabilities.shape
    classes = np.arange(1 if num_classes == BINARY else 0, num_classes)
    scores = np.ascontiguousarray(probabilities[:, classes].T)
    rows = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, rows, axis=1).ravel()
    is_new = np.ones(len(ranked), np.bool_)
    is_new[1:] = ranked[1:] != ranked[:-1]
    is_new[::num_rows] = True
    tie = np.cumsum(is_new) - 1
    ends = np.append(np.flatnonzero(is_new), len(ranked))
    at = np.flatnonzero(truth[rows].ravel() == np.repeat(classes, num_rows))
    first_of_tie = np.searchsorted(tie[at], tie[at], side="left")
    last_of_tie = np.searchsorted(tie[at], tie[at], side="right")
    starts = np.unique(at // num_rows, return_index=True)[1]
    return _Ranking(
        rows=rows,
        hits=rows.ravel()[at],
        before=ends[tie[at]],
        through=ends[tie[at] + 1],
        first=first_of_tie,
        last=last_of_tie,
        starts=starts,
        of_class=np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(at)))),
    )


def _areas(ranking: _Ranking, counts_DN: Places) -> tuple[Array, Array]:
    """The two areas [D] of each draw; see `tasks.metrics.areas`."""
    num_draws, num_rows = counts_DN.shape
    if not len(ranking.hits):
        return np.full(num_draws, 0.5), np.zeros(num_draws)
    total = counts_DN.sum(axis=1, keepdims=True)
    drawn_DP = counts_DN[:, ranking.hits]
    positives_DC = np.add.reduceat(drawn_DP, ranking.starts, axis=1)
    above, hits_above = _running(counts_DN[:, ranking.rows.ravel()]), _running(drawn_DP)
    # Both sums run on from class to class.
    past_DP = hits_above[:, ranking.starts][:, ranking.of_class]
    hits_DP = hits_above[:, ranking.last] - past_DP
    rows_DP = above[:, ranking.through] - ranking.before // num_rows * total
    ties_DP = above[:, ranking.through] - above[:, ranking.before]
    tied_hits_DP = hits_above[:, ranking.last] - hits_above[:, ranking.first]
    negatives_DC = total - positives_DC
    below = negatives_DC[:, ranking.of_class] - (rows_DP - hits_DP) + (ties_DP - tied_hits_DP) / 2
    pairs_DC = np.add.reduceat(drawn_DP * below, ranking.starts, axis=1)
    precision = drawn_DP * hits_DP / np.maximum(rows_DP, 1)
    precision_DC = np.add.reduceat(precision, ranking.starts, axis=1)
    # A class counts where a draw has rows of it and rows of others; elsewhere it is 0 in the sums.
    is_split_DC = (positives_DC > 0) & (negatives_DC > 0)
    num_split = is_split_DC.sum(axis=1)
    roc_DC = is_split_DC * pairs_DC / np.maximum(positives_DC * negatives_DC, 1)
    pr_DC = is_split_DC * precision_DC / np.maximum(positives_DC, 1)
    roc_auc = np.where(num_split > 0, roc_DC.sum(axis=1) / np.maximum(num_split, 1), 0.5)
    of_one = (positives_DC.max(axis=1) > 0).astype(np.float64)
    return roc_auc, np.where(num_split > 0, pr_DC.sum(axis=1) / np.maximum(num_split, 1), of_one)


def _running(values_DP: Places) -> Places:
    """The sums of each draw's values before each place, and of all of them: [D, P + 1]."""
    sums = np.zeros((len(values_DP), values_DP.shape[1] + 1), np.int64)
    np.cumsum(values_DP, axis=1, out=sums[:, 1:])
    return sums
