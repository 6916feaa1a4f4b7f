"""A whole export: model, weights, manifest, script, sample and README, all there or not at all.

Knows no study and no training: whatever they have to say stands in `facts`.
"""

import csv
import glob
import io
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from nnsearch.errors import StoreError, UsageError
from nnsearch.exporting import standalone
from nnsearch.exporting.onnx import onnx
from nnsearch.exporting.parity import TOLERANCE, parity
from nnsearch.exporting.readme import readme
from nnsearch.exporting.script import script
from nnsearch.exporting.standalone_rows import READING, reading_of
from nnsearch.exporting.weights import write_weights
from nnsearch.signature import Signature
from nnsearch.study.folder import sha256_of, write_json, write_whole

MANIFEST = standalone.MANIFEST
SCRIPT = "predict.py"
NUM_SAMPLES = 5

_PACKAGES = ("nnsearch", "torch", "onnx", "onnxscript", "onnxruntime", "numpy")


def write_export(  # noqa: PLR0917 - all come from the run, as with an exporter
    predictor: nn.Module,
    example: np.ndarray,
    held_out_inputs: np.ndarray,
    signature: Signature,
    folder: Path,
    facts: Mapping[str, Any],
    *,
    export: Callable[[nn.Module, np.ndarray, Path], Path] = onnx,
) -> Path:
    """Export a predictor into `folder`, which appears whole or not at all, and return it.

    `example` are raw rows [>= 2, *shape], the first of which become the sample;
    `held_out_inputs` are the raw rows on which ONNX Runtime must agree with torch. `facts` are JSON
    values such as `task`, `metrics`, `study`, `trial` and `created`, and stand in the manifest
    as they are, `test` too: `{"num_rows": 80, "metrics": {...}, "intervals": {...}, "notes": []}`;
    where a source read its cells in another way than usual, `reading` says so:
    `{"missing": [...], "decimal": ",", "delimiter": ";"}`. `export` is the exporter
    with its options bound.

    An earlier export in `folder` is replaced. Raises UsageError where the predictor cannot be
    exported or `folder` holds something else, IntegrityError where ONNX Runtime and torch differ,
    StoreError where the disk refuses.
    """
    _check_place(folder)
    with _folder_by_rename(folder) as draft:
        model_path = export(predictor, example, draft)
        difference = parity(predictor, model_path, held_out_inputs)
        reading = reading_of(facts)
        sample_path = write_sample(example[:NUM_SAMPLES], signature, draft, reading)
        write_weights(predictor, draft)
        write_whole(draft / SCRIPT, lambda path: path.write_text(script(), encoding="utf-8"))
        manifest = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **_plain(facts),
            "format": standalone.FORMAT,
            "signature": signature.to_json(),
            "labels": list(signature.labels),
            "parity": {
                "largest_difference": difference,
                "num_rows": len(held_out_inputs),
                "tolerance": TOLERANCE,
            },
            "versions": _versions(),
        }
        text = readme(manifest, signature, sample_path.name)
        write_whole(draft / "README.txt", lambda path: path.write_text(text, encoding="utf-8"))
        manifest["files"] = _files(draft)
        write_json(draft / MANIFEST, manifest)
    return folder


def write_sample(
    rows: np.ndarray,
    signature: Signature,
    folder: Path,
    reading: Mapping[str, Any] = READING,
) -> Path:
    """Raw rows as a person would send them: sample.csv for tables, else sample.npy.

    `reading` says how the study's own table is written; the sample is written alike.
    """
    if not signature.columns:
        content = np.array(rows)
        path = folder / "sample.npy"
        write_whole(path, lambda temporary: _save(temporary, content))
        return path
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=reading["delimiter"], lineterminator="\n")
    writer.writerow([column.name for column in signature.columns])
    for row in rows:
        if signature.kind == "text":
            writer.writerow([signature.text_of(row.tolist())])
            continue
        writer.writerow(
            _missing(reading)
            if math.isnan(cell)
            else column.categories[int(cell)]
            if column.kind == "categorical"
            else repr(float(cell)).replace(".", reading["decimal"])
            for column, cell in zip(signature.columns, row, strict=True)
        )
    path = folder / "sample.csv"
    write_whole(path, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))
    return path


def _missing(reading: Mapping[str, Any]) -> str:
    """The word for a cell without a value; an empty cell where the study's table may have one."""
    words = list(reading["missing"])
    return words[0] if words and "" not in words else ""


def _save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:  # a path would get the ending .npy
        np.save(file, array, allow_pickle=False)


def _files(folder: Path) -> dict[str, dict[str, str | int]]:
    return {
        path.name: {"sha256": sha256_of(path), "size": path.stat().st_size}
        for path in sorted(folder.iterdir())
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # nnsearch itself, where it runs from its checkout
            versions[package] = "unknown"
    return versions


def _plain(value: Any) -> Any:
    """JSON values as every reader takes them: not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_place(folder: Path) -> None:
    """Refuse a place where something lies that is not ours to replace."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is not a folder.", "Name another one for the export.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder} is not empty and no export.", "Name another folder.")


@contextmanager
def _folder_by_rename(folder: Path) -> Iterator[Path]:
    """A new sibling of `folder` that takes its place at the end, or is removed on an error.

    One process at a time may export to a folder: what a killed one left beside it is removed, or
    put back where it is the export that was being replaced.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _tidy(folder)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
        try:
            yield draft
            _share(draft)
            if folder.exists():
                folder.rename(_replaced(folder))
            draft.rename(folder)
            _sync(folder.parent)
        finally:
            _tidy(folder)
    except OSError as error:
        message = f"cannot write the export {folder}: {error}."
        raise StoreError(message, "Is the disk full or read-only?") from error


def _replaced(folder: Path) -> Path:
    """Where an earlier export stands between the two renames."""
    return folder.with_name(f".{folder.name}.replaced.tmp")


def _tidy(folder: Path) -> None:
    """Put back or remove what stands beside `folder`.

    Eight characters, as tempfile makes them, so that a sibling's draft is not taken for ours.
    """
    if _replaced(folder).exists() and not folder.exists():
        _replaced(folder).rename(folder)
    for left_over in folder.parent.glob(f".{glob.escape(folder.name)}.????????.tmp"):
        shutil.rmtree(left_over)


def _share(folder: Path) -> None:
    """Let those read the export who may read its parent; temporary files are private at first."""
    mode = 0o700 | (folder.parent.stat().st_mode & 0o755)
    for path in folder.iterdir():
        path.chmod(mode & 0o644)
    folder.chmod(mode)
    _sync(folder)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
