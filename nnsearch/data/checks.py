"""What would make a result a lie: the whole audit of data and split. Changes no data."""

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nnsearch.data.dates import is_moment, mixed_times, torn_groups
from nnsearch.data.examples import Array, Examples, row_keys
from nnsearch.data.findings import Finding, listed
from nnsearch.data.near_copies import near_copies
from nnsearch.data.shift import shift
from nnsearch.data.split import RowsOf
from nnsearch.data.telling_columns import telling_columns

# Above this share of valid and test rows, copies of train rows are a leak and not an accident.
_MOST_COPIES = 0.1
_FEWEST_ROWS = 10
_SMALL_CLASS = 5
_SAME = 1e-9
_SAMPLED = 1000


def audit(examples: Examples, rows: RowsOf) -> list[Finding]:
    """What there is to say of encoded examples and their split, errors first.

    Errors are leaks (many copies of train rows in the other parts, a column that equals the
    target, an ID column, a test that is older than train, groups that are torn) and classes that
    train lacks. What only looks like one is a warning, and so are parts that are unlike train.
    """
    found = [*_copies(examples, rows), *_times(examples, rows), *_classes(examples, rows)]
    found += [*torn_groups(examples, rows), *near_copies(examples, rows)]
    if examples.signature.kind == "table":
        found += [*_leaking_columns(examples), *_silent_columns(examples, rows)]
        told = {each.column for each in found}
        telling = telling_columns(examples, rows)
        found += [each for each in telling if each.column not in told]
        found += mixed_times(examples, rows)
    found += shift(examples, rows)
    return sorted(found, key=lambda each: each.level != "error")


def _copies(examples: Examples, rows: RowsOf) -> Iterator[Finding]:
    keys = row_keys(examples.inputs, examples.targets)
    train = {keys[row]: row for row in rows["train"].tolist()}
    copies = {
        part: [row for row in rows[part].tolist() if keys[row] in train]
        for part in ("valid", "test")
    }
    num_copies = sum(map(len, copies.values()))
    if not num_copies:
        return
    num_rows = len(rows["valid"]) + len(rows["test"])
    first = min(itertools.chain(*copies.values()))
    message = (
        f"{len(copies['valid'])} rows of valid and {len(copies['test'])} of test are equal to rows"
        f" of train, such as row {first + 1} of the source to its row {train[keys[first]] + 1}."
    )
    hint = 'Set dedupe = true where the source has it, or split by = "group".'
    if num_copies > _MOST_COPIES * num_rows:
        yield Finding("error", "E351", message, f"{hint} Or set allow_leaky.")
    else:
        yield Finding("warning", "W351", message, hint)


def _times(examples: Examples, rows: RowsOf) -> Iterator[Finding]:
    if examples.times is None or not len(rows["train"]):
        return
    newest = np.max(examples.times[rows["train"]])
    for part in ("valid", "test"):
        num_older = int(np.sum(examples.times[rows[part]] < newest))
        if num_older:
            message = f"{num_older} rows of {part} are earlier than the newest row of train."
            hint = 'Split by = "time", or set allow_leaky.'
            yield Finding("error", "E354", message, hint)


def _classes(examples: Examples, rows: RowsOf) -> Iterator[Finding]:
    labels = examples.signature.labels
    if not labels:
        return
    counts = {
        part: np.bincount(examples.targets[rows[part]].astype(np.int64), minlength=len(labels))
        for part in rows
    }
    for part, count in counts.items():
        absent = [labels[index] for index in np.flatnonzero(count == 0)]
        if not absent or not len(rows[part]):
            continue
        message = f"{len(absent)} classes are absent from {part}: {listed(absent)}."
        if part == "train":
            yield Finding("error", "E355", message, 'Split by = "class", or add rows.')
        else:
            yield Finding("warning", "W355", message, "Their metrics cannot be measured.")
    present = counts["train"] > 0
    small = [labels[index] for index in np.flatnonzero(present & (counts["train"] < _SMALL_CLASS))]
    if small:
        message = f"{len(small)} classes have under {_SMALL_CLASS} rows in train: {listed(small)}."
        yield Finding("warning", "W356", message, "Add rows or merge classes.")


def _leaking_columns(examples: Examples) -> Iterator[Finding]:
    if examples.num_rows < _FEWEST_ROWS:
        return
    is_only = len(examples.signature.columns) == 1
    # Several targets of a row are looked at one by one.
    targets = [examples.targets]
    if examples.targets.ndim > 1:
        targets = list(examples.targets.reshape(examples.num_rows, -1).T)
    for place, column in enumerate(examples.signature.columns):
        cells = examples.inputs[:, place].astype(np.float64)
        hint = f'Use drop = ["{column.name}"], or set allow_leaky.'
        num_labels = len(examples.signature.labels)
        if any(_tells_target(cells, each, num_labels) for each in targets):
            message = f"column '{column.name}' is equal to the target."
            yield Finding("error", "E352", message, hint, column.name)
        elif is_only or is_moment(examples, place):
            continue
        elif _is_id(column.name, column.kind, cells):
            message = f"column '{column.name}' is an ID."
            yield Finding("error", "E353", message, hint, column.name)


def _tells_target(cells: npt.NDArray[np.float64], targets: Array, num_labels: int) -> bool:
    """Whether a column is the target under other names, or in another unit."""
    if np.isnan(cells).any() or targets.dtype.kind not in "if":
        return False
    if num_labels:
        if len(np.unique(cells[:_SAMPLED])) > num_labels:
            return False
        values, index = np.unique(cells, return_inverse=True)
        num_classes = len(np.unique(targets))
        if len(values) != num_classes:
            return False
        pairs = index * np.int64(num_labels) + targets.astype(np.int64)
        return len(np.unique(pairs)) == num_classes
    numbers = targets.astype(np.float64)
    x, y = cells - cells.mean(), numbers - numbers.mean()
    scale = float(x @ x) * float(y @ y)
    return scale > 0 and float(x @ y) ** 2 >= (1 - _SAME) * scale


def _is_id(name: str, kind: str, cells: npt.NDArray[np.float64]) -> bool:
    """Whether all cells differ and are texts, consecutive whole numbers, or called an ID."""
    is_whole = bool(np.all(cells == np.floor(cells)))  # a missing cell is none
    if not is_whole or len(np.unique(cells)) < len(cells):
        return False
    is_named = name.lower() in {"id", "index", "uuid", "key"} or name.lower().endswith("_id")
    is_consecutive = float(np.ptp(cells)) == len(cells) - 1
    return kind == "categorical" or is_consecutive or is_named


def _silent_columns(examples: Examples, rows: RowsOf) -> Iterator[Finding]:
    train = examples.inputs[rows["train"]].astype(np.float64)
    if not len(train):
        return
    missing = np.isnan(train).all(axis=0)
    constant = (train == train[0]).all(axis=0)
    for silent, what in ((missing, "has no value"), (constant, "is constant")):
        names = [examples.signature.columns[place].name for place in np.flatnonzero(silent)]
        if len(names) == 1:
            message = f"column '{names[0]}' {what} in train."
            yield Finding("warning", "W357", message, "It is not used.", names[0])
        elif names:
            message = f"{len(names)} columns of which each {what} in train: {listed(names)}."
            yield Finding("warning", "W357", message, "They are not used.")
