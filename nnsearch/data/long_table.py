"""Series from tables with a row for each of their steps. Knows no split and no model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from nnsearch.components import nearest
from nnsearch.data.columns import MISSING, Reading, Typed, raw_target, typed_column
from nnsearch.data.csv_file import Dialect, read_cells
from nnsearch.data.examples import Examples
from nnsearch.data.paths import find_files
from nnsearch.data.tables import Character, Names, read_parquet
from nnsearch.data.ts_file import examples_of
from nnsearch.errors import DataError, Problem

Rows = npt.NDArray[np.int64]


def long_table(
    root: Path,
    *,
    path: str,
    series: str,
    target: str,
    time: str = "",
    channels: Names = (),
    data_root: str = "",
    missing: Names = MISSING,
    delimiter: Character = ",",
    decimal: Character = ".",
) -> Examples:
    """Series of a CSV or Parquet file in long form: a row for each step, in any order.

    Rows with the same `series` are one of them, in the order of the column `time`, or of the file
    where there is none. `channels` are the columns of numbers that are measured, all that are left
    if none is named. `target` is the column to predict, the same in all rows of a series. Raises
    DataError with everything wrong in the file.
    """
    file = find_files(root, data_root, path=path)["path"]
    frame, reading = _frame(file, path, Dialect(delimiter, decimal, missing, [series]))
    known = list(frame.columns)
    taken = [series, target, *([time] if time else [])]
    chosen = list(channels) or [name for name in known if name not in taken]
    problems = [
        Problem("E317", f"there is no column '{name}'.", path, nearest(name, known))
        for name in [*taken, *chosen]
        if name not in known
    ]
    if not chosen:
        problems.append(Problem("E317", "no column is left for a channel.", path))
    if problems:
        raise DataError(problems)
    typed = [typed_column(name, frame[name], reading) for name in chosen]
    problems = list(_problems(typed, path))
    order, problem = _order(frame, time, reading.where)
    codes, names = pd.factorize(frame[series])
    targets, wrong = raw_target(target, frame[target], reading)
    problems += [*problem, *wrong]
    if (codes < 0).any():
        where = reading.where(int(np.flatnonzero(codes < 0)[0]))
        problems.append(Problem("E321", f"'{series}' is missing here.", where, "Fill it in."))
    if problems:
        raise DataError(problems)
    rows = order[np.argsort(codes[order], kind="stable")]
    starts = np.searchsorted(codes[rows], np.arange(len(names)))
    firsts = rows[starts]
    varied = np.flatnonzero(targets[rows] != targets[firsts][codes[rows]])
    if len(varied):
        row = int(rows[varied[0]])
        message = f"'{target}' is another here than before in the series '{frame[series][row]}'."
        hint = "One series has one target."
        raise DataError([Problem("E325", message, reading.where(row), hint)])
    values = np.column_stack([each.numbers for each in typed]).astype(np.float32)
    parts = [values[each].T for each in np.split(rows, starts[1:])]
    return examples_of(parts, targets[firsts], target)


def _frame(file: Path, shown: str, dialect: Dialect) -> tuple[pd.DataFrame, Reading]:
    if file.suffix == ".parquet":
        return read_parquet(file, shown), Reading(lambda row: f"{shown}: row {row + 1}", ("",))
    cells = read_cells(file, shown, dialect)
    return cells.frame, Reading(
        lambda row: f"{shown}:{cells.lines[row]}", dialect.missing, dialect.decimal
    )


def _problems(typed: list[Typed], shown: str) -> Iterator[Problem]:
    for each in typed:
        yield from each.problems
        if each.column.kind != "numeric":
            message = f"column '{each.column.name}' holds text, no numbers."
            yield Problem("E318", message, shown, "Name the others as channels.")


def _order(
    frame: pd.DataFrame, time: str, where: Callable[[int], str]
) -> tuple[Rows, list[Problem]]:
    """The rows by their time, those of one moment as in the file."""
    if not time:
        return np.arange(len(frame)), []
    cells = frame[time]
    if not pd.api.types.is_numeric_dtype(cells.dtype):
        numbers = pd.to_numeric(cells, errors="coerce")
        moments = pd.to_datetime(cells, utc=True, errors="coerce", format="ISO8601")
        cells = numbers if numbers.notna().any() else moments
    missing = np.flatnonzero(cells.isna().to_numpy())
    if len(missing):
        message = f"column '{time}' holds no time in {len(missing)} rows, the first here."
        hint = "Write times as 2024-01-31 or 2024-01-31T12:00."
        return missing, [Problem("E318", message, where(int(missing[0])), hint)]
    return np.argsort(cells.to_numpy(), kind="stable"), []
