"""Columns of times, and divisions that tear apart what belongs together. Changes no data."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from nnsearch.data.examples import Array, Examples
from nnsearch.data.findings import Finding
from nnsearch.data.split import RowsOf

Numbers = npt.NDArray[np.float64]

_NAMES = frozenset(
    {"time", "date", "datetime", "timestamp", "epoch", "ts", "day", "when", "moment"}
)
_READ = 200
# Seconds, milliseconds, microseconds and nanoseconds from 1980 to 2100; and days as 20240131.
_UNITS = (1.0, 1e3, 1e6, 1e9)
_SECONDS = (315_532_800.0, 4_102_444_800.0)
_DAYS = (19_000_101.0, 21_001_231.0)
# Below this share of earlier rows it is no mixing of times, but rows of one moment at the border.
_MIXED = 0.05


def is_moment(examples: Examples, place: int) -> bool:
    """Whether a table's column holds dates or times: as text, or as numbers that are called so."""
    column = examples.signature.columns[place]
    if column.kind == "categorical":
        some = column.categories[:: max(1, len(column.categories) // _READ)]
        return len(some) > 1 and all(_seconds(text) is not None for text in some)
    cells = examples.inputs[:, place].astype(np.float64)
    cells = cells[~np.isnan(cells)]
    if not len(cells):
        return False
    start = f"column '{column.name}' is a time:"  # of a file that knows the types of its columns
    if any(note.startswith(start) for note in examples.notes):
        return True
    words = column.name.lower().replace("-", "_").replace(" ", "_").split("_")
    low, high = float(cells.min()), float(cells.max())
    is_epoch = any(_SECONDS[0] * unit <= low <= high <= _SECONDS[1] * unit for unit in _UNITS)
    is_epoch = is_epoch or (_DAYS[0] <= low <= high <= _DAYS[1] and _are_days(cells))
    return is_epoch and not _NAMES.isdisjoint(words)


def mixed_times(examples: Examples, rows: RowsOf) -> Iterator[Finding]:
    """A warning for each column of times of a table whose rows are divided without regard to it.

    Nothing where the source has times of its own, or whole groups were kept together.
    """
    if examples.signature.kind != "table" or examples.times is not None:
        return
    if examples.groups is not None and not any(torn_groups(examples, rows)):
        return
    for place, column in enumerate(examples.signature.columns):
        if not is_moment(examples, place):
            continue
        times = _times(examples, place)
        newest = np.nanmax(times[rows["train"]], initial=-np.inf)
        others = np.concatenate([rows["valid"], rows["test"]])
        num_older = int((times[others] < newest).sum())
        if num_older <= _MIXED * len(others):
            continue
        message = (
            f"column '{column.name}' holds times, and {num_older} rows of valid and test are"
            " earlier than the newest row of train."
        )
        hint = (
            f'To predict what comes later use split = {{ by = "time", column = "{column.name}" }};'
            f' where time does not matter, drop = ["{column.name}"].'
        )
        yield Finding("warning", "W354", message, hint, column.name)


def torn_groups(examples: Examples, rows: RowsOf) -> Iterator[Finding]:
    """An error where the source knows what belongs together and rows of it lie in several parts.

    Where the source knows times as well, earlier rows of a group may tell of later ones; and a
    user's ratings are known of users that were seen.
    """
    groups = examples.groups
    if groups is None or examples.times is not None or examples.signature.kind == "ratings":
        return
    train = np.unique(groups[rows["train"]])
    for part in ("valid", "test"):
        is_torn = np.isin(groups[rows[part]], train)
        if not is_torn.any():
            continue
        torn = groups[rows[part]][is_torn]
        row, of = int(rows[part][is_torn][0]), _row_of(groups, torn[0], rows)
        message = (
            f"{len(np.unique(torn))} groups of the source have rows in train and in {part}, such as"
            f" row {of + 1} and row {row + 1}."
        )
        hint = 'Split by = "group", or set allow_leaky.'
        yield Finding("error", "E358", message, hint)


def _row_of(groups: Array, group: object, rows: RowsOf) -> int:
    return int(rows["train"][np.flatnonzero(groups[rows["train"]] == group)[0]])


def _times(examples: Examples, place: int) -> Numbers:
    values = examples.inputs[:, place].astype(np.float64)
    categories = examples.signature.columns[place].categories
    if not categories:
        return values
    # One that is no time among many that are counts as missing.
    moments = [np.nan if (each := _seconds(text)) is None else each for text in categories]
    codes = np.where(np.isnan(values), len(moments), values).astype(np.int64)
    return np.array([*moments, np.nan])[codes]


def _seconds(text: str) -> float | None:
    """The seconds since 1970 of a date or a moment; None for other text, bare numbers included."""
    if text.isdigit():
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _are_days(cells: Numbers) -> bool:
    """Whether numbers are days such as 20240131."""
    months, days = cells // 100 % 100, cells % 100
    is_day = (months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)  # noqa: PLR2004
    return bool((is_day & (cells == np.floor(cells))).all())
