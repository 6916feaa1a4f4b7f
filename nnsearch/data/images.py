"""Sources of image files: a folder for each class, and a table of paths. Know no task.

The name of a file settles its place among the examples, so that the order is the same everywhere.
"""

from dataclasses import dataclass, field
from os.path import isfile
from pathlib import Path

import numpy as np
import pandas as pd

from nnsearch.components import nearest
from nnsearch.data.columns import MISSING, Reading, raw_target
from nnsearch.data.csv_file import Dialect
from nnsearch.data.decoding import IMAGE_SUFFIXES
from nnsearch.data.examples import Examples, without_copies
from nnsearch.data.image_files import Broken, Channels, Fit, Side, read_images, wanted
from nnsearch.data.paths import files_below, find_files, find_folder
from nnsearch.data.tables import Character, Names, read_frame
from nnsearch.errors import DataError, Problem
from nnsearch.signature import Signature

TRAIN = ("train", "training")
TEST = ("test", "testing")
VALID = ("val", "valid", "validation")


@dataclass(slots=True)
class _Listing:
    """Image files with their classes, as they are found."""

    files: list[Path] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    held_out: list[bool] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def images(
    root: Path,
    *,
    path: str,
    test: str = "",
    size: Side | None = None,
    width: Side | None = None,
    fit: Fit = "stretch",
    channels: Channels = "auto",
    broken: Broken = "refuse",
    data_root: str = "",
    dedupe: bool = False,
) -> Examples:
    """The image files in a folder for each class, whose name is the class: uint8 [C, H, W].

    `path` holds the folders of the classes. Or it holds the folders "train" and "test", which then
    hold them, and what is in "test" is held out: it is the test split. `test` names a held out
    folder that lies or is called otherwise. With `size` images become that many pixels high and,
    unless `width` says otherwise, as many wide: stretched, cropped or padded, by `fit`. They are
    grey where all are, else of three channels, or as `channels` has it. Raises DataError with the
    first broken image and their number, which `broken` may leave out instead; for links that lead
    elsewhere, for images of over 67 million pixels, and for several sizes without `size`.
    """
    how = wanted(size, width, fit, channels=channels, broken=broken)
    top = find_folder(root, data_root, "path", path)
    listing = _Listing()
    if test:
        parts = [(top, path, False), (find_folder(root, data_root, "test", test), test, True)]
    else:
        parts = _parts(top, path, listing)
    for folder, shown, is_held_out in parts:
        _list_classes(folder, shown, (root, data_root), listing, held_out=is_held_out)
    if not listing.files:
        message = "has no folder with images in it, one for each class."
        hint = "Of a table with a column of paths: use the source image_table."
        raise DataError([Problem("E345", message, path, hint)])
    read = read_images(listing.files, listing.names, how)
    targets = np.array(listing.classes, object)[read.kept]
    is_test = np.array(listing.held_out)[read.kept]
    examples = Examples(
        read.pixels,
        targets,
        Signature("image", read.pixels.shape[1:], "uint8", "class"),
        held_out=is_test if is_test.any() else None,
        notes=(*listing.notes, *read.notes),
    )
    return without_copies(examples) if dedupe else examples


def image_table(
    root: Path,
    *,
    path: str,
    column: str,
    target: str,
    folder: str = "",
    group: str = "",
    size: Side | None = None,
    width: Side | None = None,
    fit: Fit = "stretch",
    channels: Channels = "auto",
    broken: Broken = "refuse",
    data_root: str = "",
    missing: Names = MISSING,
    delimiter: Character = ",",
    dedupe: bool = False,
) -> Examples:
    """The image files whose paths stand in a column of a CSV or Parquet file: uint8 [C, H, W].

    Paths are relative to `folder`, or to the table's own folder. `target` is the column to
    predict; rows that have `group` in common can be kept together by the split. The other options
    are those of the source images. Raises DataError with every problem of the table and its paths.
    """
    how = wanted(size, width, fit, channels=channels, broken=broken)
    table = find_files(root, data_root, path=path)["path"]
    base = find_folder(root, data_root, "folder", folder) if folder else table.parent
    as_text = [name for name in (column, group) if name]
    frame, where = read_frame(table, path, Dialect(delimiter, ".", missing, as_text))
    options = {"column": column, "target": target} | ({"group": group} if group else {})
    known = list(frame.columns)
    problems = [
        Problem("E317", f"{option}: there is no column '{name}'.", path, nearest(name, known))
        for option, name in options.items()
        if name not in known
    ]
    if problems:
        raise DataError(problems)
    targets, problems = raw_target(target, frame[target], Reading(where, missing))
    names = ["" if pd.isna(each) else str(each).strip() for each in frame[column].tolist()]
    files = [(base / name.replace("\0", "")).resolve() for name in names]
    allowed = [root.resolve(), (root / data_root).resolve()]
    problems += _path_problems(names, files, allowed, [where(row) for row in range(len(names))])
    if problems:
        raise DataError(problems)
    read = read_images(files, names, how)
    examples = Examples(
        read.pixels,
        targets[read.kept],
        Signature("image", read.pixels.shape[1:], "uint8", target),
        groups=frame[group].astype(str).to_numpy(object)[read.kept] if group else None,
        notes=read.notes,
    )
    return without_copies(examples) if dedupe else examples


def _parts(top: Path, path: str, listing: _Listing) -> list[tuple[Path, str, bool]]:
    """The folders that hold folders of classes, how they are called, and whether held out."""
    subfolders = {each.name.lower(): each.name for each in _subfolders(top)}
    of = {
        kind: next((subfolders[name] for name in names if name in subfolders), "")
        for kind, names in (("train", TRAIN), ("test", TEST), ("valid", VALID))
    }
    if of["train"] and of["test"]:
        if of["valid"]:
            listing.notes.append(f"the images in '{of['valid']}' are divided anew with the others")
        return [(top / name, f"{path}/{name}", kind == "test") for kind, name in of.items() if name]
    if of["train"] and of["valid"]:
        message = f"has folders '{of['train']}' and '{of['valid']}', which are no classes."
        hint = f"Set path = '{path}/{of['train']}' and test = '{path}/{of['valid']}'."
        raise DataError([Problem("E345", message, path, hint)])
    return [(top, path, False)]


def _subfolders(top: Path) -> list[Path]:
    """In the order of their names; links among them are refused where they are listed."""
    return sorted(each for each in top.iterdir() if each.is_dir() and not each.name.startswith("."))


def _list_classes(
    top: Path, shown: str, roots: tuple[Path, str], listing: _Listing, *, held_out: bool
) -> None:
    """Add the images of each class below `top`; raises DataError for what leads elsewhere."""
    problems, num_others = [], 0
    for file, fault in files_below(top, *roots):
        name = f"{shown}/{file.relative_to(top).as_posix()}"
        if fault:
            problems.append(Problem("E302", f"{fault}.", name, "Put the file itself there."))
        elif file.suffix.lower() not in IMAGE_SUFFIXES or file.parent == top:
            num_others += 1
        else:
            listing.files.append(file)
            listing.names.append(name)
            listing.classes.append(file.relative_to(top).parts[0])
            listing.held_out.append(held_out)
    if problems:
        raise DataError(problems)
    empty = [each.name for each in _subfolders(top) if each.name not in listing.classes]
    if empty:
        listing.notes.append(f"no image is in {', '.join(repr(each) for each in empty[:5])}")
    if num_others:
        listing.notes.append(f"{num_others} files in '{shown}' are no images of a class: ignored")


def _path_problems(
    names: list[str], files: list[Path], allowed: list[Path], where: list[str]
) -> list[Problem]:
    """One problem for each thing that is wrong with paths, with the first row and how many."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for row, (name, file) in enumerate(zip(names, files, strict=True)):
        if not name:
            key = ("E321", "are missing", "Fill it in or remove the rows.")
        elif not any(file.is_relative_to(each) for each in allowed):
            hint = "Move the images there, or name their folder with data_root."
            key = ("E302", "lead out of the study's folder", hint)
        elif not isfile(file):  # noqa: PTH113 - Path's own raises for a name that is too long
            key = ("E301", "lead to no file", "Set folder to where they begin.")
        else:
            continue
        found.setdefault(key, []).append(row)
    return [
        Problem(
            code,
            f"{len(rows)} paths {what}, the first here: '{names[rows[0]][:80]}'.",
            where[rows[0]],
            hint,
        )
        for (code, what, hint), rows in found.items()
    ]
