"""The files of a Hugging Face data set as one table. Knows no target and no kind of data.

The library `datasets` is not needed: its files are Parquet, Arrow, CSV or JSON lines, and what
their columns mean stands in their own metadata, or in a dataset_info.json beside them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet

from nnsearch.data.columns import MISSING
from nnsearch.data.csv_file import Dialect, read_cells
from nnsearch.data.paths import files_below
from nnsearch.errors import DataError, Problem

SUFFIXES = (".parquet", ".arrow", ".csv", ".jsonl", ".json")
# What the library lays beside its data, and what it makes of them for itself.
_OTHERS = re.compile(r"(dataset_infos?|dataset_dict|state)\.json|cache-.*|README\..*")
_SHARD = re.compile(r"(.+?)-\d{5}-of-\d{5}(-[0-9a-f]+)?")
_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}

Features = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The rows of all splits, which of them are the declared test, and what columns are.

    A column of classes holds their names, None where one is missing; one of images their bytes.
    """

    frame: pd.DataFrame
    is_test: npt.NDArray[np.bool_]
    images: tuple[str, ...]
    notes: tuple[str, ...]


def read_splits(folder: Path, shown: str, root: Path, data_root: str) -> Table:
    """All rows below a folder, those of train before those of validation and test.

    Raises DataError where there are none, where the folder holds several configurations, where a
    file is broken, and where the splits have other columns than train.
    """
    files, notes = _files(folder, shown, root, data_root)
    frames: list[pd.DataFrame] = []
    is_test: list[bool] = []
    images: set[str] = set()
    for split in _WORDS:
        for file in files.get(split, []):
            name = f"{shown}/{file.relative_to(folder).as_posix()}"
            frame, features = _frame(file, name)
            _name_classes(frame, features)
            images |= {key for key in features if features[key].get("_type") == "Image"}
            images |= {key for key in frame.columns if _holds_images(frame[key])}
            if frames and list(frame.columns) != list(frames[0].columns):
                message = f"has columns {list(frame.columns)}, others {list(frames[0].columns)}."
                raise DataError([Problem("E316", message[:300], name, "They have to agree.")])
            frames.append(frame)
            is_test += [split == "test"] * len(frame)
    whole = pd.concat(frames, ignore_index=True)
    if "validation" in files:
        notes.append("the rows of the split validation are divided anew with those of train")
    return Table(whole, np.array(is_test), tuple(sorted(images & set(whole.columns))), tuple(notes))


def how_to_fetch(shown: str) -> str:
    """What to type for a data set that is to lie in a folder of this name."""
    command = f"hf download --repo-type dataset NAME --local-dir {shown}"
    return f"Type, with the name that it has on the Hub: {command}"


def _files(
    folder: Path, shown: str, root: Path, data_root: str
) -> tuple[dict[str, list[Path]], list[str]]:
    """The files of each split, in the order of their names, and notes on those left aside."""
    splits: dict[str, list[Path]] = {}
    problems, notes, others = [], [], set()
    for file, fault in files_below(folder, root, data_root):
        if file.suffix.lower() not in SUFFIXES or _OTHERS.fullmatch(file.name):
            continue
        if fault:
            name = f"{shown}/{file.relative_to(folder).as_posix()}"
            problems.append(Problem("E302", f"{fault}.", name, "Put the file itself there."))
        split, is_known = _split_of(file)
        if is_known:
            splits.setdefault(split, []).append(file)
        else:
            others.add(split)
    if problems:
        raise DataError(problems)
    homes = sorted({_home(file).relative_to(folder).as_posix() for file in splits.get("train", [])})
    if len(homes) > 1:
        message = f"holds several configurations: {', '.join(homes[:10])}."
        raise DataError([Problem("E345", message, shown, f"Set path = '{shown}/{homes[0]}'.")])
    if not homes:
        message = "has no file of the split train in Parquet, Arrow, CSV or JSON lines."
        raise DataError([Problem("E345", message, shown, how_to_fetch(shown))])
    notes += [f"the split '{each}' is not used" for each in sorted(others)]
    return splits, notes


def _home(file: Path) -> Path:
    """The folder of a file's configuration: a split may have a folder of its own in it."""
    return file.parent.parent if _word(file.parent.name) else file.parent


def _split_of(file: Path) -> tuple[str, bool]:
    """The split that a file is of, by its name or its folder's, and whether it is one we use."""
    found = _SHARD.fullmatch(file.stem)
    name = found[1] if found else file.stem
    split = _word(name) or _word(file.parent.name)
    if split:
        return split, True
    return (name, False) if found and name != "data" else ("train", True)


def _word(name: str) -> str:
    parts = re.split(r"[^a-z]+", name.lower())
    return next((split for split, words in _WORDS.items() if {*words} & {*parts}), "")


def _frame(file: Path, shown: str) -> tuple[pd.DataFrame, Features]:
    try:
        if file.suffix.lower() == ".csv":
            return read_cells(file, shown, Dialect(",", ".", MISSING)).frame, _beside(file)
        table = _arrow(file)
        features = _declared(table.schema) or _beside(file)
        return table.replace_schema_metadata(None).to_pandas(), features
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        message = f"cannot be read as {file.suffix[1:]} ({reason})."
        hint = "It may be cut short: fetch it again."
        raise DataError([Problem("E341", message, shown, hint)]) from error


def _arrow(file: Path) -> pa.Table:
    if file.suffix.lower() == ".parquet":
        return pyarrow.parquet.read_table(file)
    if file.suffix.lower() != ".arrow":
        return pyarrow.json.read_json(file)
    with pa.OSFile(str(file)) as source:
        is_stream = source.read(6) != b"ARROW1"
        source.seek(0)
        opened = pa.ipc.open_stream(source) if is_stream else pa.ipc.open_file(source)
        return opened.read_all()


def _declared(schema: pa.Schema) -> Features:
    """What the file itself says of its columns."""
    text = (schema.metadata or {}).get(b"huggingface", b"{}")
    return _features(json.loads(text).get("info", {}))


def _beside(file: Path) -> Features:
    """What a dataset_info.json beside the file, or above it, says of its columns."""
    for folder in (file.parent, file.parent.parent):
        info = folder / "dataset_info.json"
        if info.is_file() and not info.is_symlink():
            return _features(json.loads(info.read_text(encoding="utf-8")))
    return {}


def _features(info: Any) -> Features:
    features = info.get("features") if isinstance(info, dict) else None
    known = features if isinstance(features, dict) else {}
    return {name: each for name, each in known.items() if isinstance(each, dict)}


def _name_classes(frame: pd.DataFrame, features: Features) -> None:
    """Put the names of classes in the place of their numbers; -1 stands for none."""
    for name in set(frame.columns) & set(features):
        names = features[name].get("names")
        if features[name].get("_type") != "ClassLabel" or not isinstance(names, list):
            continue
        known = {number: str(each) for number, each in enumerate(names)}
        frame[name] = pd.Series(list(_named(frame[name], known)), dtype=object)


def _named(cells: "pd.Series[Any]", known: Mapping[int, str]) -> Iterator[str | None]:
    texts = set(known.values())
    for cell in cells.tolist():
        yield cell if cell in texts else known.get(cell)


def _holds_images(cells: "pd.Series[Any]") -> bool:
    first = next((each for each in cells if each is not None), None)
    return isinstance(first, dict) and set(first) == {"bytes", "path"}
