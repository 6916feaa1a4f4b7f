"""Sources of tables: CSV and Parquet files. Knows no split, no task and no transform."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Len

from nnsearch.components import nearest
from nnsearch.data.columns import (
    MISSING,
    Kind,
    Numbers,
    Reading,
    Typed,
    is_constant,
    raw_labels,
    raw_target,
    typed_column,
)
from nnsearch.data.csv_file import Dialect, read_cells
from nnsearch.data.examples import Array, Examples, without_copies
from nnsearch.data.paths import find_files
from nnsearch.errors import DataError, Problem
from nnsearch.signature import Signature

Character = Annotated[str, Len(1, 1)]
Names = tuple[str, ...]


def csv(
    root: Path,
    *,
    path: str,
    target: str = "",
    labels: Names = (),
    data_root: str = "",
    drop: Names = (),
    numeric: Names = (),
    categorical: Names = (),
    missing: Names = MISSING,
    delimiter: Character = ",",
    decimal: Character = ".",
    dedupe: bool = False,
) -> Examples:
    """The rows of a CSV file in UTF-8 with a header; `target` is the column to predict.

    `labels`, in place of it, are columns of 0 and 1 that are to be predicted together.
    A column is numeric where all its cells are numbers or `missing`, else categorical; `numeric`
    and `categorical` decide it. Columns that say nothing are dropped, which the notes tell.
    Raises DataError with every problem of the file, each with its line.
    """
    file = find_files(root, data_root, path=path)["path"]
    choice = Choice(path, target, labels, drop, numeric, categorical)
    cells = read_cells(file, path, Dialect(delimiter, decimal, missing, categorical))
    reading = Reading(
        lambda row: f"{path}:{cells.lines[row]}", missing, decimal, choice.forced_kinds()
    )
    examples = examples_of(cells.frame, choice, reading, cells.notes)
    return without_copies(examples) if dedupe else examples


def parquet(
    root: Path,
    *,
    path: str,
    target: str = "",
    labels: Names = (),
    data_root: str = "",
    drop: Names = (),
    numeric: Names = (),
    categorical: Names = (),
    dedupe: bool = False,
) -> Examples:
    """The rows of a Parquet file; as `csv`, but the file knows the types of its columns.

    A row is named by its place, counted from 1. Raises DataError where the file is cut short, or
    a column is nested.
    """
    file = find_files(root, data_root, path=path)["path"]
    frame = read_parquet(file, path)
    choice = Choice(path, target, labels, drop, numeric, categorical)
    reading = Reading(lambda row: f"{path}: row {row + 1}", ("",), ".", choice.forced_kinds())
    examples = examples_of(frame, choice, reading, ())
    return without_copies(examples) if dedupe else examples


@dataclass(frozen=True, slots=True)
class Choice:
    """What the study file says about a table's columns; `shown` is the table's name."""

    shown: str
    target: str
    labels: Names
    drop: Names
    numeric: Names
    categorical: Names

    def forced_kinds(self) -> dict[str, Kind]:
        """The columns whose kind was said."""
        return {
            **dict.fromkeys(self.numeric, "numeric"),
            **dict.fromkeys(self.categorical, "categorical"),
        }

    def problems(self, known: list[str]) -> list[Problem]:
        """Names that are no column, and names that contradict each other."""
        options = {
            "target": (self.target,) if self.target else (),
            "labels": self.labels,
            "drop": self.drop,
            "numeric": self.numeric,
            "categorical": self.categorical,
        }
        unknown = [
            Problem(
                "E317", f"{option}: there is no column '{name}'.", self.shown, nearest(name, known)
            )
            for option, names in options.items()
            for name in names
            if name not in known
        ]
        twice = sorted({*self.numeric} & {*self.categorical})
        both = [f"'{name}' is both numeric and categorical." for name in twice]
        both += [
            f"the target '{name}' is dropped as well."
            for name in (self.target, *self.labels)
            if name in self.drop
        ]
        if bool(self.target) == bool(self.labels):
            both.append("either target or labels says what is to be predicted.")
        hint = "Take it out of one option."
        return [*unknown, *(Problem("E317", each, self.shown, hint) for each in both)]


def read_parquet(file: Path, shown: str) -> pd.DataFrame:
    """The table of a Parquet file; raises DataError where there is none."""
    try:
        frame = pd.read_parquet(file, engine="pyarrow")
    except (ValueError, OSError, NotImplementedError) as error:  # Arrow's errors are these
        reason = str(error).splitlines()[0].rpartition(f"'{file}': ")[2].partition(". ")[0]
        message = f"cannot be read as Parquet ({reason[:120]})."
        hint = "It may be cut short: write it again."
        raise DataError([Problem("E341", message, shown, hint)]) from error
    frame.columns = frame.columns.map(str)
    doubled = sorted({name for name in frame.columns if list(frame.columns).count(name) > 1})
    problems = [Problem("E316", f"column '{name}' stands there twice.", shown) for name in doubled]
    if not len(frame):
        problems.append(Problem("E304", "the table has no row.", shown))
    if problems:
        raise DataError(problems)
    return frame


def read_frame(
    file: Path, shown: str, dialect: Dialect
) -> tuple[pd.DataFrame, Callable[[int], str]]:
    """The table of a CSV or Parquet file, and what names a row of it."""
    if file.suffix == ".parquet":
        return read_parquet(file, shown), lambda row: f"{shown}: row {row + 1}"
    cells = read_cells(file, shown, dialect)
    return cells.frame, lambda row: f"{shown}:{cells.lines[row]}"


def examples_of(frame: pd.DataFrame, choice: Choice, reading: Reading, notes: Names) -> Examples:
    """The columns of a table as examples, by what the study file says of them.

    Raises DataError with every problem of the columns; those that say nothing are dropped.
    """
    names = list(frame.columns)
    problems = choice.problems(names)
    targets: Array = np.empty(0)
    if choice.target in names:
        targets, wrong = raw_target(choice.target, frame[choice.target], reading)
        problems += wrong
    elif choice.labels and not problems:
        targets, wrong = raw_labels(frame, choice.labels, reading)
        problems += wrong
    left_out = {choice.target, *choice.labels, *choice.drop}
    typed = [typed_column(each, frame[each], reading) for each in names if each not in left_out]
    problems += [problem for each in typed for problem in each.problems]
    kept = [each for each in typed if not is_constant(each.numbers)]
    if not kept and not problems:
        hint = "Every column is dropped, constant or without a value."
        problems.append(Problem("E317", "no column is left to learn from.", choice.shown, hint))
    if problems:
        raise DataError([_placed(each, choice.shown) for each in problems])
    columns = tuple(each.column for each in kept)
    signature = Signature(
        "table", (len(columns),), "float64", choice.target or "labels", columns, names=choice.labels
    )
    said = tuple(note for each in kept for note in each.notes)
    inputs = np.column_stack([each.numbers for each in kept])
    return Examples(inputs, targets, signature, notes=(*notes, *said, *_dropped(typed)))


def _dropped(typed: list[Typed]) -> Names:
    reasons: list[tuple[str, Callable[[Numbers], bool]]] = [
        ("has no value", lambda values: bool(np.isnan(values).all())),
        ("is constant", lambda values: not np.isnan(values).any() and is_constant(values)),
    ]
    return tuple(
        f"column '{each.column.name}' {reason}: dropped"
        for each in typed
        for reason, holds in reasons
        if holds(each.numbers)
    )


def _placed(problem: Problem, shown: str) -> Problem:
    if problem.where:
        return problem
    return Problem(problem.code, problem.message, shown, problem.hint)
