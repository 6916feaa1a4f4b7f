"""A source of ratings: who gave what how many stars. Knows no split and no model.

Legend: B rows, each a user and an item.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from annotated_types import Len
from torch import Tensor, nn

from nnsearch.components import nearest
from nnsearch.data.columns import MISSING, Reading, Typed, moments, raw_target, typed_column
from nnsearch.data.csv_file import Dialect, read_cells
from nnsearch.data.examples import Array, Examples
from nnsearch.data.paths import find_files
from nnsearch.data.tables import read_parquet
from nnsearch.errors import DataError, Problem
from nnsearch.signature import Signature

Codes = npt.NDArray[np.int64]


def ratings(
    root: Path,
    *,
    path: str,
    user: str = "user",
    item: str = "item",
    rating: str = "rating",
    time: str = "",
    at_least: float | None = None,
    data_root: str = "",
    missing: tuple[str, ...] = MISSING,
    delimiter: Annotated[str, Len(1, 1)] = ",",
    decimal: Annotated[str, Len(1, 1)] = ".",
) -> Examples:
    """Rows of a CSV or Parquet file (by its ending .parquet), each a rating of an item by a user.

    The inputs are the user and the item, the target is the rating; with `rating = ""` the file has
    none, and that there is a row is all that is known. Rows rated below `at_least` are left out.
    `time`, a column of numbers or moments, allows to split by time. Where a user rated an item
    more than once the last row counts. Rows of one user are a group. Raises DataError with
    everything wrong in the file.
    """
    file = find_files(root, data_root, path=path)["path"]
    names = [each for each in (user, item, rating, time) if each]
    if file.suffix == ".parquet":
        frame = read_parquet(file, path)
        reading = Reading(lambda row: f"{path}: row {row + 1}", ("",), ".")
        notes: tuple[str, ...] = ()
    else:
        cells = read_cells(file, path, Dialect(delimiter, decimal, missing, (user, item)))
        reading = Reading(lambda row: f"{path}:{cells.lines[row]}", missing, decimal)
        frame, notes = cells.frame, cells.notes
    known = list(map(str, frame.columns))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DataError(
            [
                Problem("E317", f"there is no column '{each}'.", path, nearest(each, known))
                for each in unknown
            ]
        )
    read = _read(frame, reading, (user, item, rating, time))
    return _examples(_latest(_rated(read, at_least)), notes, rating or "interaction")


def ids(train: Examples) -> nn.Module:
    """Users and items float64 [B, 2] as numbers int64 [B, 2] for embeddings.

    Those of the training split count from 1; one that is not among them, or missing, is 0. Raises
    DataError where the examples are no ratings.
    """
    if train.signature.kind != "ratings":
        message = "the transform ids wants users and items."
        raise DataError([Problem("E371", message, hint="Use the source ratings.")])
    codes = train.inputs.astype(np.int64)
    num_known = [len(column.categories) for column in train.signature.columns]
    return IdsTransform([_numbered(codes[:, place], num) for place, num in enumerate(num_known)])


class IdsTransform(nn.Module):
    """A table of numbers for each column; `sizes` says how many there are, 0 counted."""

    def __init__(self, tables: list[Codes]) -> None:
        super().__init__()
        self.sizes = tuple(int(each.max()) + 1 for each in tables)
        self.unknown = tuple(len(each) - 1 for each in tables)
        for place, table in enumerate(tables):
            self.register_buffer(f"table_{place}", torch.from_numpy(table))

    def forward(self, x_B2: Tensor) -> Tensor:
        """Int64 [B, 2]."""
        columns = []
        for place, unknown in enumerate(self.unknown):
            table: Tensor = getattr(self, f"table_{place}")
            codes = torch.where(torch.isnan(x_B2[:, place]), unknown, x_B2[:, place]).long()
            columns.append(table[codes.clamp(0, unknown)])
        return torch.stack(columns, dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """The columns of the file, row by row."""

    user: Typed
    item: Typed
    ratings: Array
    times: npt.NDArray[np.float64] | None
    rows: Codes


def _read(frame: pd.DataFrame, reading: Reading, names: tuple[str, str, str, str]) -> _Read:
    user, item, rating, time = names
    as_ids = replace(reading, kinds={user: "categorical", item: "categorical"})
    typed = [typed_column(name, frame[name], as_ids) for name in (user, item)]
    problems = [problem for each in typed for problem in each.problems]
    for each in typed:
        lacking = np.flatnonzero(np.isnan(each.numbers))
        if len(lacking):
            message = f"'{each.column.name}' is missing in {len(lacking)} rows, the first here."
            where = reading.where(int(lacking[0]))
            problems.append(Problem("E321", message, where, "Fill it in or remove the rows."))
    given: Array = np.ones(len(frame))
    if rating:
        given, wrong = raw_target(rating, frame[rating], reading)
        problems += wrong
        if not wrong and given.dtype.kind not in "if":
            message = f"the ratings in '{rating}' are text, such as '{given[0]}'."
            problems.append(Problem("E325", message, hint="Name a column of numbers."))
    times = None
    if time:
        times, wrong_times = moments(time, frame[time], reading)
        problems += wrong_times
    if problems:
        raise DataError(problems)
    return _Read(typed[0], typed[1], given, times, np.arange(len(frame)))


def _rated(read: _Read, at_least: float | None) -> _Read:
    """Only the rows that are rated so high."""
    if at_least is None:
        return read
    rows = np.flatnonzero(read.ratings.astype(np.float64) >= at_least)
    if not len(rows):
        message = f"no row is rated {at_least:g} or higher."
        raise DataError([Problem("E304", message, hint="Lower at_least.")])
    return replace(read, rows=rows)


def _latest(read: _Read) -> _Read:
    """Only the last row of each user and item, in the order of time where that is known."""
    rows = read.rows
    if read.times is not None:
        rows = rows[np.argsort(read.times[rows], kind="stable")]
    num_items = len(read.item.column.categories)
    pairs = (read.user.numbers * num_items + read.item.numbers)[rows].astype(np.int64)
    _, last = np.unique(pairs[::-1], return_index=True)
    return replace(read, rows=np.sort(rows[::-1][last]))


def _examples(read: _Read, notes: tuple[str, ...], target: str) -> Examples:
    columns = (read.user.column, read.item.column)
    rows = read.rows
    left_out = len(read.ratings) - len(rows)
    if left_out:
        notes = (*notes, f"{left_out} rows are rated too low, or again: left out")
    return Examples(
        np.column_stack([read.user.numbers, read.item.numbers])[rows],
        read.ratings[rows],
        Signature("ratings", (2,), "float64", target, columns),
        groups=read.user.numbers[rows].astype(np.int64),
        times=None if read.times is None else read.times[rows],
        notes=notes,
    )


def _numbered(codes: Codes, num_codes: int) -> Codes:
    """A number from 1 for each code that occurs, 0 for every other and behind the last."""
    table = np.zeros(num_codes + 1, dtype=np.int64)
    seen = np.unique(codes)
    table[seen] = np.arange(1, len(seen) + 1)
    return table
