"""A column that alone tells the target almost perfectly. Knows no model and changes no data."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nnsearch.data.examples import Examples
from nnsearch.data.findings import Finding
from nnsearch.data.split import RowsOf

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_FEWEST_ROWS = 60
_MOST_ROWS = 4000
_MOST_TARGETS = 20
_NEIGHBOURS = 5
# The errors that a column may leave, as a share of those that one makes who knows no column: of
# classes the upper end of what they may be (Wilson's interval), of numbers the squared errors.
_MOST_ERRORS = 0.1
_MOST_SQUARED = 0.02
_NORMAL = 1.96


def telling_columns(examples: Examples, rows: RowsOf) -> Iterator[Finding]:
    """A warning for each column of which neighbours in it have the target, seen and judged apart.

    Each half of train (at most 4,000 rows of it, drawn with a fixed seed) is predicted from the
    other half: a cell by the five nearest, so that any dependence is found and not lines alone.
    """
    if examples.signature.kind != "table" or len(rows["train"]) < _FEWEST_ROWS:
        return
    if examples.targets.dtype.kind not in "iuf":
        return
    generator = np.random.default_rng(0)
    train = generator.permutation(rows["train"])[:_MOST_ROWS]
    cells = examples.inputs[train].astype(np.float64)
    signature = examples.signature
    targets = examples.targets[train].reshape(len(train), -1).T
    for place, column in enumerate(signature.columns):
        is_text = column.kind == "categorical"
        for at, each in enumerate(targets[:_MOST_TARGETS]):
            if signature.labels or signature.names:
                said = _of_classes(cells[:, place], each.astype(np.int64), is_text=is_text)
            else:
                said = _of_numbers(cells[:, place], each.astype(np.float64), is_text=is_text)
            if said:
                name = signature.names[at] if signature.names else "the target"
                yield _told(column.name, name, said)
                break


def _told(column: str, target: str, said: str) -> Finding:
    message = f"column '{column}' alone tells {target} almost perfectly: {said}."
    hint = f'Is it known before the target is? If not, use drop = ["{column}"].'
    return Finding("warning", "W352", message, hint, column)


def _of_classes(cells: Numbers, classes: Indices, *, is_text: bool) -> str:
    codes = np.unique(classes, return_inverse=True)[1]
    num_classes = int(codes.max()) + 1
    plain = len(codes) - int(np.bincount(codes).max())
    if not plain:
        return ""
    hot = np.eye(num_classes)[codes] if num_classes <= _MOST_TARGETS else None
    if hot is None:  # so many classes are an order or nothing: their numbers have neighbours too
        return _of_numbers(cells, codes.astype(np.float64), is_text=is_text)
    found = _crossed(cells, hot, is_text=is_text)
    wrong = int((found.argmax(axis=1) != codes).sum())
    if _upper(wrong, len(codes)) * len(codes) > _MOST_ERRORS * plain:
        return ""
    right, base = 1 - wrong / len(codes), 1 - plain / len(codes)
    return f"{right:.1%} of rows right, where the most frequent class has {base:.1%}"


def _of_numbers(cells: Numbers, numbers: Numbers, *, is_text: bool) -> str:
    """By ranks, so that one large number does not decide."""
    ranks = _ranks(numbers)[:, None]
    spread = float(np.square(ranks - ranks.mean()).sum())
    left = float(np.square(ranks - _crossed(cells, ranks, is_text=is_text)).sum())
    if not spread or left > _MOST_SQUARED * spread:
        return ""
    return f"its cells explain {1 - left / spread:.1%} of the variance of the target's ranks"


def _crossed(cells: Numbers, values: Numbers, *, is_text: bool) -> Numbers:
    """The values [N, K] of each row as its cell tells them to who knows the other half."""
    told = np.empty_like(values)
    halves = np.arange(len(cells)) % 2 == 0
    for known in (halves, ~halves):
        told[~known] = _predicted(cells[known], values[known], cells[~known], is_text=is_text)
    return told


def _predicted(known: Numbers, values: Numbers, asked: Numbers, *, is_text: bool) -> Numbers:
    """The mean value of an equal cell where most cells have one, else of the nearest five."""
    # A missing cell is a value of its own, further on than any other.
    known, asked = np.nan_to_num(known, nan=np.inf), np.nan_to_num(asked, nan=np.inf)
    distinct, index, counts = np.unique(known, return_inverse=True, return_counts=True)
    if is_text or len(distinct) * _NEIGHBOURS <= len(known):
        sums = np.zeros((len(distinct), values.shape[1]))
        np.add.at(sums, index, values)
        place = np.minimum(np.searchsorted(distinct, asked), len(distinct) - 1)
        found = sums[place] / counts[place, None]
        return np.where((distinct[place] == asked)[:, None], found, values.mean(axis=0))
    order = np.argsort(known, kind="stable")
    first = np.searchsorted(known[order], asked) - _NEIGHBOURS // 2
    first = np.clip(first, 0, len(known) - _NEIGHBOURS)
    ordered = values[order]
    near = [ordered[first + step] for step in range(_NEIGHBOURS)]
    mean: Numbers = np.mean(near, axis=0)
    return mean


def _ranks(numbers: Numbers) -> Numbers:
    """The place of each number among all, equal ones in the middle of theirs."""
    _, index, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    ranks: Numbers = middle[index]
    return ranks


def _upper(count: int, of: int) -> float:
    """The upper end of the 95 % interval of a share (Wilson, 1927)."""
    share, room = count / of, _NORMAL**2 / of
    middle = share + room / 2
    return (middle + _NORMAL * math.sqrt(share * (1 - share) / of + room / (4 * of))) / (1 + room)
