"""ARFF files, the format of Weka and OpenML, as tables. Knows no target and no split."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from nnsearch.errors import DataError, Problem

_NUMERIC = ("numeric", "real", "integer")
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_ATTRIBUTE = re.compile(rf"@attribute\s+({_QUOTED}|\S+)\s+(.+)", re.IGNORECASE)
_CELL = re.compile(rf"\s*({_QUOTED}|[^,]*?)\s*(?:,|$)")
_PAIR = re.compile(rf"\s*(\d+)\s+({_QUOTED}|[^,]*?)\s*(?:,|$)")
_ESCAPE = re.compile(r"\\(.)")

Cell = str | None
Kind = Literal["numeric", "categorical"]


@dataclass(frozen=True, slots=True, eq=False)
class Arff:
    """A table of texts, and what each column is declared to be; text is categorical."""

    frame: pd.DataFrame
    kinds: dict[str, Kind]


def read_arff(text: str, shown: str) -> Arff:
    """The table in the text of an ARFF file, dense or sparse; `shown` is its name for messages.

    A missing cell, `?`, is None. Raises DataError with the line of what is no ARFF.
    """
    lines = enumerate(text.splitlines(), start=1)
    kinds, defaults = _header(lines, shown)
    names = list(kinds)
    rows: list[list[Cell]] = []
    problems = []
    for number, line in lines:
        content = line.strip()
        if not content or content.startswith("%"):
            continue
        row = _sparse(content, defaults) if content.startswith("{") else _cells(content)
        if row is None or len(row) != len(names):
            found = "a sparse row that is none" if row is None else f"{len(row)} cells"
            message = f"{found}, where {len(names)} attributes are declared."
            problems.append(Problem("E314", message, f"{shown}:{number}", "Fetch it again."))
        else:
            rows.append(row)
    if not rows and not problems:
        problems.append(Problem("E304", "there is no row behind @data.", shown))
    if problems:
        raise DataError(problems)
    return Arff(pd.DataFrame(rows, columns=names, dtype=object), kinds)


def _header(lines: Iterator[tuple[int, str]], shown: str) -> tuple[dict[str, Kind], list[Cell]]:
    """The kind of each attribute, and what a sparse row leaves out; `lines` end behind @data."""
    kinds: dict[str, Kind] = {}
    defaults: list[Cell] = []
    for number, line in lines:
        content = line.strip()
        if content.lower().startswith("@data"):
            return kinds, defaults
        if not content.lower().startswith("@attribute"):
            continue
        found = _ATTRIBUTE.fullmatch(content)
        if found is None or _plain(found[1]) in kinds:
            fault = "stands there twice" if found else "cannot be read"
            message = f"the attribute '{content[11:60]}' {fault}."
            raise DataError([Problem("E316", message, f"{shown}:{number}")])
        kind, default = _kind(found[2])
        kinds[_plain(found[1])] = kind
        defaults.append(default)
    raise DataError(
        [Problem("E331", "is no ARFF file: it has no @data.", shown, "Fetch it again.")]
    )


def _kind(declared: str) -> tuple[Kind, Cell]:
    """The kind of an attribute, and its value where a sparse row leaves it out."""
    if declared.startswith("{"):
        return "categorical", _cells(declared.strip("{} \t"))[0]
    return ("numeric", "0") if declared.lower().startswith(_NUMERIC) else ("categorical", None)


def _cells(line: str) -> list[Cell]:
    if "'" not in line and '"' not in line:
        return [None if (cell := each.strip()) == "?" else cell for each in line.split(",")]
    cells: list[Cell] = []
    place = 0
    while place <= len(line):
        found = _CELL.match(line, place)
        if found is None:  # a quote that is never closed
            return [*cells, line[place:]]
        cells.append(None if found[1] == "?" else _plain(found[1]))
        place = found.end()
        if not found[0].endswith(","):
            break
    return cells


def _sparse(line: str, defaults: list[Cell]) -> list[Cell] | None:
    """A row of which only some cells are given, each behind its place."""
    row = list(defaults)
    inner = line.strip().removeprefix("{").removesuffix("}").strip()
    place = 0
    while place < len(inner):
        found = _PAIR.match(inner, place)
        if found is None or int(found[1]) >= len(row) or found.end() == place:
            return None
        row[int(found[1])] = None if found[2] == "?" else _plain(found[2])
        place = found.end()
    return row


def _plain(cell: str) -> str:
    if cell[:1] in {"'", '"'} and cell[-1:] == cell[:1] and len(cell) > 1:
        return _ESCAPE.sub(r"\1", cell[1:-1])
    return cell
