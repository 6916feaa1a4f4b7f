"""Files as raw inputs of an exported model. Part of predict.py in an export.

Knows numpy, the standard library and, where images are read, Pillow.
"""

from __future__ import annotations

import contextlib
import csv
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnsearch.data.decoding import IMAGE_SUFFIXES, ImageError, decode
from nnsearch.exporting.standalone_rows import (
    PredictError,
    as_inputs,
    check_columns,
    encode,
    reading_of,
    silent,
    unseen,
)


def image_files(path: Path) -> list[Path]:
    """The images that a path means, in the order of their names; none where it is another file."""
    if path.is_dir():
        found = sorted(each for each in path.rglob("*") if each.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            raise PredictError(f"there is no image in the folder {path}.")
        return found
    return [path] if path.suffix.lower() in IMAGE_SUFFIXES else []


def read_images(files: Sequence[Path], manifest: Mapping[str, Any]) -> np.ndarray:
    """Raw inputs of image files, decoded as those were that the model was trained on."""
    signature, how = manifest["signature"], reading_of(manifest).get("images")
    if how is None or signature["kind"] != "image":
        shape = ", ".join(map(str, ["N", *signature["shape"]]))
        wanted = "a CSV file" if signature["columns"] else f"an array [{shape}] in .npy or .npz"
        raise PredictError(f"the model was not trained on image files; wanted is {wanted}.")
    num_channels, *size = signature["shape"]
    inputs = np.empty((len(files), *signature["shape"]), np.uint8)
    faults = []
    for place, file in enumerate(files):
        try:
            fit = how.get("fit", "stretch")
            sides = (size[0], size[1]) if how.get("is_resized") else None
            pixels = decode(file, num_channels, sides, fit)
        except ImageError as error:
            faults.append(f"{file} is no image that can be read: {error}.")
            continue
        except ImportError as error:
            raise PredictError("Pillow is missing: pip install pillow") from error
        if pixels.shape == inputs.shape[1:]:
            inputs[place] = pixels
        else:
            found = " x ".join(map(str, pixels.shape[1:]))
            faults.append(f"{file} has {found} pixels; wanted are {size[0]} x {size[1]}.")
    if faults:
        raise PredictError(f"{faults[0]} ({len(faults)} of {len(files)} images do not fit.)")
    return inputs


def read_inputs(
    path: Path,
    manifest: Mapping[str, Any],
    delimiter: str = "",
    *,
    warn: Callable[[str], None] = silent,
) -> np.ndarray:
    """Raw inputs of a file: a CSV file of named columns, or .npy, .npz or CSV of flat images.

    `warn` is told which columns hold categories that the model does not know.
    """
    signature = manifest["signature"]
    if path.suffix.lower() in {".npy", ".npz"}:
        return as_inputs(_read_array(path), signature)
    names, rows = _read_csv(path, delimiter or reading_of(manifest)["delimiter"])
    if signature["columns"]:
        names = [name.strip() or f"column_{j}" for j, name in enumerate(names, start=1)]
        if len(set(names)) < len(names):
            raise PredictError(f"{path} has two columns of one name.")
        check_columns(signature["columns"], names)
        cells = [dict(zip(names, row, strict=True)) for row in rows]
        inputs = encode(manifest, cells)
        for line in unseen(manifest, cells, inputs):
            warn(f"warning: {line}")
        return inputs
    with contextlib.suppress(ValueError):  # of a header, which says nothing of pixels
        rows = [names, *rows] if [float(name) for name in names] else rows
    try:
        values = np.array(rows, dtype=np.float64).reshape(-1, len(names))
    except ValueError as error:
        shape = ", ".join(map(str, signature["shape"]))
        wanted = f"This model takes an array [N, {shape}] in .npy or .npz, or numbers alone in CSV"
        raise PredictError(f"{path}: {error}. {wanted}.") from error
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
        hint = " Write the table as CSV." if path.suffix == ".parquet" else ""
        raise PredictError(f"{path} is no CSV file in UTF-8: {error}.{hint}") from error
    if not names:
        raise PredictError(f"{path} is empty.")
    return names, rows
