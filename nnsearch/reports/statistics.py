"""How sure a number is, and whether two differ. Pure; a metric is a function that is given."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nnsearch.study.spec import Direction

Array = NDArray[Any]
Metric = Callable[[Array, Array], float]
Metrics = Callable[[Array, Array], Mapping[str, float]]
Method = Literal["percentile", "bca"]
Interval = tuple[float, float]
Judge = Callable[[Iterable[Array]], dict[str, Array]]

_MAX_JACKKNIFE = 200
# A bias of more than this share of the deviation is taken out: BCa no longer does it by itself.
_MUCH_BIAS = 0.5
_NOTHING: Interval = (float("nan"), float("nan"))


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Each metric of all rows, of each draw of them, and of the rows without some if wanted."""

    whole: Mapping[str, float]
    drawn: Mapping[str, Array]
    left_out: Mapping[str, Array]

    def intervals(self, confidence: float = 0.95) -> dict[str, Interval]:
        """The interval of each metric: (nan, nan) where most draws of it, or it, are not finite.

        With what is left out they are corrected for bias and skew (BCa; Efron, 1987). That fails
        where repeated rows bias a metric, as they do a calibration error or a distance between
        distributions: an interval of draws with a bias of more than half their deviation is moved
        by it instead, and is of what the metric is, in the mean, of as many rows.
        """
        _checked(confidence)
        return {
            key: _interval(value, self.drawn[key], self.left_out.get(key), confidence=confidence)
            for key, value in self.whole.items()
        }


@dataclass(frozen=True, slots=True)
class McNemar:
    """Rows that only one of two classifiers gets right, and the exact two-sided p-value."""

    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Difference:
    """First minus second on the same rows, with its interval and a two-sided p-value."""

    value: float
    low: float
    high: float
    p_value: float


def share_interval(successes: int, total: int, *, confidence: float = 0.95) -> Interval:
    """The exact interval of a share such as accuracy (Clopper and Pearson, 1934).

    (0, 1) where there is nothing to count. Raises ValueError for counts that cannot be.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total} is no share")
    tail = (1 - _checked(confidence)) / 2
    failures = total - successes
    # The beta distribution's quantiles: scipy.stats would add half a second of imports.
    low = float(special.betaincinv(successes, failures + 1, tail)) if successes else 0.0
    high = float(special.betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
    return low, high


def of_rows(metrics: Metrics, predictions: Array, targets: Array) -> Judge:
    """A judge that looks at the predictions and targets of the rows of each draw."""
    return lambda samples: _drawn(metrics, predictions, targets, samples)


def of_counts(
    metrics: Callable[[NDArray[np.int64]], Mapping[str, Array]], num_rows: int, *, at_once: int
) -> Judge:
    """A judge of many draws at once, by how often each has each row.

    `metrics` takes counts [D, N], of at most `at_once` draws, and gives each metric as [D].
    """

    def judge(samples: Iterable[Array]) -> dict[str, Array]:
        left, found = iter(samples), []
        while some := list(islice(left, at_once)):
            found.append(
                metrics(np.stack([np.bincount(rows, minlength=num_rows) for rows in some]))
            )
        return {key: np.concatenate([each[key] for each in found]) for key in found[0]}

    return judge


def draw(
    judge: Judge,
    num_rows: int,
    *,
    seed: int,
    num_resamples: int = 1000,
    method: Method = "percentile",
    groups: Array | None = None,
) -> Draws:
    """Every metric of rows drawn again with replacement, of which intervals are worked out.

    `judge` is given the places of the rows of each draw, and gives each metric of all of them.
    With `groups` [N] whole groups are drawn, for rows of one group are not independent. "bca" looks
    at the rows without some as well, up to 200 times: above 200 rows it leaves out blocks of them.
    The same seed gives the same draws.
    """
    members = _members(num_rows, groups)
    if not members:
        raise ValueError("there are no rows to draw from")
    whole = {key: float(value[0]) for key, value in judge([np.arange(num_rows)]).items()}
    is_corrected = method == "bca" and len(members) > 1
    left_out = judge(_jackknife(members)) if is_corrected else {}
    return Draws(whole, judge(_resamples(members, num_resamples, seed)), left_out)


def paired_difference(
    metric: Metric,
    first: Array,
    second: Array,
    targets: Array,
    *,
    seed: int,
    num_resamples: int = 1000,
    confidence: float = 0.95,
    groups: Array | None = None,
) -> Difference:
    """How much `metric` differs between two models' predictions of the same rows.

    Both models are looked at on the same drawn rows each time. The p-value is the share of draws
    on the other side of zero, twice, and never below 2 / (num_resamples + 1).
    """
    if not len(first) == len(second) == len(targets):
        raise ValueError("the two models were not looked at on the same rows")
    both = np.arange(len(targets))

    def differ(rows: Array, _: Array) -> dict[str, float]:
        return {"": metric(first[rows], targets[rows]) - metric(second[rows], targets[rows])}

    value = differ(both, both)[""]
    members = _members(len(targets), groups)
    draws = _drawn(differ, both, both, _resamples(members, num_resamples, seed))[""]
    low, high = _interval(value, draws, None, confidence=_checked(confidence))
    draws = draws[np.isfinite(draws)]
    rarer = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    p_value = min(1.0, 2 * (rarer + 1) / (len(draws) + 1)) if np.isfinite(low) else float("nan")
    return Difference(value, low, high, p_value)


def mcnemar(first: Array, second: Array, targets: Array) -> McNemar:
    """Whether two classifiers err equally often on the same rows (McNemar, 1947; exact form).

    `first` and `second` are predicted classes [N]. The p-value is 1 where no row tells them apart.
    """
    if not first.shape == second.shape == targets.shape:
        raise ValueError("the two classifiers were not looked at on the same rows")
    only_first = int(((first == targets) & (second != targets)).sum())
    only_second = int(((first != targets) & (second == targets)).sum())
    total = only_first + only_second
    p_value = 2 * float(special.bdtr(min(only_first, only_second), total, 0.5)) if total else 1.0
    return McNemar(only_first, only_second, min(1.0, p_value))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for there being several of them (Holm, 1979), in their order."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, p_values[at] * (len(p_values) - rank)))
        corrected[at] = largest
    return corrected


def best_so_far(values: Sequence[float | None], direction: Direction) -> list[float]:
    """The best value after each trial, NaN before the first.

    None stands for a trial without a value; one that is not finite is never the best.
    """
    best = float("nan")
    curve = []
    for value in values:
        if value is not None and np.isfinite(value):
            is_better = value > best if direction == "maximize" else value < best
            best = float(value) if np.isnan(best) or is_better else best
        curve.append(best)
    return curve


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not at {confidence}")
    return confidence


def _members(num_rows: int, groups: Array | None) -> list[Array]:
    """The rows of each unit that is drawn or left out as a whole."""
    if groups is None:
        return list(np.arange(num_rows)[:, None])
    _, numbers = np.unique(groups, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if num_rows else []


def _resamples(members: list[Array], num_resamples: int, seed: int) -> Iterable[Array]:
    generator = np.random.default_rng(seed)
    rows, sizes = np.concatenate(members), np.array([len(each) for each in members])
    starts = np.cumsum(sizes) - sizes
    are_rows = len(rows) == len(members)
    for _ in range(num_resamples):
        drawn = generator.integers(0, len(members), len(members))
        if are_rows:
            yield rows[drawn]
            continue
        # The rows of each drawn group, one behind the other, without a loop over groups.
        lengths = sizes[drawn]
        shifts = starts[drawn] - (np.cumsum(lengths) - lengths)
        yield rows[np.arange(lengths.sum()) + np.repeat(shifts, lengths)]


def _jackknife(members: list[Array]) -> Iterable[Array]:
    blocks = np.array_split(np.arange(len(members)), min(len(members), _MAX_JACKKNIFE))
    rows = np.concatenate(members)
    block_of = np.repeat(
        np.repeat(np.arange(len(blocks)), [len(block) for block in blocks]),
        [len(each) for each in members],
    )
    for number in range(len(blocks) if len(blocks) > 1 else 0):
        yield rows[block_of != number]


def _drawn(
    metrics: Metrics, predictions: Array, targets: Array, samples: Iterable[Array]
) -> dict[str, Array]:
    found: dict[str, list[float]] = {}
    for rows in samples:
        for key, value in metrics(predictions[rows], targets[rows]).items():
            found.setdefault(key, []).append(value)
    return {key: np.asarray(values, np.float64) for key, values in found.items()}


def _interval(value: float, draws: Array, left_out: Array | None, *, confidence: float) -> Interval:
    finite = draws[np.isfinite(draws)]
    if not np.isfinite(value) or 2 * len(finite) < len(draws):
        return _NOTHING
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if abs(finite.mean() - value) > _MUCH_BIAS * finite.std():
        low, high = np.quantile(finite, tails) - (np.median(finite) - value)
        # What never leaves 0 to 1, as a distance or a share does not, is not to leave it so.
        low = max(low, 0.0) if finite.min() >= 0 else low
        return float(low), float(min(high, 1.0) if finite.max() <= 1 else high)
    if left_out is not None:
        tails = _corrected(tails, value, finite, left_out[np.isfinite(left_out)])
    low, high = np.quantile(finite, tails)
    return float(low), float(high)


def _corrected(tails: Array, value: float, draws: Array, left_out: Array) -> Array:
    """The shares at which BCa reads the draws; ties count half, as in Efron and Tibshirani."""
    is_tied = np.isclose(draws, value, rtol=1e-7, atol=1e-12)
    below = np.where(is_tied, 0.5, draws < value).mean()
    if not 0 < below < 1:
        return tails
    bias = special.ndtri(below)
    gaps = left_out.mean() - left_out
    spread = float((gaps**2).sum()) ** 1.5
    pull = float((gaps**3).sum()) / (6 * spread) if spread else 0.0
    shifted = bias + special.ndtri(tails)
    corrected: Array = special.ndtr(bias + shifted / (1 - pull * shifted))
    return corrected
