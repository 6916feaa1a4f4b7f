"""How sure each metric of a task is on the rows of a split. Knows no study."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nnsearch.reports.class_draws import class_metrics_by_counts
from nnsearch.reports.statistics import (
    Array,
    Interval,
    Metrics,
    draw,
    of_counts,
    of_rows,
    share_interval,
)
from nnsearch.tasks.metrics import class_metrics

# As many draws as this many cells of predictions allow, between the two numbers.
MOST_CELLS, FEWEST_DRAWS, MOST_DRAWS = 100_000_000, 200, 1000
# Predicted numbers of the draws that are judged together, to stay in a core's cache.
CELLS_AT_ONCE = 2**17
# Above this share of draws without a value it is said that there were some.
MANY = 0.05
# Of more rows, or groups of them, the correction for skew is less than draws leave to chance.
MOST_CORRECTED = 200
# Draws of fewer groups than this differ too little: their intervals are narrower than they say.
FEW_GROUPS = 20
ACCURACY = "accuracy"


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
    num_draws = int(np.clip(MOST_CELLS // max(predictions.size, 1), FEWEST_DRAWS, MOST_DRAWS))
    is_corrected = (num_groups or len(targets)) <= MOST_CORRECTED
    if metrics is class_metrics:
        at_once = max(1, CELLS_AT_ONCE // predictions.size)
        by_counts = class_metrics_by_counts(predictions, targets)
        judge = of_counts(by_counts, len(targets), at_once=at_once)
    else:
        judge = of_rows(metrics, predictions, targets)
    draws = draw(
        judge,
        len(targets),
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
