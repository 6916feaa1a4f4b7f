"""How much two models differ on the same rows, and how sure that is. Pure; knows no study.

The tests ask whether the two models could be exchanged row by row without anybody noticing, so they
hold whatever the metric: McNemar's exact test for shares of right answers, and the permutation test
that exchanges the two models' predictions of randomly chosen rows for all else (Good, Permutation
Tests, 2000; Dror and others, 2018, on its use for paired predictions). Where rows come in groups
whole groups are exchanged and drawn.

Of simulated pairs of equally good models, at the 5 % level, McNemar's test takes 2 to 4 % for
different and the permutation test 5 %. Of models with accuracies of 0.95 and 0.92, of which 4 % of
the rows are wrong in both (with 2 %: in brackets), they find (tests/benchmarks/power.py):

    test rows            200          360          500         1000         2000
    found        0.39 (0.23)  0.69 (0.44)  0.84 (0.60)  0.99 (0.89)  1.00 (1.00)
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import special

from nnsearch.reports.measures import Measure
from nnsearch.reports.statistics import (
    Array,
    Interval,
    Metric,
    mcnemar,
    paired_difference,
    share_interval,
)

# Below this a difference is called one, and this often a true one of the size seen is to be found.
ALPHA, POWER = 0.05, 0.8
# As many draws as this many numbers allow, between the two ends.
MOST_NUMBERS, FEWEST_DRAWS, MOST_DRAWS = 30_000_000, 500, 2000
# Rounding must not decide whether an exchange is as extreme as what was seen.
_ROUNDING = 1e-9

Test = Literal["mcnemar", "permutation"]


@dataclass(frozen=True, slots=True)
class Paired:
    """Second minus first, with the ends of its 95 % interval and a two-sided p-value.

    `num_units` are the rows, or the groups where rows come in such. `deviation` is that of the
    value over other test rows. `only_first` and `only_second` are the rows that only one of the two
    gets right, counted for accuracy alone.
    """

    test: Test
    value: float
    low: float
    high: float
    p_value: float
    deviation: float
    num_rows: int
    num_units: int
    only_first: int = 0
    only_second: int = 0


def compare_pair(
    measure: Measure,
    first: Array,
    second: Array,
    targets: Array,
    *,
    groups: Array | None = None,
    is_accuracy: bool = False,
    seed: int = 0,
) -> Paired:
    """The difference of two models' predictions [N, P] of the same rows in one metric.

    Raises ValueError where they are not of the same rows. The same seed gives the same answer.
    """
    if not len(first) == len(second) == len(targets):
        raise ValueError("the two models were not looked at on the same rows")
    num_units = len(targets) if groups is None else len(np.unique(groups))
    ours, theirs = (measure.reduce(each, targets) for each in (first, second))
    draws = int(np.clip(MOST_NUMBERS // max(ours.size, 1), FEWEST_DRAWS, MOST_DRAWS))
    change = paired_difference(
        measure.score, theirs, ours, targets, seed=seed, num_resamples=draws, groups=groups
    )
    found = Paired(
        test="permutation",
        value=change.value,
        low=change.low,
        high=change.high,
        p_value=float("nan"),
        deviation=(change.high - change.low) / (2 * float(special.ndtri(1 - ALPHA / 2))),
        num_rows=len(targets),
        num_units=num_units,
    )
    if is_accuracy:
        found = _with_counts(found, first.argmax(axis=1), second.argmax(axis=1), targets)
    if found.test == "permutation":
        sides = (ours, theirs)
        p_value = exchange(measure.score, sides, targets, groups=groups, seed=seed, num_draws=draws)
        found = replace(found, p_value=p_value)
    return found


def exchange(
    score: Metric,
    sides: tuple[Array, Array],
    targets: Array,
    *,
    groups: Array | None = None,
    seed: int = 0,
    num_draws: int = MOST_DRAWS,
) -> float:
    """The two-sided p-value of the permutation test; NaN where the metric is not finite.

    How often exchanging the predictions of about half the units, chosen at random, makes a
    difference at least as large as the one there is, that one counted in.
    """
    first, second = sides
    observed = abs(score(second, targets) - score(first, targets))
    if not np.isfinite(observed):
        return float("nan")
    units = np.arange(len(targets))
    if groups is not None:
        units = np.unique(groups, return_inverse=True)[1]
    generator = np.random.default_rng(seed)
    as_extreme = 1
    limit = observed - _ROUNDING * max(1.0, observed)
    for _ in range(num_draws):
        flipped = (generator.random(int(units.max(initial=0)) + 1) < 0.5)[units]  # noqa: PLR2004
        chosen = flipped.reshape(-1, *(1,) * (first.ndim - 1))
        one, two = np.where(chosen, second, first), np.where(chosen, first, second)
        as_extreme += abs(score(two, targets) - score(one, targets)) >= limit
    return as_extreme / (num_draws + 1)


def share_difference(only_first: int, only_second: int, num_rows: int) -> Interval:
    """The ends of the 95 % interval of a difference of shares that agrees with McNemar's test.

    It holds 0 exactly where the test's p-value is above 0.05: the exact interval of the share of
    the second among the rows that tell the two apart, as a share of all rows. Where no row tells
    them apart it says how often rows may that were not seen.
    """
    apart = only_first + only_second
    if not apart:
        most = share_interval(0, num_rows)[1]
        return -most, most
    low, high = share_interval(only_second, apart)
    return (2 * low - 1) * apart / num_rows, (2 * high - 1) * apart / num_rows


def units_needed(found: Paired, *, num_tests: int = 1) -> int | None:
    """How many rows, or groups, in all would show a difference of this size four times of five.

    By the normal approximation, each of `num_tests` at its share of the level. None where no
    difference at all was seen, or nothing is known of its deviation.
    """
    if not found.value or not np.isfinite([found.value, found.deviation]).all():
        return None
    wanted = float(special.ndtri(1 - ALPHA / (2 * num_tests)) + special.ndtri(POWER))
    return int(np.ceil(found.num_units * (wanted * found.deviation / found.value) ** 2))


def _with_counts(found: Paired, first: Array, second: Array, targets: Array) -> Paired:
    """The rows that tell the two apart; of rows without groups also McNemar's exact answer."""
    counted = mcnemar(first, second, targets)
    found = replace(found, only_first=counted.only_first, only_second=counted.only_second)
    if found.num_units < found.num_rows:
        return found
    low, high = share_difference(counted.only_first, counted.only_second, found.num_rows)
    shares = np.array([counted.only_first, counted.only_second]) / found.num_rows
    variance = shares.sum() - (shares[1] - shares[0]) ** 2
    return replace(
        found,
        test="mcnemar",
        # The drawn interval is too narrow where few rows differ, the exact one where nearly all
        # that differ do so in one direction: the wider end of the two is told.
        low=min(low, found.low),
        high=max(high, found.high),
        p_value=counted.p_value,
        deviation=float(np.sqrt(variance / found.num_rows)),
    )
