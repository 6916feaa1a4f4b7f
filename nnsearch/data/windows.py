"""Sources of forecasts: windows of a long series, and what came next. Knows no split and no model.

Shapes: T moments, C channels, N windows, W steps of a window, H steps of the horizon.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from nnsearch.components import Count, Positive, nearest
from nnsearch.data.columns import MISSING, Reading, moments, typed_column
from nnsearch.data.csv_file import Dialect, read_cells
from nnsearch.data.examples import Examples
from nnsearch.data.paths import find_files
from nnsearch.data.tables import Character, Names, read_parquet
from nnsearch.data.ts_file import installed
from nnsearch.errors import DataError, Problem
from nnsearch.signature import Signature

Numbers = npt.NDArray[np.float64]

MINUTE, HOUR = 60.0, 3600.0
# What a target [3, H] holds, in this order.
TRUTH, SEASONAL, LAST = range(3)


class Steps(NamedTuple):
    """Values [T, C] at a distance of `every` seconds from `start` on; NaN where there is none."""

    values: Numbers
    start: float
    every: float


class Span(NamedTuple):
    """How windows are cut, in steps: the last `window` steps are seen, `horizon` are to come.

    A new window begins every `stride` steps; `season` steps make a season.
    """

    window: int
    horizon: int
    season: int
    stride: int


def series_table(
    root: Path,
    *,
    path: str,
    time: str,
    target: str,
    others: Names = (),
    every: Positive = HOUR,
    window: Count = 48,
    horizon: Count = 24,
    season: Count = 24,
    stride: Count = 1,
    data_root: str = "",
    missing: Names = MISSING,
    delimiter: Character = ",",
    decimal: Character = ".",
) -> Examples:
    """Windows of a wide CSV or Parquet file: a row a moment, the column `time` says which.

    From `window` steps of `every` seconds, each the mean of its rows, the next `horizon` steps of
    the column `target` are to be forecast; `others` are columns that are seen as well. `season` is
    the number of steps after which a naive forecast repeats the past. A window begins every
    `stride` steps; those whose truth or naive forecast is missing are left out. Raises DataError
    with everything wrong in the file.
    """
    file = find_files(root, data_root, path=path)["path"]
    frame, reading = _frame(file, path, Dialect(delimiter, decimal, missing))
    names = [time, target, *others]
    known = list(frame.columns)
    problems = [
        Problem("E317", f"there is no column '{name}'.", path, nearest(name, known))
        for name in names
        if name not in known
    ]
    if problems:
        raise DataError(problems)
    columns = [typed_column(name, frame[name], reading) for name in names[1:]]
    problems = [problem for each in columns for problem in each.problems]
    problems += [
        Problem("E318", f"column '{each.column.name}' holds text, no numbers.", path)
        for each in columns
        if each.column.kind != "numeric"
    ]
    seconds, wrong = moments(time, frame[time], reading)
    problems += wrong
    if problems:
        raise DataError(problems)
    values = np.column_stack([each.numbers for each in columns])
    span = Span(window, horizon, season, stride)
    return windows(_regular(seconds, values, every), target, span)


def glucose(
    _root: Path,
    *,
    window: Count = 24,
    horizon: Count = 12,
    season: Count = 288,
    stride: Count = 1,
) -> Examples:
    """One person's blood sugar in mg/dL, every five minutes for 200 days of 2010.

    52,281 measurements of a continuous monitor, with gaps; a season is a day, and the other options
    are those of `series_table`. The file lies in the package bokeh-sampledata; raises UsageError
    where it is not installed.
    """
    folder = installed("bokeh_sampledata", "--no-deps bokeh-sampledata") / "_data"
    frame = pd.read_csv(folder / "CGM.csv.gz")
    seconds = pd.to_datetime(frame["datetime"]).to_numpy("datetime64[s]").astype(np.float64)
    values = frame["glucose"].to_numpy(np.float64)[:, None]
    span = Span(window, horizon, season, stride)
    return windows(_regular(seconds, values, 5 * MINUTE), "glucose", span)


def windows(steps: Steps, target: str, span: Span) -> Examples:
    """Windows float32 [N, C, W] of a series of T steps, and targets [N, 3, H].

    The targets are of the first channel: the truth, then what two naive forecasts say, the season
    before and the last value. `times` and `until` are the first and the last moment of the truth;
    windows that overlap share a group with their neighbours. Raises DataError where none is left.
    """
    grid, start, every = steps
    seen = span.window
    first = max(seen, span.season * math.ceil(span.horizon / span.season))
    origins = np.arange(first, len(grid) - span.horizon + 1, span.stride)
    ahead = np.arange(span.horizon)
    truth = grid[origins[:, None] + ahead, 0]
    back = span.season * (ahead // span.season + 1)
    seasonal = grid[origins[:, None] + ahead - back, 0]
    last = _filled(grid[:, 0])[origins - 1][:, None].repeat(span.horizon, 1)
    targets = np.stack([truth, seasonal, last], 1)
    is_whole = np.isfinite(targets).all((1, 2))
    kept = origins[is_whole]
    if not len(kept):
        hint = f"Make window, horizon or season shorter, or fill the gaps. Is a step {every:g} s?"
        message = f"{len(grid)} steps give no window without a gap in what follows it."
        raise DataError([Problem("E304", message, hint=hint)])
    inputs = grid[kept[:, None] + np.arange(-seen, 0)].transpose(0, 2, 1).astype(np.float32)
    signature = Signature("series", inputs.shape[1:], "float32", target)
    num_lost = len(origins) - len(kept)
    lost = (f"{num_lost} windows lack a value to forecast or to compare with: left out",)
    return Examples(
        inputs,
        targets[is_whole],
        signature,
        groups=(kept - first) // (seen + span.horizon),
        times=start + every * kept,
        until=start + every * (kept + span.horizon - 1),
        notes=lost if num_lost else (),
    )


def _regular(seconds: Numbers, values: Numbers, every: float) -> Steps:
    """The mean of each step of `every` seconds."""
    start = math.floor(float(seconds.min()) / every) * every
    places = np.floor((seconds - start) / every).astype(np.int64)
    num_steps, num_channels = int(places.max()) + 1, values.shape[1]
    total, count = np.zeros((num_steps, num_channels)), np.zeros((num_steps, num_channels))
    np.add.at(total, places, np.nan_to_num(values))
    np.add.at(count, places, ~np.isnan(values))
    means: Numbers = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return Steps(means, start, every)


def _filled(values: Numbers) -> Numbers:
    """The last value that there was, at each step."""
    places = np.where(np.isfinite(values), np.arange(len(values)), 0)
    filled: Numbers = values[np.maximum.accumulate(places)]
    return filled


def _frame(file: Path, shown: str, dialect: Dialect) -> tuple[pd.DataFrame, Reading]:
    if file.suffix == ".parquet":
        return read_parquet(file, shown), Reading(lambda row: f"{shown}: row {row + 1}", ("",))
    cells = read_cells(file, shown, dialect)
    return cells.frame, Reading(
        lambda row: f"{shown}:{cells.lines[row]}", dialect.missing, dialect.decimal
    )
