"""What goes into a predictor and what comes out, as plain values. Standard library only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. A categorical cell is the index of its text in `categories`."""

    name: str
    kind: Literal["numeric", "categorical"] = "numeric"
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """The types of a predictor's input and output.

    `shape` is one example without the batch axis: (C, H, W) for an image, (number of columns,)
    for a table. `columns` is empty where the input is not a table. `labels` are the classes in the
    order of the output's columns, empty where the output is a number; `target` is its name.
    """

    kind: Literal["table", "image"]
    shape: tuple[int, ...]
    dtype: str
    target: str = "target"
    columns: tuple[Column, ...] = ()
    labels: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values that `from_json` turns back into an equal signature."""
        return asdict(self)

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> "Signature":
        """The signature that `to_json` wrote."""
        columns = tuple(
            Column(each["name"], each["kind"], tuple(each["categories"]))
            for each in fields["columns"]
        )
        return Signature(
            kind=fields["kind"],
            shape=tuple(fields["shape"]),
            dtype=fields["dtype"],
            target=fields["target"],
            columns=columns,
            labels=tuple(fields["labels"]),
        )
