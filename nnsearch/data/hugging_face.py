"""A source of Hugging Face data sets that lie in a folder. Knows no split and no task."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nnsearch.components import nearest
from nnsearch.data.columns import Reading, raw_target
from nnsearch.data.examples import Array, Examples, without_copies
from nnsearch.data.hugging_face_files import Table, how_to_fetch, read_splits
from nnsearch.data.image_files import Broken, Channels, Fit, Side, Wanted, read_images, wanted
from nnsearch.data.paths import find_folder
from nnsearch.data.tables import Choice, Names, examples_of
from nnsearch.data.text_file import text_signature, texts_of
from nnsearch.errors import DataError, Problem
from nnsearch.signature import Signature


def hugging_face(
    root: Path,
    *,
    path: str,
    target: str = "label",
    text: str = "",
    image: str = "",
    drop: Names = (),
    size: Side | None = None,
    width: Side | None = None,
    fit: Fit = "stretch",
    channels: Channels = "auto",
    broken: Broken = "refuse",
    data_root: str = "",
    dedupe: bool = False,
) -> Examples:
    """The rows of a Hugging Face data set in a folder: Parquet, Arrow, CSV or JSON lines.

    The folder is what the Hub gives, or what save_to_disk wrote; of several configurations `path`
    names the folder of one. The split test is held out, if its targets are known. `target` is the
    column to predict. Inputs are the images of the column `image`, or the texts of the column
    `text`, or else a table of all other columns, but for `drop`; a single column of images, or
    of texts alone beside the target, is found by itself. The options of images are those of the
    source images. Nothing is fetched. Raises DataError with what is wrong, or what to type.
    """
    how = wanted(size, width, fit, channels=channels, broken=broken)
    folder = _folder(root, data_root, path)
    table = _with_targets(read_splits(folder, path, root, data_root), target, path)
    named = {"text": text, "image": image} | {f"drop '{name}'": name for name in drop}
    known = list(table.frame.columns)
    problems = [
        Problem("E317", f"{option}: there is no column '{name}'.", path, nearest(name, known))
        for option, name in named.items()
        if name and name not in known
    ]
    if text and image:
        problems.append(Problem("E317", "text and image exclude each other.", path, "Give one."))
    if problems:
        raise DataError(problems)
    others = [name for name in known if name not in {target, *drop}]
    image = image or (table.images[0] if len(table.images) == 1 and not text else "")
    text = text or (_only_text(table.frame, others) if not image else "")
    if image:
        examples = _of_images(table, target, image, path, how=how)
    elif text:
        examples = _of_texts(table, target, text, path)
    else:
        examples = _of_table(table, target, drop, path)
    examples = replace(examples, notes=(*table.notes, *examples.notes))
    return without_copies(examples) if dedupe else examples


def _folder(root: Path, data_root: str, path: str) -> Path:
    try:
        return find_folder(root, data_root, "path", path)
    except DataError as error:
        if error.problems[0].code != "E301":
            raise
        missing = Problem("E301", "no data set is there.", path, how_to_fetch(path))
        raise DataError([*error.problems, missing]) from error


def _with_targets(table: Table, target: str, path: str) -> Table:
    """The rows whose target is known: a test split without any is left out."""
    if target not in table.frame.columns:
        hint = nearest(target, list(table.frame.columns))
        message = f"target: there is no column '{target}'."
        raise DataError([Problem("E317", message, path, hint)])
    is_known = table.frame[target].notna().to_numpy()
    if not table.is_test.any() or is_known[table.is_test].any():
        return table
    note = f"the split test has no {target}: left out, its rows are nothing to be tested with"
    return Table(
        table.frame[~table.is_test].reset_index(drop=True),
        table.is_test[~table.is_test],
        table.images,
        (*table.notes, note),
    )


def _only_text(frame: pd.DataFrame, others: list[str]) -> str:
    """The one column beside the target, if it holds texts that are no categories."""
    if len(others) != 1:
        return ""
    cells = frame[others[0]].dropna()
    is_text = len(cells) > 0 and bool(cells.map(lambda cell: isinstance(cell, str)).all())
    is_varied = is_text and cells.nunique() * 2 > len(cells)
    return others[0] if is_varied else ""


def _targets(table: Table, target: str, path: str) -> tuple[Array, list[Problem], Reading]:
    reading = Reading(lambda row: f"{path}: row {row + 1}", ())
    targets, problems = raw_target(target, table.frame[target], reading)
    return targets, problems, reading


def _held_out(table: Table) -> np.ndarray | None:
    return table.is_test if table.is_test.any() else None


def _of_texts(table: Table, target: str, text: str, path: str) -> Examples:
    targets, problems, reading = _targets(table, target, path)
    texts, problems_of_texts = texts_of(table.frame[text], text, reading.where)
    if problems or problems_of_texts:
        raise DataError([*problems, *problems_of_texts])
    signature = text_signature(text, target)
    return Examples(texts, targets, signature, held_out=_held_out(table))


def _of_images(table: Table, target: str, image: str, path: str, *, how: Wanted) -> Examples:
    targets, problems, reading = _targets(table, target, path)
    cells = [each.get("bytes") if isinstance(each, dict) else each for each in table.frame[image]]
    others = [row for row, each in enumerate(cells) if not isinstance(each, bytes)]
    if others:
        message = f"'{image}' holds no bytes of an image in {len(others)} rows, the first here."
        hint = "Save the data set with its files embedded."
        problems.append(Problem("E345", message, reading.where(others[0]), hint))
    if problems:
        raise DataError(problems)
    read = read_images(
        [each for each in cells if isinstance(each, bytes)],
        [reading.where(row) for row in range(len(cells))],
        how,
    )
    held_out = _held_out(table)
    return Examples(
        read.pixels,
        targets[read.kept],
        Signature("image", read.pixels.shape[1:], "uint8", target),
        held_out=None if held_out is None else held_out[read.kept],
        notes=read.notes,
    )


def _of_table(table: Table, target: str, drop: Names, path: str) -> Examples:
    choice = Choice(path, target, (), drop, (), ())
    reading = Reading(lambda row: f"{path}: row {row + 1}", ("",))
    examples = examples_of(table.frame, choice, reading, ())
    return replace(examples, held_out=_held_out(table))
