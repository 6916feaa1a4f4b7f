"""Whether valid and test are of the same kind as train: columns and class shares. Pure."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nnsearch.data.examples import Examples
from nnsearch.data.findings import Finding, listed
from nnsearch.data.split import RowsOf

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# The chance of a warning about a table of which no part is another than the others.
_LEVEL = 1e-4
# What is smaller than this says little, however sure it is: the largest gap between two
# distributions, and the difference of two shares of a class.
_GAP, _DIFFERENCE = 0.15, 0.1
_FEWEST_ROWS = 20
_MOST_ROWS = 10_000
_PARTS = ("valid", "test")


def shift(examples: Examples, rows: RowsOf) -> Iterator[Finding]:
    """A warning for each part of which columns or class shares are not those of train.

    Columns of numbers by the two-sample test of Kolmogorov and Smirnov on at most 10,000 rows a
    part, drawn with a fixed seed; shares by the normal approximation; both corrected for their
    number after Bonferroni.
    """
    generator = np.random.default_rng(0)
    some = {
        part: places
        if len(places) <= _MOST_ROWS
        else generator.choice(places, _MOST_ROWS, replace=False)
        for part, places in rows.items()
    }
    if len(some["train"]) < _FEWEST_ROWS:
        return
    for part in _PARTS:
        if len(some[part]) >= _FEWEST_ROWS:
            yield from _of_columns(examples, some, part)
            yield from _of_classes(examples, some, part)


def _of_columns(examples: Examples, rows: RowsOf, part: str) -> Iterator[Finding]:
    if examples.signature.kind != "table":
        return
    columns = examples.signature.columns
    numeric = [place for place, each in enumerate(columns) if each.kind == "numeric"]
    gaps = {}
    for place in numeric:
        cells = examples.inputs[:, place]
        ones, others = (_present(cells[rows[each]].astype(np.float64)) for each in ("train", part))
        if min(len(ones), len(others)) < _FEWEST_ROWS or not np.ptp(ones):
            continue  # what is constant in train is told by others
        gap = largest_gap(ones, others)
        least = least_gap(len(ones), len(others), _LEVEL / (len(_PARTS) * len(numeric)))
        if gap >= max(_GAP, least):
            gaps[columns[place].name] = gap
    if not gaps:
        return
    names = sorted(gaps, key=lambda name: -gaps[name])
    subject = f"column '{names[0]}' has" if len(names) == 1 else f"{len(names)} columns have"
    which = "" if len(names) == 1 else f": {listed(names)}"
    message = (
        f"{subject} other values in {part} than in train{which}; the shares of rows below a value"
        f" differ by up to {gaps[names[0]]:.0%}."
    )
    hint = "What is learned on train may not hold there: look where the rows of each come from."
    yield Finding("warning", "W359", message, hint, names[0] if len(names) == 1 else "")


def _of_classes(examples: Examples, rows: RowsOf, part: str) -> Iterator[Finding]:
    labels = examples.signature.labels
    if not labels or examples.targets.ndim > 1:
        return
    ones, others = (
        np.bincount(examples.targets[rows[each]].astype(np.int64), minlength=len(labels))
        for each in ("train", part)
    )
    before, after = ones / ones.sum(), others / others.sum()
    # An upper bound of the normal's quantile that is near enough this far out.
    far = math.sqrt(2 * math.log(len(_PARTS) * len(labels) / _LEVEL))
    pooled = (ones + others) / (ones.sum() + others.sum())
    error = np.sqrt(pooled * (1 - pooled) * (1 / ones.sum() + 1 / others.sum()))
    away = np.abs(after - before)
    shifted = np.flatnonzero((away >= _DIFFERENCE) & (away >= far * error))
    if not len(shifted):
        return
    worst = int(shifted[np.argmax(away[shifted])])
    message = (
        f"{before[worst]:.1%} of the rows of train and {after[worst]:.1%} of those of {part} are of"
        f" class '{labels[worst]}'"
        + (f", and {len(shifted) - 1} more classes differ." if len(shifted) > 1 else ".")
    )
    hint = 'Split by = "class", unless the source or time divides the rows.'
    yield Finding("warning", "W360", message, hint)


def _present(cells: Numbers) -> Numbers:
    return cells[~np.isnan(cells)]


def largest_gap(ones: Numbers, others: Numbers) -> float:
    """The largest difference between two empirical distribution functions."""
    ones, others = np.sort(ones), np.sort(others)
    values = np.concatenate([ones, others])
    below = [np.searchsorted(each, values, side="right") / len(each) for each in (ones, others)]
    return float(np.max(np.abs(below[0] - below[1])))


def least_gap(num_ones: int, num_others: int, level: float) -> float:
    """The gap that two samples of one distribution have with the chance `level`.

    By the first term of Kolmogorov's series, with Stephens' correction for small samples (1970).
    """
    root = math.sqrt(num_ones * num_others / (num_ones + num_others))
    return math.sqrt(-math.log(level / 2) / 2) / (root + 0.12 + 0.11 / root)
