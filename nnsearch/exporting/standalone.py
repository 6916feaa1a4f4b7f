"""Predict with an exported model. Needs Python 3.10, numpy and onnxruntime, and nothing else.

In an export this file is called predict.py; within nnsearch it is the code behind
`load_predictor`. It knows no torch, no pandas and no other module of nnsearch.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import io
import json
import math
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

try:
    import numpy as np
except ImportError as error:
    raise SystemExit("predict.py needs two packages: pip install numpy onnxruntime") from error

FORMAT, MANIFEST, MODEL = 1, "manifest.json", "model.onnx"
BATCH, NUM_SHOWN = 1024, 20
# How cells are read where the manifest's "reading" does not say otherwise; as in training.
MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?"]
READING = {"missing": MISSING, "decimal": ".", "delimiter": ","}


class PredictError(Exception):
    """Something the caller can act on: an input that does not fit."""

    exit_code = 3


class NoExportError(PredictError):
    """The folder holds no export, or this machine lacks what it needs."""

    exit_code = 2


class DamagedError(PredictError):
    """A file of the export is not the one that was exported."""

    exit_code = 6


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the export says of itself. Raises NoExportError or DamagedError."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        number, _ = manifest["format"], manifest["files"][MODEL]["sha256"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoExportError(f"{folder} is no export: there is no {path.name} in it.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path} is damaged. Export the model again.") from error
    if number != FORMAT:
        raise NoExportError(f"{path} has format {number}; this program reads format {FORMAT}.")
    return dict(manifest)


def read_verified(folder: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """The bytes that were hashed; raises DamagedError unless their sha256 is the manifest's."""
    if Path(name).name != name:
        raise DamagedError(f"{folder / MANIFEST} names the file {name!r} outside of it.")
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise DamagedError(f"{folder / name} is missing. Export the model again.") from error
    if hashlib.sha256(content).hexdigest() != manifest["files"][name]["sha256"]:
        raise DamagedError(f"{folder / name} was changed: its sha256 is not the manifest's.")
    return content


def open_session(model: bytes) -> Any:
    """An ONNX Runtime session on the CPU; raises NoExportError without the package."""
    try:
        import onnxruntime
    except ImportError as error:
        raise NoExportError("onnxruntime is missing: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: its warnings are about its own optimisations
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(session: Any, inputs: np.ndarray) -> np.ndarray:
    """Predictions [N, P] of raw inputs [N, *shape] that `as_inputs` or `encode` made."""
    starts = range(0, max(len(inputs), 1), BATCH)
    return np.concatenate([session.run(None, {"inputs": inputs[i : i + BATCH]})[0] for i in starts])


def predict(session: Any, inputs: np.ndarray) -> np.ndarray:
    """`run`, but raises PredictError where a prediction is not a finite number."""
    predictions = run(session, inputs)
    is_finite = np.isfinite(predictions).all(axis=1)
    if not is_finite.all():
        row = int(np.argmin(is_finite)) + 1
        raise PredictError(f"row {row}: the prediction is not finite. Are its values too large?")
    return predictions


def describe(predictions: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Each prediction as {label, probabilities}, or {prediction}, or {prediction_1, ...}."""
    if not labels:
        num = predictions.shape[1]
        names = [f"prediction_{k + 1}" for k in range(num)] if num > 1 else ["prediction"]
        return [dict(zip(names, map(float, row), strict=True)) for row in predictions]
    shares = [dict(zip(labels, map(float, row), strict=True)) for row in predictions]
    return [{"label": max(each, key=each.__getitem__), "probabilities": each} for each in shares]


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


def read_inputs(path: Path, manifest: Mapping[str, Any], delimiter: str = "") -> np.ndarray:
    """Raw inputs of a file: a CSV file of named columns, or .npy, .npz or CSV of flat images."""
    signature = manifest["signature"]
    if path.suffix.lower() in {".npy", ".npz"}:
        return as_inputs(_read_array(path), signature)
    names, rows = _read_csv(path, delimiter or reading_of(manifest)["delimiter"])
    if signature["columns"]:
        names = [name.strip() or f"column_{j}" for j, name in enumerate(names, start=1)]
        if len(set(names)) < len(names):
            raise PredictError(f"{path} has two columns of one name.")
        check_columns(signature["columns"], names)
        return encode(manifest, [dict(zip(names, row, strict=True)) for row in rows])
    with contextlib.suppress(ValueError):  # of a header, which says nothing of pixels
        rows = [names, *rows] if [float(name) for name in names] else rows
    try:
        values = np.array(rows, dtype=np.float64).reshape(-1, len(names))
    except ValueError as error:
        raise PredictError(f"{path}: {error}.") from error
    return as_inputs(values, signature)


def _read_array(path: Path) -> np.ndarray:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        name = next((each for each in ("inputs", "x") if each in content.files), content.files[0])
        return np.asarray(content[name])
    except (ValueError, EOFError, IndexError, zipfile.BadZipFile) as error:
        raise PredictError(f"{path} is no numpy file of numbers: {error}") from error


def _read_csv(path: Path, delimiter: str) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            names = next(reader, [])
            rows = []
            for row in filter(None, reader):
                if len(row) != len(names):
                    wanted = f"{len(row)} cells where the first line has {len(names)}"
                    raise PredictError(f"{path}:{reader.line_num}: {wanted}.")
                rows.append(row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise PredictError(f"{path} is no CSV file in UTF-8: {error}") from error
    if not names:
        raise PredictError(f"{path} is empty.")
    return names, rows


def to_csv(predictions: np.ndarray, labels: Sequence[str]) -> str:
    """A header, then a line a row: the label and each probability, or the number."""
    text, rows = io.StringIO(), describe(predictions, labels)
    writer = csv.writer(text, lineterminator="\n")
    names = ["label", *(f"probability_{label}" for label in labels)]
    writer.writerow(names if labels else next(iter(rows), ["prediction"]))
    for row in rows:
        writer.writerow([row["label"], *row["probabilities"].values()] if labels else row.values())
    return text.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """Read a file, predict, write CSV; return the exit code: 0, or an error's own."""
    parser = argparse.ArgumentParser(description="Predict with the model in this folder.")
    parser.add_argument("input", type=Path, help="CSV with a header; for images also .npy or .npz")
    parser.add_argument("-o", "--output", type=Path, help="CSV to write, else standard output")
    parser.add_argument("--delimiter", default="", help="else the one of the study's own table")
    given, folder = parser.parse_args(arguments), Path(__file__).parent
    try:
        manifest = read_manifest(folder)
        inputs = read_inputs(given.input, manifest, given.delimiter)
        session = open_session(read_verified(folder, manifest, MODEL))
        text = to_csv(predict(session, inputs), manifest["labels"])
        if given.output:
            given.output.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
    except (PredictError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return int(getattr(error, "exit_code", 3))
    return 0


if __name__ == "__main__":
    sys.exit(main())
