"""Rows of valid and test that are almost rows of train. Knows no target and changes no data.

Legend: N rows, F features.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nnsearch.data.examples import Array, Examples
from nnsearch.data.findings import Finding
from nnsearch.data.split import RowsOf

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

# How far nearer than its fifth neighbour a row's first may be by chance is told by the dimension
# of the data (Facco and others, 2017). What has a smaller chance than this, in all, is none.
_CHANCE = 1e-3
_NEIGHBOURS = 5
_HALF = 1 - 0.5 ** (1 / (_NEIGHBOURS - 1))
# Nor is a copy further away than this share of what lies between rows of train.
_NEAR = 0.1
_FEWEST = 2
_FEWEST_TRAIN = 50
_FEWEST_COLUMNS = 3
_MOST_DISTANCES = 3 * 10**7
_MOST_PRODUCTS = 2 * 10**9
_MOST_ROWS = 2000
_MEASURED = 64
_AT_ONCE = 128
# An image is looked at on a grid of at most so many pixels a side.
_SIDE = 12


def near_copies(examples: Examples, rows: RowsOf) -> Iterator[Finding]:
    """A warning where rows of valid or test lie far nearer to train than its rows to one another.

    Of many rows some, drawn with a fixed seed, are looked at, which the warning says. Exact copies
    are left to others. Tables of numbers and images have distances, other kinds have none.
    """
    train, others = rows["train"], np.concatenate([rows["valid"], rows["test"]])
    raw = _features(examples, train)
    if raw is None or len(train) < _FEWEST_TRAIN or not len(others):
        return
    generator = np.random.default_rng(0)
    points = _scaled(raw, train, is_image=examples.signature.kind == "image")
    looked = _some(others, _num_looked(len(train), points.shape[1]), generator)
    usual, dimension = _measured(points[train], generator)
    if not usual or not dimension:
        return
    chance = _CHANCE / (len(looked) * (_NEIGHBOURS - 1))
    ratio = min(_NEAR, math.exp(math.log(chance) / dimension))
    found = [
        (row, of)
        for row, of, distances in _nearest(points, train, looked, below=_NEAR * usual)
        if distances[0] <= ratio * distances[-1] and not _is_equal(raw[row], raw[of])
    ]
    if len(found) >= _FEWEST:
        yield _told(found, len(looked), len(others))


def _told(found: list[tuple[int, int]], num_looked: int, num_rows: int) -> Finding:
    row, of = found[0]
    among = f"{num_rows:,}" if num_looked == num_rows else f"a sample of {num_looked:,}"
    message = (
        f"{len(found)} of {among} rows of valid and test are almost rows of train, such as row"
        f" {row + 1} of the source, which is nearly its row {of + 1}."
    )
    hint = 'Remove them, or keep what is of one origin together: split by = "group".'
    return Finding("warning", "W358", message, hint)


def _features(examples: Examples, train: Places) -> Array | None:
    """What distances are measured in [N, F]: columns of numbers, or pixels on a coarse grid."""
    if examples.signature.kind == "image":
        _, height, width = examples.signature.shape
        down, across = -(-height // _SIDE), -(-width // _SIDE)
        return examples.inputs[:, :, ::down, ::across].reshape(examples.num_rows, -1)
    if examples.signature.kind != "table":
        return None
    sample = train[:: max(1, len(train) // _MOST_ROWS)]
    places = [
        place
        for place, column in enumerate(examples.signature.columns)
        if column.kind == "numeric" and _has_many_values(examples.inputs[sample, place])
    ]
    # In one or two columns rows of other origins meet all the time.
    return examples.inputs[:, places] if len(places) >= _FEWEST_COLUMNS else None


def _has_many_values(cells: Array) -> bool:
    """Whether equal cells are the exception, so that it says something to be near."""
    values = cells.astype(np.float64)
    return len(np.unique(values[~np.isnan(values)])) > len(values) // 10


def _scaled(raw: Array, train: Places, *, is_image: bool) -> Floats:
    """In units of train's deviations; a missing number is train's mean."""
    sample = raw[train[:: max(1, len(train) // (10 * _MOST_ROWS))]].astype(np.float64)
    is_there = ~np.isnan(sample)
    count = np.maximum(is_there.sum(axis=0), 1)
    mean = np.where(is_there, sample, 0).sum(axis=0) / count
    width = np.sqrt(np.square(np.where(is_there, sample - mean, 0)).sum(axis=0) / count)
    width[width == 0] = np.inf
    if is_image:  # pixels at the rim hardly vary: in their own deviations they would be all
        width = np.full_like(width, np.sqrt(np.mean(np.square(width[np.isfinite(width)]))))
    points: Floats = ((raw - mean) / width).astype(np.float32)
    points[np.isnan(points)] = 0
    return points


def _num_looked(num_train: int, num_features: int) -> int:
    most = min(_MOST_DISTANCES // num_train, _MOST_PRODUCTS // (num_train * num_features))
    return max(_AT_ONCE, min(_MOST_ROWS, most))


def _some(rows: Places, most: int, generator: np.random.Generator) -> Places:
    return rows if len(rows) <= most else np.sort(generator.choice(rows, most, replace=False))


def _measured(train: Floats, generator: np.random.Generator) -> tuple[float, float]:
    """How far a row of train is from the next, and the dimension in which train lies.

    Both by medians, which rows that stand in train twice do not move.
    """
    some = _some(np.arange(len(train)), _MEASURED, generator)
    everything = np.arange(len(train))
    found = [
        each[1:]  # without itself
        for _, _, each in _nearest(train, everything, some, below=np.inf, num=_NEIGHBOURS + 1)
    ]
    first, last = np.array(found)[:, 0], np.array(found)[:, -1]
    usual = float(np.median(first))
    ratio = float(np.median(first[last > 0] / last[last > 0])) if (last > 0).any() else 0.0
    if not 0 < ratio < 1:
        return usual, 0.0
    return usual, math.log(_HALF) / math.log(ratio)


def _nearest(
    points: Floats, train: Places, looked: Places, *, below: float, num: int = _NEIGHBOURS
) -> Iterator[tuple[int, int, npt.NDArray[np.float64]]]:
    """Each row with a row of train nearer than `below`, that one, and the `num` least distances."""
    space = points[train]
    lengths = np.square(space).sum(axis=1)
    for start in range(0, len(looked), _AT_ONCE):
        some = looked[start : start + _AT_ONCE]
        own = points[some]
        squares = own @ space.T  # in place from here: these are millions
        squares *= -2
        squares += lengths
        # Less what rounding may add to 0 where two long rows are equal.
        least = squares.min(axis=1) + (1 - 1e-5) * np.square(own).sum(axis=1)
        for place in np.flatnonzero(least <= below**2).tolist():
            near = np.argpartition(squares[place], num - 1)[:num]
            away = space[near].astype(np.float64) - own[place]
            distances = np.sqrt(np.square(away).sum(axis=1))
            order = np.argsort(distances, kind="stable")
            yield int(some[place]), int(train[near[order[0]]]), distances[order]


def _is_equal(one: Array, other: Array) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
