"""A CSV file as a table, with the line of each row. Knows no kind of column and no target."""

import csv
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nnsearch.errors import DataError, Problem

_OTHER_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written: its delimiter, decimal sign and words for a missing cell.

    The columns `as_text` stay text, numbers or not.
    """

    delimiter: str
    decimal: str
    missing: Collection[str]
    as_text: Collection[str] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A table; `lines` is the line of the file on which each row starts.

    A column of numbers alone is numeric, every other is text as it stands in the file.
    """

    frame: pd.DataFrame
    lines: npt.NDArray[np.int64]
    notes: tuple[str, ...] = ()


def read_cells(path: Path, shown: str, dialect: Dialect) -> Cells:
    """The cells of a file; `shown` is the path as the study file has it, for messages.

    Raises DataError with everything that keeps the file from being a table: bytes that are not
    UTF-8, NUL bytes, quotes left open, rows of another width than the header, doubled columns, a
    delimiter that is another than the one given.
    """
    text = _decoded(path.read_bytes(), shown)
    header, lines, problems = _structure(text, shown, dialect.delimiter)
    names, notes = _named(header)
    problems += _header_problems(names, shown, dialect.delimiter)
    if not problems and not lines:
        problems.append(Problem("E304", "there is no row below the header.", f"{shown}:1"))
    if problems:
        raise DataError(problems)
    frame = _parsed(text, names, dialect, [name for name in names if name in dialect.as_text])
    # pandas takes "true" for a truth value and forgets how it was written.
    truths = [name for name in names if frame[name].dtype in (bool, object)]
    if truths:
        frame[truths] = _parsed(text, names, dialect, truths)[truths]
    return Cells(frame, np.array(lines), notes)


def _parsed(text: str, names: list[str], dialect: Dialect, as_text: list[str]) -> pd.DataFrame:
    as_is: dict[str, Any] = dict.fromkeys(as_text, str)
    return pd.read_csv(
        io.StringIO(text),
        sep=dialect.delimiter,
        decimal=dialect.decimal,
        dtype=as_is,
        na_values=list(dialect.missing),
        keep_default_na=False,
        header=0,
        names=names,
        index_col=False,
        low_memory=False,
    )


def _decoded(data: bytes, shown: str) -> str:
    if not data.strip():
        raise DataError([Problem("E304", "the file is empty.", shown)])
    problems = []
    nul = data.find(b"\0")
    if nul >= 0:
        line = _line(data, nul)
        problems.append(
            Problem(
                "E312", f"a NUL at byte {nul}.", f"{shown}:{line}", "Save the file as UTF-8 text."
            )
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        where = f"{shown}:{_line(data, error.start)}"
        message = f"not UTF-8 at byte {error.start} (0x{data[error.start]:02x})."
        problems.append(Problem("E311", message, where, "Save the file as UTF-8."))
    if problems:
        raise DataError(problems)
    return text.removeprefix("\ufeff")


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def _structure(text: str, shown: str, delimiter: str) -> tuple[list[str], list[int], list[Problem]]:
    """The header, the line of each row below it, and rows that are no rows."""
    # A cell may be a long text; one that a quote left open goes on to the end of the file.
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    lines: list[int] = []
    widths: dict[int, int] = {}  # by line, where a row is not as wide as the header
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return header, lines, _width_problems(widths, len(header), len(lines), shown)
        except csv.Error as error:
            problems = _width_problems(widths, len(header), len(lines), shown)
            return header, lines, [*problems, _quote_problem(str(error), f"{shown}:{line}")]
        if not record:
            continue
        if not header:
            header = record
            if _is_one_column(header, delimiter):
                return header, lines, []
            continue
        lines.append(line)
        if len(record) != len(header):
            widths[line] = len(record)


def _width_problems(
    widths: dict[int, int], wanted: int, num_rows: int, shown: str
) -> list[Problem]:
    """One for each row that is not as wide as the header; one in all if it is the header."""
    if 1 < num_rows == len(widths) and len(set(widths.values())) == 1:
        width = next(iter(widths.values()))
        message = f"the header has {wanted} cells, each of the {num_rows} rows below it {width}."
        hint = "Add or remove a delimiter in the header, or quote the name that holds one."
        return [Problem("E314", message, f"{shown}:1", hint)]
    hint = "Add or remove a delimiter, or quote the cell that holds one."
    return [
        Problem("E314", f"{width} cells where the header has {wanted}.", f"{shown}:{line}", hint)
        for line, width in widths.items()
    ]


def _quote_problem(error: str, where: str) -> Problem:
    if "unexpected end" in error:
        return Problem("E313", "a quote is opened here and never closed.", where, "Close it.")
    return Problem(
        "E313", f"a quoted cell goes on behind its quote ({error}).", where, 'Double "".'
    )


def _named(header: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """The stripped names; a column without one is called by its place."""
    names = [name.strip() or f"column_{place}" for place, name in enumerate(header, start=1)]
    unnamed = [name for name, given in zip(names, header, strict=True) if not given.strip()]
    return names, tuple(f"a column without a name is called '{name}'" for name in unnamed)


def _is_one_column(header: list[str], delimiter: str) -> bool:
    others = _OTHER_DELIMITERS.replace(delimiter, "")
    return len(header) == 1 and any(other in header[0] for other in others)


def _header_problems(names: list[str], shown: str, delimiter: str) -> list[Problem]:
    if _is_one_column(names, delimiter):
        found = max(_OTHER_DELIMITERS.replace(delimiter, ""), key=names[0].count)
        message = f"read as one column '{names[0][:60]}'."
        return [Problem("E315", message, f"{shown}:1", f"Did you mean delimiter = {found!r}?")]
    doubled = sorted({name for name in names if names.count(name) > 1})
    return [
        Problem("E316", f"column '{name}' stands there twice.", f"{shown}:1", "Rename one of them.")
        for name in doubled
    ]
