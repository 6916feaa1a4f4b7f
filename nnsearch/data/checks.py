"""What would make a result a lie: leaks, copies and empty classes. Changes no data."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from nnsearch.data.examples import Array, Examples, row_keys
from nnsearch.data.split import RowsOf
from nnsearch.errors import Problem

# What allow_leaky lets pass: the copies, columns and times that tell the answer beforehand.
LEAKS = frozenset({"E351", "E352", "E353", "E354"})

# Above this share of valid and test rows, copies of train rows are a leak and not an accident.
_MOST_COPIES = 0.1
_FEWEST_ROWS = 10
_SMALL_CLASS = 5
_LISTED = 5
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the data that a person should know; an "error" stops the study.

    `column` names the one column that it is about, if it is about one.
    """

    level: Literal["error", "warning"]
    code: str
    message: str
    hint: str = ""
    column: str = ""

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.level}[{self.code}]: {self.message}{hint}"

    def as_problem(self) -> Problem:
        """The same as a Problem, to be raised."""
        return Problem(self.code, self.message, hint=self.hint)


def allowed(finding: Finding) -> Finding:
    """A leak as a study with allow_leaky has it: it stops nothing, and stays one."""
    hint = "allow_leaky lets it pass: the results will look better than they are."
    return replace(finding, level="warning", hint=hint)


def audit(examples: Examples, rows: RowsOf) -> list[Finding]:
    """What there is to say of encoded examples and their split, errors first.

    Errors are leaks (many copies of train rows in the other parts, a column that equals the
    target, an ID column, a test that is older than train) and classes that train lacks.
    """
    found = [*_copies(examples, rows), *_times(examples, rows), *_classes(examples, rows)]
    if examples.signature.kind == "table":
        found += [*_leaking_columns(examples), *_silent_columns(examples, rows)]
    return sorted(found, key=lambda each: each.level != "error")


def _copies(examples: Examples, rows: RowsOf) -> Iterator[Finding]:
    keys = row_keys(examples.inputs, examples.targets)
    train = {keys[row] for row in rows["train"]}
    counts = {
        part: sum(keys[row] in train for row in rows[part].tolist()) for part in ("valid", "test")
    }
    num_copies = sum(counts.values())
    if not num_copies:
        return
    num_rows = len(rows["valid"]) + len(rows["test"])
    message = (
        f"{counts['valid']} rows of valid and {counts['test']} of test are equal to rows of train."
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
        message = f"{len(absent)} classes are absent from {part}: {_listed(absent)}."
        if part == "train":
            yield Finding("error", "E355", message, 'Split by = "class", or add rows.')
        else:
            yield Finding("warning", "W355", message, "Their metrics cannot be measured.")
    present = counts["train"] > 0
    small = [labels[index] for index in np.flatnonzero(present & (counts["train"] < _SMALL_CLASS))]
    if small:
        message = f"{len(small)} classes have under {_SMALL_CLASS} rows in train: {_listed(small)}."
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
        elif not is_only and _is_id(column.name, column.kind, cells):
            message = f"column '{column.name}' is an ID."
            yield Finding("error", "E353", message, hint, column.name)


def _tells_target(cells: npt.NDArray[np.float64], targets: Array, num_labels: int) -> bool:
    """Whether a column is the target under other names, or in another unit."""
    if np.isnan(cells).any() or targets.dtype.kind not in "if":
        return False
    if num_labels:
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
    if np.isnan(cells).any() or len(np.unique(cells)) < len(cells):
        return False
    is_named = name.lower() in {"id", "index", "uuid", "key"} or name.lower().endswith("_id")
    is_whole = bool(np.all(cells == np.floor(cells)))
    is_consecutive = is_whole and float(np.ptp(cells)) == len(cells) - 1
    return kind == "categorical" or is_consecutive or (is_whole and is_named)


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
            message = f"{len(names)} columns of which each {what} in train: {_listed(names)}."
            yield Finding("warning", "W357", message, "They are not used.")


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > _LISTED else ""
    return ", ".join(f"'{name}'" for name in names[:_LISTED]) + more
