"""A source of OpenML's data sets, as scikit-learn keeps them on the disk. Knows no split, no task.

Below the folder that scikit-learn calls data_home stand OpenML's answers, each packed with gzip
below the path of its address. The network is asked for them only where the study file says so.
"""

import gzip
import hashlib
import json
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlparse

from nnsearch.components import Count
from nnsearch.data.arff import Arff, read_arff
from nnsearch.data.columns import Reading
from nnsearch.data.examples import Examples, without_copies
from nnsearch.data.paths import MOST_EXPANSION, SMALL_BYTES, find_files, find_folder
from nnsearch.data.tables import Choice, Names, examples_of
from nnsearch.errors import DataError, Problem

_ANSWERS = "openml/openml.org/api/v1/json/data"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A data set by its name and version, or by its ID."""

    name: str
    data_id: int | None
    version: int | None

    def __str__(self) -> str:
        version = "" if self.version is None else f", version {self.version}"
        return f"'{self.name}'{version}" if self.data_id is None else str(self.data_id)

    @property
    def listing(self) -> str:
        """Where the answer to a search for the name is kept."""
        of = "status/active/" if self.version is None else f"data_version/{self.version}"
        return f"{_ANSWERS}/list/data_name/{self.name}/limit/2/{of}"

    @property
    def call(self) -> str:
        """The arguments of fetch_openml."""
        if self.data_id is not None:
            return f"data_id={self.data_id}"
        return f"'{self.name}'" + ("" if self.version is None else f", version={self.version}")


@dataclass(frozen=True, slots=True)
class _Cache:
    """The folder that scikit-learn calls data_home."""

    root: Path
    data_root: str
    path: str

    def content(self, name: str) -> bytes:
        """What an answer held before it was packed; raises DataError where it cannot be read."""
        shown = f"{self.path}/{name}.gz"
        file = find_files(self.root, self.data_root, path=shown)["path"]
        most = max(SMALL_BYTES, MOST_EXPANSION * file.stat().st_size)
        try:
            with gzip.open(file) as packed:
                content = packed.read(most + 1)
        except (OSError, EOFError, zlib.error) as error:
            message = f"is a broken gzip file ({error})."
            raise DataError([Problem("E331", message, shown, "Delete it, fetch again.")]) from error
        if len(content) > most:
            message = "unpacks to over 100 times its size."
            raise DataError([Problem("E332", message, shown, "Is it what OpenML gave?")])
        return content

    def json(self, name: str, *keys: str) -> Any:
        """The value below these keys of an answer in JSON."""
        try:
            value = json.loads(self.content(name))
            for key in keys:
                value = value[key]
        except (ValueError, LookupError, TypeError) as error:
            message = f"is no answer of OpenML ({error})."
            shown = f"{self.path}/{name}.gz"
            raise DataError([Problem("E331", message, shown, "Delete it, fetch again.")]) from error
        return value


def openml(
    root: Path,
    *,
    name: str = "",
    data_id: Count | None = None,
    version: Count | None = None,
    target: str = "",
    path: str = "scikit_learn_data",
    drop: Names = (),
    download: bool = False,
    data_root: str = "",
    dedupe: bool = False,
) -> Examples:
    """The table of a data set of openml.org, by its `name` and perhaps `version`, or its `data_id`.

    `path` is the folder that scikit-learn's fetch_openml calls data_home. Where the data set is
    not in it, `download` lets scikit-learn fetch it from openml.org; without it nothing asks the
    network. `target` is the column to predict, else the one that OpenML names. Columns are
    numeric or categorical as the data set declares; those that OpenML ignores, such as IDs, are
    left out. Raises DataError where the data set is not there, with what to type, or is broken.
    """
    if bool(name) == (data_id is not None) or (version is not None and not name):
        message = "either name, perhaps with a version, or data_id says which data set it is."
        raise DataError([Problem("E317", message, hint="Give one.")])
    wanted = _Wanted(name.lower(), data_id, version)
    if download and not _is_there(root, data_root, path, wanted):
        _fetch(_home(root, data_root, path), wanted)
    try:
        examples = _read(root, data_root, path, wanted, target=target, drop=drop)
    except DataError as error:
        if all(each.code != "E301" for each in error.problems):
            raise
        call = f"fetch_openml({wanted.call}, data_home='{Path(data_root) / path}')"
        hint = f'Set download = true, or type: python -c "from sklearn.datasets import *; {call}"'
        message = f"OpenML's data set {wanted} is not there."
        raise DataError([*error.problems[:1], Problem("E301", message, path, hint)]) from error
    return without_copies(examples) if dedupe else examples


def _read(
    root: Path, data_root: str, path: str, wanted: _Wanted, *, target: str, drop: Names
) -> Examples:
    read = _Cache(root, data_root, path)
    number, notes = (wanted.data_id, ()) if wanted.data_id else _number(read, wanted)
    about = read.json(f"{_ANSWERS}/{number}", "data_set_description")
    features = read.json(f"{_ANSWERS}/features/{number}", "data_features", "feature")
    place = str(about["url"]) if "url" in about else ""
    file = f"openml/openml.org/{urlparse(place).path.lstrip('/')}"
    content = read.content(file)
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if about.get("md5_checksum", md5) != md5:
        message = "is not what OpenML says: its md5 is another."
        raise DataError([Problem("E331", message, f"{path}/{file}.gz", "Delete it, fetch again.")])
    arff = read_arff(content.decode("utf-8", "replace"), f"{path}/{file}.gz")
    examples = _examples(arff, features, target=target, drop=drop, shown=f"{path}: {wanted}")
    return replace(examples, notes=(*notes, *examples.notes))


def _examples(
    arff: Arff, features: list[dict[str, Any]], *, target: str, drop: Names, shown: str
) -> Examples:
    marked = {
        mark: [each["name"] for each in features if each.get(mark) == "true"]
        for mark in ("is_target", "is_ignore", "is_row_identifier")
    }
    if not target and len(marked["is_target"]) != 1:
        names = ", ".join(map(repr, marked["is_target"])) or "none"
        message = f"OpenML names {names} as what is to be predicted."
        raise DataError([Problem("E317", message, shown, "Set target to one column.")])
    chosen = target or marked["is_target"][0]
    ignored = {*marked["is_ignore"], *marked["is_row_identifier"]} - {chosen}
    kinds = {
        kind: tuple(name for name in arff.kinds if arff.kinds[name] == kind)
        for kind in ("numeric", "categorical")
    }
    left_out = (*drop, *sorted(ignored & set(arff.frame.columns) - set(drop)))
    choice = Choice(shown, chosen, (), left_out, kinds["numeric"], kinds["categorical"])
    # A missing cell is None by now: every text that is left is one that the data set declares.
    reading = Reading(lambda row: f"{shown}: row {row + 1}", (), ".", choice.forced_kinds())
    notes = [f"column '{name}' is ignored, as OpenML says" for name in sorted(ignored)]
    return examples_of(arff.frame, choice, reading, tuple(notes))


def _number(read: _Cache, wanted: _Wanted) -> tuple[int, Names]:
    """The ID of a data set of this name and version, and a note where it is one of several."""
    listed = read.json(wanted.listing, "data", "dataset")
    if not listed or not str(listed[0].get("did", "")).isdigit():
        message = f"lists no data set {wanted}."
        raise DataError([Problem("E331", message, wanted.listing, "Delete it, fetch again.")])
    note = f"{wanted} has several active versions: version {listed[0].get('version')} is taken"
    return int(listed[0]["did"]), (note,) if len(listed) > 1 else ()


def _is_there(root: Path, data_root: str, path: str, wanted: _Wanted) -> bool:
    first = wanted.listing if wanted.data_id is None else f"{_ANSWERS}/{wanted.data_id}"
    return (root / data_root / path / f"{first}.gz").is_file()


def _home(root: Path, data_root: str, path: str) -> Path:
    """The folder that answers are kept in, made where it is not there yet."""
    try:
        return find_folder(root, data_root, "path", path)
    except DataError as error:
        # Outside of the study's folder it would be another error.
        if error.problems[0].code != "E301" or not (root / data_root).is_dir():
            raise
    (root / data_root / path).mkdir(parents=True)
    return find_folder(root, data_root, "path", path)


def _fetch(folder: Path, wanted: _Wanted) -> None:
    """Let scikit-learn ask openml.org and keep the answers; raises DataError where it fails."""
    from sklearn.datasets import fetch_openml

    named = {"name": wanted.name, "version": wanted.version or "active"}
    which = named if wanted.data_id is None else {"data_id": wanted.data_id}
    try:
        with warnings.catch_warnings(action="ignore"):  # our notes say what it warns of
            fetch_openml(**which, data_home=str(folder), parser="auto", n_retries=1)
    except (OSError, ValueError, LookupError) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the answer's connection
        message = f"OpenML's data set {wanted} cannot be fetched ({str(error)[:120]})."
        hint = "Is there a network? Is the name right?"
        raise DataError([Problem("E303", message, hint=hint)]) from error
