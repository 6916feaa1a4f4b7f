"""From the cells of a table to numbers: the type of each column. Knows no file and no split."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nnsearch.data.examples import Array
from nnsearch.errors import Problem
from nnsearch.signature import Column

Numbers = npt.NDArray[np.float64]
Kind = Literal["numeric", "categorical"]

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?")

# From this share of numbers on, text among them is a mistake rather than a category.
_MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class Reading:
    """How cells are read: what counts as missing, the decimal sign, and the columns' forced kinds.

    `where` names a row for messages, such as `houses.csv:12`.
    """

    where: Callable[[int], str]
    missing: Collection[str] = MISSING
    decimal: str = "."
    kinds: dict[str, Kind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Typed:
    """One column as numbers [N]: NaN where missing, else a number or a category's index."""

    column: Column
    numbers: Numbers
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def typed_column(name: str, cells: "pd.Series", reading: Reading) -> Typed:
    """The column's kind and values, with what is wrong in it.

    Text is numeric where every present cell is a number. Where most but not all are, that is a
    problem that names the first other cell, unless `reading.kinds` decides.
    """
    forced = reading.kinds.get(name)
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return _moments(name, cells)
    is_text = not pd.api.types.is_numeric_dtype(cells.dtype)
    if (
        cells.dtype == object
        and cells.map(lambda cell: isinstance(cell, list | dict | np.ndarray)).any()
    ):
        problem = Problem("E343", f"column '{name}' is nested.", hint=f'Use drop = ["{name}"].')
        return Typed(Column(name), np.full(len(cells), np.nan), (problem,))
    if not is_text and forced != "categorical":
        return _numeric(name, cells.to_numpy(np.float64, na_value=np.nan), reading)
    text = cells.astype("str").str.strip()
    if pd.api.types.is_float_dtype(cells.dtype):  # so whole numbers are where one is missing
        text = text.str.removesuffix(".0")
    present = (cells.notna() & ~text.isin(list(reading.missing))).to_numpy(bool)
    if forced == "categorical":
        return _categorical(name, text, present)
    return _from_text(name, text, present, reading)


def moments(name: str, cells: "pd.Series", reading: Reading) -> tuple[Numbers, tuple[Problem, ...]]:
    """Moments [N] as seconds since 1970, numbers as they are; a problem where a cell is neither."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        seconds = cells.to_numpy(np.float64, na_value=np.nan)
    else:
        read = pd.to_datetime(cells, utc=True, errors="coerce", format="ISO8601")
        micros = read.dt.tz_convert(None).to_numpy("datetime64[us]")
        seconds = np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 1e6)
    wrong = np.flatnonzero(~np.isfinite(seconds))
    if not len(wrong):
        return seconds, ()
    message = f"column '{name}' holds no time in {len(wrong)} rows, the first here."
    hint = "Write times as 2024-01-31 or 2024-01-31T12:00."
    return seconds, (Problem("E318", message, reading.where(int(wrong[0])), hint),)


def raw_target(name: str, cells: "pd.Series", reading: Reading) -> tuple[Array, list[Problem]]:
    """The target as the file has it: int64, float64, or text; no cell may be missing."""
    typed = typed_column(name, cells, reading)
    problems = list(typed.problems)
    missing = np.flatnonzero(np.isnan(typed.numbers))
    if len(missing) and not problems:
        message = f"the target '{name}' is missing in {len(missing)} rows, the first here."
        hint = "Fill it in or remove the rows."
        problems.append(Problem("E321", message, reading.where(int(missing[0])), hint))
    if problems:
        return typed.numbers, problems
    if typed.column.kind == "categorical":
        categories = np.array(typed.column.categories, dtype=object)
        return categories[typed.numbers.astype(np.int64)], []
    whole = np.all(typed.numbers == np.floor(typed.numbers)) and np.all(abs(typed.numbers) < 2**53)
    return (typed.numbers.astype(np.int64) if whole else typed.numbers), []


def raw_labels(
    frame: pd.DataFrame, names: Sequence[str], reading: Reading
) -> tuple[Array, list[Problem]]:
    """Columns of 0 and 1 as targets int64 [N, L]; no cell may be missing or another number."""
    columns, problems = [], []
    for name in names:
        values, wrong = raw_target(name, frame[name], reading)
        problems += wrong
        others = [] if wrong else np.flatnonzero(~np.isin(values.astype(str), ["0", "1"])).tolist()
        if others:
            message = f"the label '{name}' is {values[others[0]]} here, neither 0 nor 1."
            problems.append(Problem("E326", message, reading.where(others[0]), "Write 0 or 1."))
        columns.append(values)
    if problems:
        return np.empty(0), problems
    return np.column_stack(columns).astype(np.int64), []


def is_constant(values: Numbers) -> bool:
    """Whether a column says nothing: every cell missing, or all present and equal."""
    missing = np.isnan(values)
    return bool(missing.all() or (not missing.any() and np.all(values == values[0])))


def _from_text(
    name: str, text: "pd.Series", present: npt.NDArray[np.bool_], reading: Reading
) -> Typed:
    # Where 1,5 is a number 1.234 is none, for its point parts thousands: they change places.
    swapped = str.maketrans({reading.decimal: ".", ".": reading.decimal})
    pointed = text if reading.decimal == "." else text.str.translate(swapped)
    values = _numbers(pointed, present)
    is_number = ~np.isnan(values)
    num_present, num_numbers = int(present.sum()), int(is_number.sum())
    others = np.flatnonzero(present & ~is_number)
    forced = reading.kinds.get(name)
    if not len(others):
        return _numeric(name, values, reading)
    if forced == "numeric" or num_numbers >= _MOSTLY * num_present:
        problem = _mixed(name, str(text.iloc[others[0]]), len(others), reading.where(others[0]))
        return Typed(Column(name), values, (problem,))
    other = "," if reading.decimal == "." else "."
    if not num_numbers and _has_decimals(text, present, other):
        what = "commas" if other == "," else "points"
        message = f"the numbers of column '{name}' have decimal {what} ({text.iloc[others[0]]})."
        hint = f"Did you mean decimal = '{other}'?"
        problem = Problem("E318", message, reading.where(others[0]), hint)
        return Typed(Column(name), values, (problem,))
    typed = _categorical(name, text, present)
    notes = (f"column '{name}' is text with {num_numbers} numbers: read as categories",)
    return Typed(typed.column, typed.numbers, notes=notes) if num_numbers else typed


def _numbers(text: "pd.Series", present: npt.NDArray[np.bool_]) -> Numbers:
    """The numbers in a column of text, NaN where there is none; each distinct text is read once."""
    codes, distinct = pd.factorize(text.where(present))
    numbers = pd.to_numeric(pd.Series(distinct, dtype="str"), errors="coerce")
    read: Numbers = np.array([*numbers, np.nan], dtype=np.float64)[codes]
    return read


def _has_decimals(text: "pd.Series", present: npt.NDArray[np.bool_], sign: str) -> bool:
    pointed = text.str.replace(sign, ".")
    return not np.isnan(_numbers(pointed, present)[present]).any()


def _mixed(name: str, cell: str, count: int, where: str) -> Problem:
    more = f", and {count - 1} more such cells" if count > 1 else ""
    return Problem(
        "E318",
        f"column '{name}' holds numbers, but '{cell[:40]}' here{more}.",
        where,
        f"Correct the cell, add its text to missing, or set categorical = ['{name}'].",
    )


def _numeric(name: str, values: Numbers, reading: Reading) -> Typed:
    infinite = np.flatnonzero(np.isinf(values))
    if not len(infinite):
        return Typed(Column(name), values)
    message = f"column '{name}' is infinite in {len(infinite)} rows, the first here."
    where = reading.where(int(infinite[0]))
    return Typed(Column(name), values, (Problem("E319", message, where, "Use a finite number."),))


def _categorical(name: str, text: "pd.Series", present: npt.NDArray[np.bool_]) -> Typed:
    codes, categories = pd.factorize(text.where(present), sort=True)
    values = np.where(codes < 0, np.nan, codes.astype(np.float64))
    return Typed(Column(name, "categorical", tuple(map(str, categories))), values)


def _moments(name: str, cells: "pd.Series") -> Typed:
    moments = cells.dt.tz_localize(None) if cells.dt.tz is None else cells.dt.tz_convert(None)
    micros = moments.astype("datetime64[us]").to_numpy()
    seconds = np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 1e6)
    note = f"column '{name}' is a time: read as seconds since 1970"
    return Typed(Column(name), seconds, notes=(note,))
