"""Write a commented study file for a person's own table. Trains nothing and reads no study.

The table is read by the same sources, divided by the same split and audited by the same checks as
in a run, so that what `check` would refuse is left out here, with the reason.
"""

import csv as text_csv
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnsearch.commands.new_text import TASKS, Survey, TaskName, study_text
from nnsearch.components import nearest
from nnsearch.data import tables
from nnsearch.data.columns import MISSING
from nnsearch.data.csv_file import Dialect, read_cells
from nnsearch.data.dates import is_moment
from nnsearch.data.examples import Array, Examples, without_copies
from nnsearch.data.prepare import Prepared, TargetKind, inspect
from nnsearch.errors import DataError, Problem, UsageError
from nnsearch.study.folder import NAME, write_whole
from nnsearch.study.spec import Split

DELIMITERS = ",;\t|"
FEW_ROWS = 1000

# A whole number with more values than this is rather a quantity than a class.
_MOST_CLASSES = 20
_ROWS_A_CLASS = 10
# From this share of texts of their own on, a column says who a row is and not what it is like.
_MOSTLY_OWN = 0.5
_FEWEST_TEXTS = 20
# Where fewer of the rows differ, they are hardly copies: there are few different ones to have.
_FEWEST_DIFFERENT = 0.1
_LEAKS = {"E352": "equal to the target", "E353": "an ID: it names a row and tells nothing of it"}
# What people write into a cell of numbers that they do not have.
_MORE_MISSING = ("-", "--", ".", "#N/A", "<NA>", "n.a.", "N.A.", "unknown", "Unknown", "missing")
_KINDS: dict[str, TargetKind] = {"classification": "class", "regression": "number"}


@dataclass(frozen=True, slots=True)
class _Table:
    """A file as its source reads it: `options` are the source's, but for the target."""

    source: str
    names: list[str]
    options: dict[str, Any] = field(default_factory=dict)


def new(csv: Path, target: str = "", task: str | None = None, out: Path | None = None) -> Path:
    """Write a study file that predicts the column `target` of a CSV or Parquet file; its path.

    It lies beside the table unless `out` says where, and never replaces a file. `task` is
    "classification" or "regression"; by default the target decides. Raises UsageError where the
    target is no column or a file is in the way, DataError where the table cannot be learned from.
    """
    place = _place(csv, out)
    table = _look(csv)
    _check(csv, table, target, task)
    options, examples = _read(csv, table, target)
    kind = _task(examples.targets, task)
    kept, dropped = _weed(examples, kind, _split(kind, examples.num_rows))
    dropped = _silent(table, examples, target) | dropped
    final = _once(kept, kind)
    split = _split(kind, final.num_rows)
    survey = Survey(
        file=csv,
        place=place,
        source=table.source,
        options=_relative(csv, place) | options | ({} if final is kept else {"dedupe": True}),
        num_rows=examples.num_rows,
        examples=final,
        task=kind,
        is_guess=task is None,
        split=split,
        dropped={name: dropped[name] for name in table.names if name in dropped},
        dates=_dates(examples),
        is_repetitive=_has_copies(final, kind),
    )
    _audit(final, kind, split, allow_leaky=survey.is_repetitive)
    text = study_text(survey)
    write_whole(place, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    place.chmod(0o644)
    return place


def _place(csv: Path, out: Path | None) -> Path:
    """Where the study file goes: named as a study may be, so that its file's name is its own."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", csv.stem).strip("-.")[:100] or "study"
    place = csv.with_name(f"{stem}.toml") if out is None else out
    if place.suffix != ".toml":
        raise UsageError(f"a study file ends in .toml, not as {place.name}.", f"Try {stem}.toml.")
    if NAME.fullmatch(place.stem) is None:
        raise UsageError(
            f"a study's name has A-Z a-z 0-9 . _ - only, not {place.stem}.",
            "Name another with --out.",
        )
    if place.exists() or place.is_symlink():
        hint = "Name another with --out, or remove it."
        raise UsageError(f"{place} is there already and stays as it is.", hint)
    if not place.parent.is_dir():
        raise UsageError(f"there is no folder {place.parent}.", "Make it first.")
    return place


def _look(csv: Path) -> _Table:
    """The columns of the file and how it is written."""
    if csv.is_dir():
        hint = "For a folder of images write a study with: nnsearch components images"
        raise UsageError(f"{csv} is a folder, and `new` reads a table.", hint)
    if not csv.is_file():
        hint = f"Its folder is {csv.parent.resolve()}."
        raise UsageError(f"there is no file {csv}.", hint)
    if csv.suffix == ".parquet":
        from pyarrow import parquet

        try:
            names = [str(name) for name in parquet.read_schema(csv).names]
        except (ValueError, OSError):  # the source says what is wrong with it
            tables.parquet(csv.parent, path=csv.name, target="")
            raise
        return _Table("parquet", [each for each in names if not each.startswith("__index_level_")])
    delimiter = _delimiter(csv)
    cells = read_cells(csv, csv.name, Dialect(delimiter, ".", MISSING))
    options = {} if delimiter == "," else {"delimiter": delimiter}
    return _Table("csv", list(cells.frame.columns), options)


def _delimiter(csv: Path) -> str:
    """The sign that divides the header into the most names; a comma where none does."""
    with csv.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline()
    widths = {sign: len(next(text_csv.reader([header], delimiter=sign), [])) for sign in DELIMITERS}
    return max(DELIMITERS, key=lambda sign: widths[sign])


def _check(csv: Path, table: _Table, target: str, task: str | None) -> None:
    if task is not None and task not in TASKS:
        raise UsageError(f"unknown task '{task}'.", nearest(task, list(TASKS)))
    if not target:
        listed = "".join(f"\n  {name}" for name in table.names)
        hint = f"\nName one of them, such as --target '{_likely(table.names)}'."
        raise UsageError(f"which column of {csv} is to be predicted? It has:{listed}", hint)
    if target not in table.names:
        hint = nearest(target, table.names)
        raise UsageError(f"{csv} has no column '{target}'.", hint)


def _likely(names: list[str]) -> str:
    usual = {"target", "label", "class", "y", "outcome"}
    return next((name for name in names if name.lower() in usual), names[-1])


def _read(csv: Path, table: _Table, target: str) -> tuple[dict[str, Any], Examples]:
    """The rows as the study's source will read them, with the options that this took."""
    read: Callable[..., Examples] = getattr(tables, table.source)
    attempts: list[dict[str, Any]] = [{}]
    if table.source == "csv":
        words, comma = {"missing": [*MISSING, *_MORE_MISSING]}, {"decimal": ","}
        attempts += [words, comma, comma | words]
    errors = []
    for more in attempts:
        options = {"target": target} | table.options | more
        try:
            return options, read(csv.parent, path=csv.name, **options)
        except DataError as error:
            errors.append(error)
            if any(problem.code != "E318" for problem in error.problems):
                break  # nothing about how cells are written
    raise errors[0]


def _relative(csv: Path, place: Path) -> dict[str, Any]:
    """The options that lead from the study's folder to the table."""
    folder, file = place.resolve().parent, csv.resolve()
    if file.is_relative_to(folder):
        return {"path": file.relative_to(folder).as_posix()}
    return {"data_root": os.path.relpath(file.parent, folder), "path": file.name}


def _task(targets: Array, told: str | None) -> TaskName:
    """Classes for texts and for few whole numbers that come back often, else numbers."""
    if told is not None:
        return "classification" if told == "classification" else "regression"
    if targets.dtype.kind not in "if":
        return "classification"
    num_values = len(np.unique(targets))
    if num_values <= 2:  # noqa: PLR2004 - two numbers are an answer of yes or no
        return "classification"
    is_few = num_values <= _MOST_CLASSES and num_values * _ROWS_A_CLASS <= len(targets)
    return "classification" if is_few and targets.dtype.kind == "i" else "regression"


def _split(kind: TaskName, num_rows: int) -> Split:
    """Of few rows more go to validation, for the search lives on it."""
    by: Any = "class" if kind == "classification" else "random"
    return Split(0.6, 0.2, 0.2, by) if num_rows < FEW_ROWS else Split(by=by)


def _weed(examples: Examples, kind: TaskName, split: Split) -> tuple[Examples, dict[str, str]]:
    """The examples without the columns that tell who a row is, or its target; and why."""
    dropped = _own_texts(examples)
    rest = _without(examples, dropped)
    for finding in _audit(rest, kind, split).findings:
        if finding.column and finding.code in _LEAKS:
            dropped[finding.column] = _LEAKS[finding.code]
    return _without(examples, dropped), dropped


def _once(examples: Examples, kind: TaskName) -> Examples:
    """Each row once where copies lie across the splits, unless next to nothing would be left.

    Then only a person can say what the rows are: `run` refuses the study until one does.
    """
    if not _has_copies(examples, kind, ("E351", "W351")):
        return examples
    rest = without_copies(examples)
    return rest if rest.num_rows >= _FEWEST_DIFFERENT * examples.num_rows else examples


def _has_copies(examples: Examples, kind: TaskName, codes: tuple[str, ...] = ("E351",)) -> bool:
    found = _audit(examples, kind, _split(kind, examples.num_rows)).findings
    return any(each.code in codes for each in found)


def _own_texts(examples: Examples) -> dict[str, str]:
    """Columns of text that hardly ever repeats: names, addresses, remarks, moments."""
    dropped = {}
    for place, column in enumerate(examples.signature.columns):
        num_texts = len(column.categories)
        present = int(np.sum(~np.isnan(examples.inputs[:, place].astype(np.float64))))
        if num_texts > _FEWEST_TEXTS and num_texts > _MOSTLY_OWN * present:
            dropped[column.name] = f"{num_texts} different texts in {present} rows"
    return dropped


def _dates(examples: Examples) -> tuple[str, ...]:
    columns = enumerate(examples.signature.columns)
    return tuple(column.name for place, column in columns if is_moment(examples, place))


def _without(examples: Examples, dropped: dict[str, str]) -> Examples:
    signature = examples.signature
    kept = [each for each, one in enumerate(signature.columns) if one.name not in dropped]
    if not kept:
        reasons = "; ".join(f"'{name}' is {reason}" for name, reason in dropped.items())
        hint = "Add a column that says something about the target."
        raise DataError([Problem("E317", f"no column is left to learn from: {reasons}.", "", hint)])
    columns = tuple(signature.columns[each] for each in kept)
    return replace(
        examples,
        inputs=examples.inputs[:, kept],
        signature=replace(signature, columns=columns, shape=(len(kept),)),
    )


def _audit(
    examples: Examples, kind: TaskName, split: Split, *, allow_leaky: bool = True
) -> Prepared:
    """What `check` will find in these rows, and raise."""
    return inspect(
        lambda _: examples,
        _KINDS[kind],
        split,
        0,
        root=Path(),
        options={},
        allow_leaky=allow_leaky,
    )


def _silent(table: _Table, examples: Examples, target: str) -> dict[str, str]:
    """The columns that the source itself left out, with its reason."""
    known = {column.name for column in examples.signature.columns} | {target}
    reasons = {}
    for name in table.names:
        start = f"column '{name}' "
        notes = [note for note in examples.notes if note.startswith(start)]
        if name not in known and notes:
            reasons[name] = (
                notes[0].removesuffix(": dropped").removeprefix(f"{start}is ").removeprefix(start)
            )
    return reasons
