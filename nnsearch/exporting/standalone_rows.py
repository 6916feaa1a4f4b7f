"""Rows of raw values as what an exported model takes. Part of predict.py in an export.

Knows numpy and the standard library alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

try:
    import numpy as np
except ImportError as error:
    raise SystemExit("predict.py needs two packages: pip install numpy onnxruntime") from error

NUM_SHOWN = 20
# How cells are read where the manifest's "reading" does not say otherwise; as in training.
MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?"]
READING = {"missing": MISSING, "decimal": ".", "delimiter": ","}


class PredictError(Exception):
    """Something the caller can act on: an input that does not fit."""

    exit_code = 3


def encode(manifest: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Rows of cells by column name as float64 [N, number of columns], or texts as tokens [N, T].

    A categorical cell becomes the index of its text among the column's categories; unseen text and
    missing cells become NaN. Other columns are ignored. Raises PredictError that lists every absent
    column, or the first twenty cells that are not numbers.
    """
    signature, reading = manifest["signature"], reading_of(manifest)
    columns = signature["columns"]
    if rows:
        check_columns(columns, {name for row in rows for name in row})
    if signature["kind"] == "text":
        return tokens([str(row.get(columns[0]["name"]) or "") for row in rows], signature)
    table = np.full((len(rows), len(columns)), np.nan)
    problems = []
    for j, column in enumerate(columns):
        is_text = column["kind"] == "categorical"
        codes = {text: float(code) for code, text in enumerate(column["categories"])}
        for i, row in enumerate(rows):
            cell = row.get(column["name"])
            try:
                table[i, j] = _code(cell, codes) if is_text else _number(cell, reading)
            except (TypeError, ValueError):
                where = f"row {i + 1}, column {column['name']!r}"
                problems.append(f"{where}: {str(cell)[:40]!r} is not a finite number.")
    if problems:
        rest = [f"... and {len(problems) - NUM_SHOWN} more"] if problems[NUM_SHOWN:] else []
        raise PredictError("\n".join([*problems[:NUM_SHOWN], *rest]))
    return table


def unseen(
    manifest: Mapping[str, Any], rows: Sequence[Mapping[str, str]], inputs: np.ndarray
) -> list[str]:
    """What to say of categories that the model does not know, a line a column.

    `inputs` [N, columns] are the rows as `encode` has them, so that only a few are looked at.
    """
    lines, missing = [], {"", *reading_of(manifest)["missing"]}
    for j, column in enumerate(manifest["signature"]["columns"]):
        if column["kind"] != "categorical":
            continue
        cells = [
            rows[i][column["name"]].strip() for i in np.flatnonzero(np.isnan(inputs[:, j])).tolist()
        ]
        if new := [cell for cell in cells if cell not in missing]:
            verb = "holds" if len(new) == 1 else "hold"
            lines.append(
                f"column {column['name']!r}: {len(new)} of {len(rows)} rows {verb} a value unknown"
                f" in training, such as {new[0][:40]!r}; it counts as missing."
            )
    return lines


def silent(_line: str) -> None:
    """For a caller who wants to hear nothing of `unseen`."""


def tokens(texts: Sequence[str], signature: Mapping[str, Any]) -> np.ndarray:
    """Each text's tokens as int32 [N, T]: 1 is an unknown word, 0 stands behind the end."""
    numbers = {word: number for number, word in enumerate(signature["words"], start=2)}
    inputs = np.zeros((len(texts), *signature["shape"]), np.int32)
    for row, text in zip(inputs, texts, strict=True):
        found = re.findall(signature["pattern"], text.lower())[: len(row)]
        row[: len(found)] = [numbers.get(word, 1) for word in found]
    return inputs


def reading_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """How the study's own table was written: `missing` words, `decimal` sign and `delimiter`."""
    return {**READING, **manifest.get("reading", {})}


def check_columns(columns: Sequence[Mapping[str, Any]], present: Iterable[str]) -> None:
    """Raise PredictError that names the columns which are absent, and what is near each."""
    known = sorted(present)
    absent = []
    for name in (column["name"] for column in columns if column["name"] not in known):
        near = get_close_matches(name, known, n=1)
        absent.append(f"column {name!r} is absent." + (f" Is it {near[0]!r}?" if near else ""))
    if absent:
        hint = " Is the delimiter right?" if len(known) == 1 else ""
        found = f"The input has: {', '.join(map(repr, known))[:200]}.{hint}"
        raise PredictError("\n".join([*absent[:NUM_SHOWN], found]))


def as_inputs(values: Any, signature: Mapping[str, Any]) -> np.ndarray:
    """Raw values as [N, *shape] of the signature's type; raises PredictError where they do not fit.

    Rows may be flat, and axes of length one may be left out. Nothing is rounded or scaled.
    """
    array, shape, dtype = np.asarray(values), list(signature["shape"]), np.dtype(signature["dtype"])
    long_axes = [size for size in array.shape[1:] if size != 1]
    fits = long_axes in ([size for size in shape if size != 1], [math.prod(shape)])
    if array.ndim == 0 or not fits:
        wanted = f"[N, {str(shape)[1:]}"
        raise PredictError(f"the input has shape {list(array.shape)}; wanted is {wanted}.")
    if array.dtype.kind not in "buif":
        raise PredictError(f"the input holds {array.dtype}; wanted is {dtype}.")
    with np.errstate(invalid="ignore", over="ignore"):
        inputs = array.astype(dtype).reshape(len(array), *shape)
        is_lossy = dtype.kind in "iu" and not np.array_equal(inputs.ravel(), array.ravel())
    if is_lossy or np.isinf(inputs).any():
        raise PredictError(f"the input holds values that {dtype} cannot: wanted are raw values.")
    return inputs


def _code(cell: object, codes: Mapping[str, float]) -> float:
    if cell is None or cell != cell:  # noqa: PLR0124 - only NaN differs from itself
        return math.nan
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    return codes.get(str(cell), codes.get(text.strip(), math.nan))


def _number(cell: Any, reading: Mapping[str, Any]) -> float:
    if cell is None or (isinstance(cell, str) and cell.strip() in ["", *reading["missing"]]):
        return math.nan
    value = float(cell.replace(reading["decimal"], ".") if isinstance(cell, str) else cell)
    # Python alone reads 1_000, and text such as "nan" is a number to it.
    if math.isinf(value) or (isinstance(cell, str) and ("_" in cell or math.isnan(value))):
        raise ValueError(cell)
    return value
