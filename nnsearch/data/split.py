"""Divide rows into train, valid and test. Pure: knows no file and draws from the seed alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from nnsearch.components import nearest
from nnsearch.data.examples import Array, Examples
from nnsearch.errors import DataError, Problem
from nnsearch.study.spec import Split

RowsOf = dict[str, npt.NDArray[np.int64]]
Shares = dict[str, float]
Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")


def split(examples: Examples, spec: Split, seed: int) -> RowsOf:
    """The rows of `train`, `valid` and `test`: ascending, disjoint, together all of them.

    By time, rows whose target reaches into the part that follows are in none.

    Rows that the source holds out are the test split, and only the others are divided, in the
    proportion of train to valid. By class, each class with three rows or more is in every part.
    Raises DataError where a part with a share above zero would be empty.

        split(examples, Split(0.5, 0.25, 0.25), seed=0)["train"]   # array([0, 2, 3, 7])
    """
    shares: Shares = {"train": spec.train, "valid": spec.valid, "test": spec.test}
    rows = np.arange(examples.num_rows)
    held_out = np.empty(0, dtype=np.int64)
    if examples.held_out is not None:
        held_out = rows[examples.held_out]
        rows = rows[~examples.held_out]
        shares["test"] = 0.0
    total = sum(shares.values())
    wanted = {part: share / total for part, share in shares.items()}
    places = _places(examples.take(rows), wanted, spec.by, np.random.default_rng(seed))
    parts: RowsOf = {part: np.sort(rows[places[part]]) for part in PARTS}
    if examples.held_out is not None:
        parts["test"] = held_out
        wanted["test"] = 1.0
    empty = [part for part in PARTS if wanted[part] > 0 and not len(parts[part])]
    if empty:
        message = f"{examples.num_rows} rows are too few: {' and '.join(empty)} would be empty."
        raise DataError([Problem("E361", message, hint="Add rows or change the shares.")])
    return parts


def with_split_column(examples: Examples, spec: Split) -> Examples:
    """The examples with the split's column taken out of the inputs, as groups or times.

    Raises DataError where there is no such column, or a cell of it is missing or no time.
    """
    if spec.by not in {"group", "time"}:
        return examples
    known = examples.groups if spec.by == "group" else examples.times
    if not spec.column and known is not None:
        return examples
    names = [column.name for column in examples.signature.columns]
    if not spec.column:
        message = f"split by {spec.by}: the source knows no {spec.by} of its own."
        raise DataError([Problem("E317", message, hint="Name a column as split.column.")])
    if spec.column not in names:
        message = f"split by {spec.by}: there is no column '{spec.column}'."
        hint = nearest(spec.column, names) if names else "The source has to give it."
        raise DataError([Problem("E317", message, hint=hint)])
    place = names.index(spec.column)
    values = _column_values(examples, place, spec)
    columns = tuple(each for each in examples.signature.columns if each.name != spec.column)
    return replace(
        examples,
        inputs=np.delete(examples.inputs, place, axis=1),
        signature=replace(examples.signature, columns=columns, shape=(len(columns),)),
        groups=values if spec.by == "group" else examples.groups,
        times=values if spec.by == "time" else examples.times,
        notes=(*examples.notes, f"column '{spec.column}' divides the rows: it is no input"),
    )


def _column_values(examples: Examples, place: int, spec: Split) -> npt.NDArray[np.float64]:
    values = examples.inputs[:, place].astype(np.float64)
    missing = np.flatnonzero(np.isnan(values))
    if len(missing):
        message = f"column '{spec.column}' of the split is missing in row {missing[0] + 1}."
        raise DataError([Problem("E321", message, hint="Fill it in or remove the row.")])
    categories = examples.signature.columns[place].categories
    if spec.by == "group" or not categories:
        return values
    return np.array([_moment(text, spec.column) for text in categories])[values.astype(np.int64)]


def _moment(text: str, column: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"column '{column}' of the split holds '{text[:40]}', which is no time."
        hint = "Write times as 2024-01-31 or 2024-01-31T12:00."
        raise DataError([Problem("E318", message, hint=hint)]) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _places(examples: Examples, shares: Shares, by: str, generator: np.random.Generator) -> RowsOf:
    if by == "group" and examples.groups is not None:
        return _by_group(examples.groups, shares, generator)
    if by == "time" and examples.times is not None:
        return _without_overlap(_by_time(examples.times, shares), examples.times, examples.until)
    if by in {"group", "time"}:
        hint = "Name it as split.column."
        raise DataError([Problem("E317", f"the source gives no {by} to split by.", hint=hint)])
    if by == "class" and examples.signature.labels:
        return _by_class(examples.targets.astype(np.int64), shares, generator)
    order = generator.permutation(examples.num_rows)
    sizes = _sizes(examples.num_rows, shares)
    return _cut(order, sizes["train"], sizes["valid"])


def _sizes(num_rows: int, shares: Shares) -> dict[str, int]:
    test, valid = (round(num_rows * shares[part]) for part in ("test", "valid"))
    return {"train": num_rows - valid - test, "valid": valid, "test": test}


def _cut(order: npt.NDArray[np.int64], num_train: int, num_valid: int) -> RowsOf:
    train, valid, test = np.split(order, [num_train, num_train + num_valid])
    return {"train": train, "valid": valid, "test": test}


def _by_class(
    classes: npt.NDArray[np.int64], shares: Shares, generator: np.random.Generator
) -> RowsOf:
    """Each class in the same proportion; parts have the sizes that an unstratified split has."""
    sizes = _sizes(len(classes), shares)
    left = np.bincount(classes)
    whole = left.copy()
    taken = {}
    for part in ("test", "valid"):
        # One row of a class stays for train, which cannot learn a class it never sees, and of
        # three rows one for valid.
        is_next = part == "test" and shares["valid"] > 0
        most = left - np.where(is_next & (whole >= len(PARTS)), 2, 1)
        taken[part] = _apportioned(whole, most, sizes[part])
        if shares[part] > 0:
            # A class that could be everywhere must not miss a part because of rounding.
            taken[part] = np.where(whole >= len(PARTS), np.maximum(taken[part], 1), taken[part])
        left = left - taken[part]
    found: dict[str, list[npt.NDArray[np.int64]]] = {part: [] for part in PARTS}
    for index in range(len(whole)):
        rows = generator.permutation(np.flatnonzero(classes == index))
        num_valid = int(taken["valid"][index])
        cut = _cut(rows, len(rows) - num_valid - int(taken["test"][index]), num_valid)
        for part in PARTS:
            found[part].append(cut[part])
    return {part: np.concatenate(found[part]) for part in PARTS}


def _apportioned(
    whole: npt.NDArray[np.int64], most: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.int64]:
    """How many rows of each class, `most` at the most, make `size`, by the largest remainder."""
    exact = whole * (size / max(int(whole.sum()), 1))
    counts = np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(counts - exact, kind="stable")
    counts[by_remainder[: size - int(counts.sum())]] += 1
    kept: npt.NDArray[np.int64] = np.minimum(counts, np.maximum(most, 0))
    return kept


def _by_group(groups: Array, shares: Shares, generator: np.random.Generator) -> RowsOf:
    """Whole groups, the largest first, each to the part that lacks the most rows."""
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    wanted = [part for part in PARTS if shares[part] > 0]
    if len(counts) < len(wanted):
        message = f"{len(counts)} groups are too few for {len(wanted)} parts."
        raise DataError([Problem("E361", message, hint="Split by class or random instead.")])
    order = generator.permutation(len(counts))
    order = order[np.argsort(-counts[order], kind="stable")]
    lacking = {part: shares[part] * len(groups) for part in wanted}
    part_of: dict[int, str] = {}
    for place, group in enumerate(order.tolist()):
        unserved = [part for part in wanted if part not in part_of.values()]
        is_last_chance = len(order) - place <= len(unserved)
        part = max(unserved if is_last_chance else wanted, key=lambda each: lacking[each])
        lacking[part] -= float(counts[group])
        part_of[group] = part
    return {
        part: np.flatnonzero(np.isin(index, [key for key, to in part_of.items() if to == part]))
        for part in PARTS
    }


def _without_overlap(
    parts: RowsOf, times: npt.NDArray[np.float64], until: npt.NDArray[np.float64] | None
) -> RowsOf:
    """Each part without the rows whose target reaches into the part that follows."""
    if until is None:
        return parts
    kept = dict(parts)
    for part, following in (("train", "valid"), ("valid", "test")):
        if len(parts[following]):
            kept[part] = parts[part][until[parts[part]] < times[parts[following]].min()]
    return kept


def _by_time(times: npt.NDArray[np.float64], shares: Shares) -> RowsOf:
    """The oldest rows train, the newest test; rows of one moment stay together."""
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    sizes = _sizes(len(times), shares)
    ends = [sizes["train"], sizes["train"] + sizes["valid"]]
    cuts = [
        int(np.searchsorted(ordered, ordered[end])) if end < len(ordered) else end for end in ends
    ]
    return _cut(order, cuts[0], cuts[1] - cuts[0])
