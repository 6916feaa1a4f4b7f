"""What goes into a predictor and what comes out, as plain values. Standard library only."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

# Left out where they are empty: what older data do not have.
NEWER = ("words", "pattern", "names")
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. A categorical cell is the index of its text in `categories`.

    A column of the kind "text" is the one input of a predictor of texts.
    """

    name: str
    kind: Literal["numeric", "categorical", "text"] = "numeric"
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """The types of a predictor's input and output.

    `shape` is one example without the batch axis: (C, H, W) for an image, (C, T) for a series of T
    steps, (T,) for the T tokens of a text, (number of columns,) for a table, (2,) for the user and
    the item of a rating, both categorical columns. `columns` is empty
    where the input is an array. `labels` are the classes in the order of the output's columns,
    empty where the output is a number; `target` is its name. Where there are several numbers,
    `names` are theirs; where the targets are pictures, they are the classes of these.

    The tokens of a text are what the regular expression `pattern` finds in its lower case: token
    number 2 is the first of `words`, 1 a word that is not among them, 0 stands behind the end.
    """

    kind: Literal["table", "image", "series", "text", "ratings"]
    shape: tuple[int, ...]
    dtype: str
    target: str = "target"
    columns: tuple[Column, ...] = ()
    labels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    pattern: str = ""
    names: tuple[str, ...] = ()

    def text_of(self, tokens: Iterable[int]) -> str:
        """A text of these numbers of tokens, where a sign that is none stands for unknown words."""
        known = dict(enumerate(self.words, start=2))
        return " ".join(known.get(each, UNKNOWN) for each in tokens if each)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values that `from_json` turns back into an equal signature."""
        fields = asdict(self)
        # Data without texts keep the fingerprint that they had before there were any.
        return {key: fields[key] for key in fields if key not in NEWER or fields[key]}

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
            words=tuple(fields.get("words", ())),
            pattern=fields.get("pattern", ""),
            names=tuple(fields.get("names", ())),
        )
