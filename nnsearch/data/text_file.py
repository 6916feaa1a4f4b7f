"""Sources of texts: CSV and Parquet files, and VADER's snippets. Knows no split and no tokens."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from nnsearch.components import NonNegative, nearest
from nnsearch.data.columns import MISSING, Reading, raw_target
from nnsearch.data.csv_file import Dialect
from nnsearch.data.examples import Array, Examples, without_copies
from nnsearch.data.paths import find_files
from nnsearch.data.tables import Character, Names, read_frame
from nnsearch.errors import DataError, Problem
from nnsearch.signature import Column, Signature

Snippets = Literal["movies", "tweets", "products", "editorials"]

_MEMBERS: dict[Snippets, str] = {
    "movies": "movieReviewSnippets_GroundTruth.txt",
    "tweets": "tweets_GroundTruth.txt",
    "products": "amazonReviewSnippets_GroundTruth.txt",
    "editorials": "nytEditorialSnippets_GroundTruth.txt",
}
_INNER = "hutto_ICWSM_2014.tar.gz"


def text_table(
    root: Path,
    *,
    path: str,
    column: str,
    target: str,
    group: str = "",
    data_root: str = "",
    missing: Names = MISSING,
    delimiter: Character = ",",
    dedupe: bool = False,
) -> Examples:
    """The texts in a column of a CSV file in UTF-8 with a header, or of a Parquet file.

    `target` is the column to predict; rows that have `group` in common can be kept together by
    the split, and are drawn together in intervals. Other columns are ignored, which a note tells.
    Raises DataError with every problem of the file, among them texts that are missing.
    """
    file = find_files(root, data_root, path=path)["path"]
    frame, where = read_frame(file, path, Dialect(delimiter, ".", missing, [column, group]))
    names = list(frame.columns)
    options = {"column": column, "target": target} | ({"group": group} if group else {})
    problems = [
        Problem("E317", f"{option}: there is no column '{name}'.", path, nearest(name, names))
        for option, name in options.items()
        if name not in names
    ]
    if problems:
        raise DataError(problems)
    targets, problems = raw_target(target, frame[target], Reading(where, missing))
    texts, problems_of_texts = texts_of(frame[column], column, where)
    problems += problems_of_texts
    if problems:
        raise DataError(problems)
    ignored = [name for name in names if name not in options.values()]
    notes = (f"columns beside the text are ignored: {', '.join(ignored)}",) if ignored else ()
    groups = frame[group].astype(str).to_numpy(object) if group else None
    examples = Examples(texts, targets, text_signature(column, target), groups=groups, notes=notes)
    return without_copies(examples) if dedupe else examples


def vader(
    root: Path,
    *,
    path: str = "vaderSentiment-3.3.2.tar.gz",
    snippets: Snippets = "movies",
    margin: NonNegative = 0.0,
    data_root: str = "",
) -> Examples:
    """Snippets that twenty people each rated from -4 to 4, by the sign of the mean.

    10,605 of movie reviews, 4,200 tweets, 3,708 of product reviews or 5,190 of editorials (Hutto
    and Gilbert, 2014). Those whose mean is 0, or not further from it than `margin`, are left out.
    What comes from the same product review or editorial is one group. The snippets are in the
    source distribution of the package vaderSentiment, which `path` names. Raises DataError where
    it is not there, with the command that fetches it.
    """
    try:
        file = find_files(root, data_root, path=path)["path"]
    except DataError as error:
        name = Path(path).stem.removesuffix(".tar").replace("-", "==")
        hint = f"Type: pip download --no-deps --no-binary :all: {name}"
        raise DataError([*error.problems, Problem("E301", "fetch it.", path, hint)]) from error
    rows = [line.split("\t", 2) for line in _snippets(file, path, _MEMBERS[snippets])]
    ratings = np.array([float(rating) for _, rating, _ in rows])
    is_clear = np.abs(ratings) > margin
    texts = np.array([each for _, _, each in rows], dtype=object)
    origins = np.array([number.partition("_")[0] for number, _, _ in rows], dtype=object)
    num_unclear = int((~is_clear).sum())
    note = f"{num_unclear} snippets are rated too near to 0 to have a sign: left out"
    examples = Examples(
        texts,
        np.array(["negative", "positive"], dtype=object)[(ratings > 0).astype(np.int64)],
        text_signature("text", "sentiment"),
        groups=origins if len(set(origins.tolist())) < len(origins) else None,
        notes=(note,) if num_unclear else (),
    )
    return examples.take(is_clear)


def _snippets(file: Path, shown: str, member: str) -> list[str]:
    """The lines of a member of the archive that lies within the archive `file`."""
    try:
        with tarfile.open(file) as outer:
            inner = next(each for each in outer.getmembers() if each.name.endswith(_INNER))
            with tarfile.open(fileobj=outer.extractfile(inner)) as archive:
                name = next(each for each in archive.getnames() if each.endswith(member))
                content = archive.extractfile(name)
                return content.read().decode("utf-8").splitlines() if content else []
    except (tarfile.TarError, StopIteration, EOFError, OSError) as error:
        message = f"is not the source distribution of vaderSentiment ({error})."
        raise DataError([Problem("E331", message, shown, "Fetch it again.")]) from error


def text_signature(text: str, target: str) -> Signature:
    """That of texts in a column, before they are divided into tokens."""
    return Signature("text", (), "str", target, (Column(text, "text"),))


def texts_of(
    cells: "pd.Series", name: str, where: Callable[[int], str]
) -> tuple[Array, list[Problem]]:
    """The texts [N] in a column, and a problem where some are missing."""
    is_missing = cells.isna().to_numpy() | (cells.astype(str).str.strip() == "").to_numpy()
    texts = cells.astype(str).to_numpy(object)
    missing = np.flatnonzero(is_missing)
    if not len(missing):
        return texts, []
    message = f"the text '{name}' is missing in {len(missing)} rows, the first here."
    hint = "Fill it in or remove the rows."
    return texts, [Problem("E321", message, where(int(missing[0])), hint)]
