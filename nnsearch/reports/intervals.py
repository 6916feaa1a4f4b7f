"""How sure each metric of a task is on the rows of a split. Knows no study.

The areas under the curves cost a sort of each class's scores. Here they are worked out from how
often each row was drawn, so that one ranking of all rows serves every draw.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnsearch.reports.statistics import (
    Array,
    Interval,
    Metrics,
    draw,
    share_interval,
)
from nnsearch.tasks.metrics import (
    BINARY,
    NUM_BINS,
    TOP,
    class_metrics,
    confidence_gaps,
    confusion_metrics,
    is_in_top,
)

# As many draws as this many cells of predictions allow, between the two numbers.
MOST_CELLS, FEWEST_DRAWS, MOST_DRAWS = 100_000_000, 200, 1000
# Above this share of draws without a value it is said that there were some.
MANY = 0.05
# Of more rows, or groups of them, the correction for skew is less than draws leave to chance.
MOST_CORRECTED = 200
# Draws of fewer groups than this differ too little: their intervals are narrower than they say.
FEW_GROUPS = 20
ACCURACY = "accuracy"

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Intervals:
    """The 95 % interval of each metric that has one; `notes` say how drawn, and why others not."""

    ends: dict[str, Interval]
    notes: tuple[str, ...] = ()


def metric_intervals(
    metrics: Metrics,
    predictions: Array,
    targets: Array,
    *,
    seed: int,
    groups: Array | None = None,
) -> Intervals:
    """The intervals of what `metrics` gives of predictions [N, P] and targets [N].

    An accuracy is a share, and its interval the exact one. Any other's comes of 1,000 draws of N
    rows; of fewer, though never under 200, where there are over 100,000 predicted numbers. Up to
    200 rows it is corrected for skew. The same seed gives the same intervals. Of a metric that the
    number of rows biases it holds what the metric is of as many rows, in the mean: a calibration
    error of few rows is larger than that of many.

    With `groups` [N] whole groups are drawn, for rows of one group are not independent (the
    cluster bootstrap), and the interval of an accuracy is drawn as well.

    A metric has none where it, or more than half of its draws, is not finite, nor where all draws
    are equal: rows without a single fault, drawn again, cannot say how often faults are.
    """
    if not len(targets):
        return Intervals({}, ("no intervals: there are no rows",))
    num_groups = 0 if groups is None else len(np.unique(groups))
    if num_groups == len(targets):
        groups, num_groups = None, 0  # each row a group of its own
    judge, arrays = metrics, (predictions, targets)
    if metrics is class_metrics:
        judge, arrays = _of_rows(predictions, targets), (np.arange(len(targets)),) * 2
    num_draws = int(np.clip(MOST_CELLS // max(predictions.size, 1), FEWEST_DRAWS, MOST_DRAWS))
    is_corrected = (num_groups or len(targets)) <= MOST_CORRECTED
    draws = draw(
        judge,
        *arrays,
        seed=seed,
        num_resamples=num_draws,
        method="bca" if is_corrected else "percentile",
        groups=groups,
    )
    found = draws.intervals()
    lost = {key: int((~np.isfinite(each)).sum()) for key, each in draws.drawn.items()}
    ends = {key: each for key, each in found.items() if _says_something(each)}
    if groups is None:
        ends |= _exact(metrics(predictions, targets).get(ACCURACY), len(targets))
    notes = (*_of_groups(num_groups), *_notes(found, ends, lost, num_draws))
    return Intervals(ends, notes)


def _of_groups(num_groups: int) -> Iterator[str]:
    if not num_groups:
        return
    few = "; from so few they are too narrow" if num_groups < FEW_GROUPS else ""
    yield f"intervals are drawn by group of rows, {num_groups} in all{few}"


def _says_something(ends: Interval) -> bool:
    """Whether there are two ends that differ by more than rounding."""
    return all(map(np.isfinite, ends)) and not np.isclose(*ends, rtol=1e-9, atol=1e-12)


def _exact(accuracy: float | None, num_rows: int) -> dict[str, Interval]:
    """The interval of a share of the rows; nothing where the value is no such share."""
    if accuracy is None or not 0 <= accuracy <= 1:
        return {}
    successes = round(accuracy * num_rows)
    is_share = np.isclose(accuracy, successes / num_rows, rtol=0, atol=1e-7)
    return {ACCURACY: share_interval(successes, num_rows)} if is_share else {}


def _notes(
    found: Mapping[str, Interval],
    ends: Mapping[str, Interval],
    lost: Mapping[str, int],
    num_draws: int,
) -> Iterator[str]:
    without = [key for key in found if key not in ends]
    alike = ", ".join(key for key in without if np.isfinite(found[key][0]))
    unknown = ", ".join(key for key in without if not np.isfinite(found[key][0]))
    if alike:
        yield f"no interval of {alike}: every draw of the rows gives the same value"
    if unknown:
        yield f"no interval of {unknown}: not finite, or not in most draws of the rows"
    for key in ends:
        if lost[key] > MANY * num_draws:
            yield f"{key} is not finite in {lost[key]} of {num_draws} draws; the others count"


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


def _of_rows(predictions: Array, targets: Array) -> Metrics:
    """`class_metrics` of drawn rows, given as places; equal to it but for rounding.

    What a row adds to a metric is worked out once: a draw only counts the rows.
    """
    probabilities = np.asarray(predictions, np.result_type(predictions, np.float32))
    truth = np.asarray(targets, np.int64)
    num_rows, num_classes = probabilities.shape
    cells = truth * num_classes + probabilities.argmax(axis=1)
    logs, squares = _terms(probabilities, truth)
    bins, gaps = confidence_gaps(probabilities, truth)
    has_top, in_top = num_classes > TOP, is_in_top(probabilities, truth)
    ranking = _ranking(probabilities, truth)

    def metrics(rows: Array, _: Array) -> dict[str, float]:
        counts = np.bincount(rows, minlength=num_rows)
        confusion = np.bincount(cells[rows], minlength=num_classes**2)
        roc_auc, pr_auc = _areas(ranking, counts)
        return {
            **confusion_metrics(confusion.reshape(num_classes, num_classes)),
            "roc_auc": roc_auc,
            "pr_auc": pr_auc,
            "log_loss": float(counts @ logs / len(rows)),
            "brier": float(counts @ squares / len(rows)),
            "ece": float(np.abs(np.bincount(bins, counts * gaps, NUM_BINS)).sum() / len(rows)),
            **({f"top_{TOP}_accuracy": float(counts @ in_top / len(rows))} if has_top else {}),
        }

    return metrics


def _terms(probabilities: Array, truth: Places) -> tuple[Array, Array]:
    """Each row's part [N] of the logarithmic loss and of the Brier score, as `tasks.metrics`."""
    epsilon = np.finfo(probabilities.dtype).eps
    of_truth = probabilities[np.arange(len(truth)), truth]
    errors = probabilities.astype(np.float64)
    errors[np.arange(len(truth)), truth] -= 1
    counted = errors[:, 1:] if errors.shape[1] == BINARY else errors
    logs = -np.log(np.clip(of_truth, epsilon, 1 - epsilon), dtype=np.float64)
    return logs, (counted**2).sum(axis=1)


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


def _areas(ranking: _Ranking, counts: Places) -> tuple[float, float]:
    """The two areas where row n was drawn `counts[n]` times; see `tasks.metrics.areas`."""
    total = int(counts.sum())
    if not len(ranking.hits):
        return 0.5, 0.0
    drawn = counts[ranking.hits]
    positives = np.add.reduceat(drawn, ranking.starts)
    is_split = (positives > 0) & (positives < total)
    if not is_split.any():
        return 0.5, float(positives.max() > 0)
    above = np.concatenate([[0], np.cumsum(counts[ranking.rows].ravel())])
    hits_above = np.concatenate([[0], np.cumsum(drawn)])
    # Both sums run on from class to class.
    past = hits_above[ranking.starts][ranking.of_class]
    past_rows = (ranking.before // ranking.rows.shape[1]) * total
    hits = hits_above[ranking.last] - past
    rows = above[ranking.through] - past_rows
    ties = above[ranking.through] - above[ranking.before]
    tied_hits = hits_above[ranking.last] - hits_above[ranking.first]
    negatives = (total - positives)[ranking.of_class]
    below = negatives - (rows - hits) + (ties - tied_hits) / 2
    pairs = np.add.reduceat(drawn * below, ranking.starts)[is_split]
    precision = np.add.reduceat(drawn * hits / np.maximum(rows, 1), ranking.starts)[is_split]
    positives = positives[is_split]
    roc_auc = pairs / (positives * (total - positives))
    return float(roc_auc.mean()), float((precision / positives).mean())
