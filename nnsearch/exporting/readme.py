"""The README of an export. Knows no file but those it names."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from nnsearch.exporting.standalone import is_score
from nnsearch.exporting.standalone_rows import READING, reading_of
from nnsearch.signature import Column, Signature

NUM_SHOWN = 12
PICTURE = "picture"

_IN_PYTHON = """\
    from pathlib import Path
    from nnsearch.exporting.runtime import load_predictor
    predictor = load_predictor(Path("."))"""


def readme(manifest: Mapping[str, Any], signature: Signature, sample_name: str) -> str:
    """What the export is, how to use it, and what goes in and comes out, as plain text."""
    parts = [
        _title(manifest),
        "Use it",
        f"    pip install numpy onnxruntime\n    python predict.py {sample_name}",
        "The answer is CSV: "
        + _output(manifest, signature)
        + " Write it to a file with --output FILE.",
        "It refuses a model whose sha256 is not the one in manifest.json. With nnsearch installed:",
        _IN_PYTHON,
        "Input",
        *_input(signature, reading_of(manifest)),
        "How good it is",
        *_quality(manifest),
    ]
    return "\n\n".join(_wrapped(part) for part in parts) + "\n"


def _wrapped(part: str) -> str:
    return part if "\n" in part or part.startswith(" ") else textwrap.fill(part, 88)


def _title(manifest: Mapping[str, Any]) -> str:
    study, trial = manifest.get("study"), manifest.get("trial")
    source = f" of trial {trial} of the study {study}" if study is not None else ""
    return f"A predictor{source}, exported by nnsearch on {manifest['created']}."


def _output(manifest: Mapping[str, Any], signature: Signature) -> str:
    if not signature.labels:
        if signature.target == PICTURE:
            return (
                f"one column for each of the {len(signature.names)} values of a picture, in the "
                "order channel, row, column."
            )
        if signature.names:
            return f"one column for each of {_listed(signature.names)}."
        several = " Of a forecast of several steps: prediction_1, prediction_2 and so on."
        one = f"one column, prediction, the number for {signature.target}."
        return one + (several if signature.kind == "series" else "")
    if is_score(manifest):
        normal, odd = signature.labels
        return (
            f"the label, {normal} or {odd}, and a score from 0 to 1 that says how odd a row is. It "
            f"is no probability: from 0.5 on a row is called {odd}."
        )
    return (
        f"the label for {signature.target} and the probability of each of the "
        f"{len(signature.labels)} classes, {_listed(signature.labels)}."
    )


def _input(signature: Signature, reading: Mapping[str, Any]) -> Iterator[str]:
    shape = ", ".join(map(str, ("N", *signature.shape)))
    if signature.kind == "series":
        yield (
            f"Series as an array [{shape}] of {signature.dtype} in .npy or .npz, in the order "
            "series, channel, step. NaN is a missing value, and stands behind the end of a series "
            "that is shorter. The values must not be scaled: the model does that itself."
        )
        return
    if signature.kind == "image":
        yield (
            f"Raw images as an array [{shape}] of {signature.dtype} in .npy or .npz, or a CSV file "
            "with one image a line, its values in the order channel, row, column. "
            "The values must not be scaled: the model does that itself."
        )
        if "images" in reading:
            yield (
                "Or an image file, or a folder of them, which are read as in training: "
                "pip install pillow."
            )
        return
    if signature.kind == "text":
        yield (
            f"A CSV file with a header and the column {signature.columns[0].name}, which holds the "
            f"texts as they are; others are ignored. At most the first {signature.shape[0]} "
            f"words and signs of each count; {len(signature.words):,} words are known."
        )
        return
    if signature.target == PICTURE:
        yield (
            "A CSV file with a header and a line for each picture. The seed is a whole number: the "
            "same one draws the same picture, and 2,048 of them draw different ones."
        )
        yield "\n".join(f"    {_column(column)}" for column in signature.columns)
        return
    yield from _cells(signature, reading)


def _cells(signature: Signature, reading: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "A CSV file with a header. The order of its columns is free and others are ignored; an "
        "empty cell is a missing value; a category that the model has not seen is taken as 'other'."
    )
    if any(reading[key] != usual for key, usual in READING.items()):
        words = ", ".join(map(repr, reading["missing"]))
        yield (
            f"As in the study's own table, {reading['delimiter']!r} stands between the cells "
            f"(--delimiter says otherwise), {reading['decimal']!r} before decimals, and a missing "
            f"value may be written: {words}."
        )
    yield "\n".join(f"    {_column(column)}" for column in signature.columns)


def _column(column: Column) -> str:
    values = f": {_listed(column.categories)}" if column.kind == "categorical" else ""
    return f"{column.name} ({column.kind}{values})"


def _quality(manifest: Mapping[str, Any]) -> Iterator[str]:
    if test := manifest.get("test"):
        yield (
            f"On the {test['num_rows']} rows of the test split, which it was neither trained on "
            "nor chosen by. In brackets the ends of the 95 % interval."
        )
        yield _values(test["metrics"], test["intervals"])
        yield from (f"Note: {note}." for note in test["notes"])
    if metrics := manifest.get("metrics"):
        yield "On the validation split, by which it was chosen: rather too good."
        yield _values(metrics, {})
    parity = manifest["parity"]
    yield (
        f"On {parity['num_rows']} rows of the study's data the exported model and torch differ by "
        f"at most {parity['largest_difference']:.2g}."
    )


def _values(metrics: Mapping[str, Any], intervals: Mapping[str, Any]) -> str:
    room = max(map(len, metrics))
    ends = {name: ", ".join(map(_number, each)) for name, each in intervals.items()}
    return "\n".join(
        f"    {name:{room}}  {_number(value)}" + (f" [{ends[name]}]" if name in ends else "")
        for name, value in sorted(metrics.items())
    )


def _number(value: Any) -> str:
    return "not finite" if value is None else f"{value:.4g}"


def _listed(names: tuple[str, ...]) -> str:
    rest = f", ... ({len(names)} in all)" if len(names) > NUM_SHOWN else ""
    return ", ".join(names[:NUM_SHOWN]) + rest
