"""Predict with an exported model. Needs Python 3.10, numpy and onnxruntime, and nothing else.

In an export this is predict.py, which `script` puts together; within nnsearch it is the code
behind `load_predictor`. It knows no torch, no pandas and little else of nnsearch.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnsearch.exporting.standalone_files import image_files, read_images, read_inputs
from nnsearch.exporting.standalone_rows import PredictError

FORMAT, MANIFEST, MODEL = 1, "manifest.json", "model.onnx"
BATCH = 1024


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


def describe(predictions: np.ndarray, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each prediction as {label, probabilities}, or {label, score}, or numbers by their names.

    A score is how odd an example is; from 0.5 on it is taken for an anomaly.
    """
    labels = manifest["labels"]
    if not labels:
        names = columns(manifest, predictions.shape[1])
        return [dict(zip(names, map(float, row), strict=True)) for row in predictions]
    shares = [dict(zip(labels, map(float, row), strict=True)) for row in predictions]
    said = [max(each, key=each.__getitem__) for each in shares]
    if is_score(manifest):
        odd = labels[-1]
        return [
            {"label": label, "score": each[odd]} for label, each in zip(said, shares, strict=True)
        ]
    return [
        {"label": label, "probabilities": each} for label, each in zip(said, shares, strict=True)
    ]


def columns(manifest: Mapping[str, Any], num_numbers: int) -> list[str]:
    """The header of `to_csv` for predictions of so many numbers each."""
    if manifest["labels"]:
        probabilities = [f"probability_{label}" for label in manifest["labels"]]
        return ["label", *(["score"] if is_score(manifest) else probabilities)]
    names = list(manifest["signature"].get("names", ()))
    if len(names) == num_numbers:
        return names
    several = [f"prediction_{place + 1}" for place in range(num_numbers)]
    return several if num_numbers > 1 else ["prediction"]


def is_score(manifest: Mapping[str, Any]) -> bool:
    """Whether the predictions say how odd an example is, which is no probability."""
    return manifest.get("task") == "anomaly"


def to_csv(predictions: np.ndarray, manifest: Mapping[str, Any], files: Sequence[Path] = ()) -> str:
    """A header, then a line a row: the file where there are any, the label, and the numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    lines: list[list[Any]] = [columns(manifest, predictions.shape[1])]
    for row in describe(predictions, manifest):
        shares = row.pop("probabilities", {})
        lines.append([*row.values(), *shares.values()])
    if files:
        named = zip(["file", *map(str, files)], lines, strict=True)
        lines = [[name, *line] for name, line in named]
    writer.writerows(lines)
    return text.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """Read a file, predict, write CSV; return the exit code: 0, or an error's own."""
    parser = argparse.ArgumentParser(description="Predict with the model in this folder.")
    about = "CSV with a header; for images also .npy, .npz, an image or a folder of them"
    parser.add_argument("input", type=Path, help=about)
    parser.add_argument("-o", "--output", type=Path, help="CSV to write, else standard output")
    parser.add_argument("--delimiter", default="", help="else the one of the study's own table")
    given, folder = parser.parse_args(arguments), Path(__file__).parent
    try:
        manifest = read_manifest(folder)
        files = image_files(given.input)
        if files:
            inputs = read_images(files, manifest)
        else:
            inputs = read_inputs(given.input, manifest, given.delimiter, warn=_warn)
        session = open_session(read_verified(folder, manifest, MODEL))
        text = to_csv(predict(session, inputs), manifest, files)
        if given.output:
            given.output.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
    except (PredictError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return int(getattr(error, "exit_code", 3))
    return 0


def _warn(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
