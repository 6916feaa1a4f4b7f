"""Predict a file with an export, or with what a study exported. Needs no torch."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnsearch.commands.places import MLRUNS, find_study_folder
from nnsearch.errors import StoreError, UsageError
from nnsearch.exporting import standalone, standalone_rows
from nnsearch.exporting.runtime import load_predictor
from nnsearch.exporting.standalone_files import image_files
from nnsearch.study.folder import Home, StudyFolder, read_json


@dataclass(frozen=True, slots=True)
class Predicted:
    """What an export says of a file: one entry a row, and the same as CSV text."""

    export: str
    input: str
    rows: list[dict[str, Any]]
    csv: str


def predict(
    export: str,
    path: Path,
    *,
    delimiter: str | None = None,
    home: Path = MLRUNS,
    out: Path | None = None,
    warn: Callable[[str], None] = standalone_rows.silent,
) -> Predicted:
    """Predict each row of a CSV, .npy or .npz file, or images; with `out` CSV is written there.

    `export` is the folder of an export or the name of a study, meaning its exported best trial.
    A path to an image or to a folder of images is for models that were trained on image files;
    each row then says which file it is of. Without a `delimiter` the file is taken to have that of
    the study's own table. `warn` is told of categories that were unknown in training.
    Raises UsageError where there is none, DataError where the file does not fit, IntegrityError
    where the export was changed, StoreError where `out` cannot be written.
    """
    if delimiter is not None and len(delimiter) != 1:
        raise UsageError(f"the delimiter {delimiter!r} is not one character.", "Such as ';'.")
    predictor = load_predictor(find_export(export, home))
    predictions = predictor.predict_file(path, delimiter=delimiter, warn=warn)
    files = image_files(path)
    text = standalone.to_csv(predictions, predictor.manifest, files)
    if out is not None:
        _write(out, text)
    rows = standalone.describe(predictions, predictor.manifest)
    if files:
        rows = [{"file": str(file), **row} for file, row in zip(files, rows, strict=True)]
    return Predicted(str(predictor.folder), str(path), rows, text)


def find_export(name: str, home: Path = MLRUNS) -> Path:
    """The folder of an export, given itself or as the name of the study that it is the best of."""
    folder = Path(name)
    if (folder / standalone.MANIFEST).is_file():
        return folder
    if not (Home(home).study(folder.name.removesuffix(".toml")).spec).exists():
        what = "holds no export" if folder.is_dir() else "is neither an export's folder nor a study"
        raise UsageError(f"'{name}' {what}.", "Exports are made by: nnsearch export STUDY")
    study = find_study_folder(name, home)
    chosen = _chosen(study)
    if chosen is None:
        command = f"nnsearch export {study.root.name}"
        raise UsageError(f"study '{study.root.name}' has not been exported.", f"Type: {command}")
    return chosen


def as_document(predicted: Predicted) -> dict[str, Any]:
    """The same as JSON values."""
    return {"export": predicted.export, "input": predicted.input, "predictions": predicted.rows}


def _chosen(study: StudyFolder) -> Path | None:
    """The export that `run` ended with; where there is none the only one that was made by hand."""
    result = read_json(study.result)
    if result is not None:
        # By its name: the folder of runs may have been moved since.
        named = study.export(result["conclusion"]["best"]["trial"])
        if (named / standalone.MANIFEST).is_file():
            return named
    made = [each.parent for each in study.exports.glob(f"trial-*/{standalone.MANIFEST}")]
    return made[0] if len(made) == 1 else None


def _write(path: Path, text: str) -> None:
    """The whole text or nothing, with the rights that a new file gets here."""
    try:
        if path.exists() and not path.is_file():  # a pipe, or /dev/stdout: nothing to be replaced
            path.write_text(text, encoding="utf-8")
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}."
        raise StoreError(message, "Name another place with --out.") from error
