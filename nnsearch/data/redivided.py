"""Divide what a study has for training and validation anew. The test split stays out of it.

A winner that was picked by few validation rows is picked by their luck too; on other divisions of
the same rows it has to do without.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnsearch.data.examples import Examples
from nnsearch.data.prepare import lay_down, open_part, open_prepared
from nnsearch.errors import DataError, Problem
from nnsearch.signature import Signature
from nnsearch.study.folder import PreparedFolder
from nnsearch.study.spec import Split, derived_seed

Order = npt.NDArray[np.int64]


def refuse(key: str, signature: Signature, spec: Split, target: str) -> None:
    """Raise DataError where other divisions of the rows would not be like the first.

    `key` is what the study wants them for, `target` the kind of target that its task wants.
    """
    reasons = {
        "rows that are split by time cannot be divided anew": spec.by == "time",
        "a text's words are numbered by the first division": signature.kind == "text",
        "the anomalies among the training rows were left out": target == "anomaly",
    }
    for reason, holds in reasons.items():
        if holds:
            problem = Problem("E372", f"{key}: {reason}.", hint=f"Take {key} out of the study.")
            raise DataError([problem])


def redivide(prepared: Path, spec: Split, *, seed: int, count: int) -> list[Path]:
    """`count` folders of prepared data, each with other rows of train and valid for validation.

    They have as many validation rows as the first division, and no row twice where the rows are
    enough; by class and by group as `spec` says. A folder that is there already is used.
    """
    return _divide(prepared, spec, seed, [f"{place}-of-{count}" for place in range(count)])


def folds(prepared: Path, spec: Split, *, seed: int, count: int) -> list[Path]:
    """The first division as it is, and `count` - 1 others that validate by other rows."""
    names = ["", *(f"fold-{place}-of-{count}" for place in range(1, count))]
    return _divide(prepared, spec, seed, names)


def _divide(prepared: Path, spec: Split, seed: int, names: Sequence[str]) -> list[Path]:
    """A folder for each name; no name stands for the first division, which then begins."""
    first, count = open_prepared(prepared), len(names)
    folders = [prepared.parent / f"{prepared.name}-{each}" if each else prepared for each in names]
    if all(PreparedFolder(each).record.exists() for each in folders):
        return folders
    examples = _together([open_part(prepared, "train"), open_part(prepared, "valid")])
    order = _order(examples, spec, np.random.default_rng(derived_seed(seed, "redivide", count)))
    if prepared in folders:
        is_first = order >= first.num_rows["train"]  # the rows of valid stand behind those of train
        order = np.concatenate([order[is_first], order[~is_first]])
    for folder, block in zip(folders, _blocks(order, first.num_rows["valid"], count), strict=True):
        if PreparedFolder(folder).record.exists():
            continue
        valid = block
        if spec.by == "group" and examples.groups is not None:
            valid = np.flatnonzero(np.isin(examples.groups, examples.groups[block]))
        train = np.setdiff1d(np.arange(examples.num_rows), valid)
        rows = {"train": train, "valid": np.sort(valid)}
        num_rows = {"train": len(train), "valid": len(valid), "test": 0}
        own = replace(first, folder=folder, fingerprint=folder.name, num_rows=num_rows)
        lay_down(folder, own, examples, rows)
    return folders


def _together(parts: list[Examples]) -> Examples:
    groups = [each.groups for each in parts if each.groups is not None]
    return Examples(
        np.concatenate([each.inputs for each in parts]),
        np.concatenate([each.targets for each in parts]),
        parts[0].signature,
        np.concatenate(groups) if groups else None,
    )


def _order(examples: Examples, spec: Split, generator: np.random.Generator) -> Order:
    """Rows by chance: those of a group together, or each class spread evenly."""
    keys = generator.random(examples.num_rows)
    if spec.by == "group" and examples.groups is not None:
        numbers = np.unique(examples.groups, return_inverse=True)[1]
        return np.argsort(generator.permutation(numbers.max() + 1)[numbers], kind="stable")
    if spec.by == "class" and examples.signature.labels:
        for each in np.unique(examples.targets):
            rows = np.flatnonzero(examples.targets == each)
            keys[rows] = (generator.permutation(len(rows)) + keys[rows]) / len(rows)
    return np.argsort(keys, kind="stable")


def _blocks(order: Order, size: int, count: int) -> Iterator[Order]:
    """`count` blocks of rows that lie evenly round the order, and overlap where they have to."""
    for number in range(count):
        start = number * len(order) // count if size * count > len(order) else number * size
        yield np.take(order, np.arange(start, start + size), mode="wrap")
