"""Examples: what a source returns. Knows no file format, no split and no task."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nnsearch.signature import Signature

Array = npt.NDArray[np.generic]
Rows = npt.NDArray[np.int64] | npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """N examples with their targets, and what the source has to say about them.

    `inputs` is [N, *signature.shape]: a table is float64, where a categorical cell is the index
    into its column's categories and a missing cell is NaN in both kinds; an image is [C, H, W],
    uint8 or float32; a series is [C, T], float32, NaN where a value is missing and behind its end.
    A text is a str among objects until the data are prepared, then the numbers of its tokens,
    int32 [T]. `targets` is [N]: as the source has them until they are encoded, then int64 class
    indices where `signature.labels` is set and float64 numbers where it is not; a forecast's are
    float64 [N, 3, H]. `groups` and `times` are [N] or None, as is `until`, the last moment that
    is in the target of a row of `times`; `held_out` marks the rows that the source declares to be
    the test split. `notes` are sentences about what was done to the data on the way.
    """

    inputs: Array
    targets: Array
    signature: Signature
    groups: Array | None = None
    times: npt.NDArray[np.float64] | None = None
    held_out: npt.NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    until: npt.NDArray[np.float64] | None = None

    @property
    def num_rows(self) -> int:
        """N."""
        return len(self.targets)

    def take(self, rows: Rows) -> "Examples":
        """The examples of these rows (indices or a mask), in that order."""
        return replace(
            self,
            inputs=self.inputs[rows],
            targets=self.targets[rows],
            groups=None if self.groups is None else self.groups[rows],
            times=None if self.times is None else self.times[rows],
            held_out=None if self.held_out is None else self.held_out[rows],
            until=None if self.until is None else self.until[rows],
        )


def row_keys(inputs: Array, targets: Array) -> list[bytes]:
    """One short key a row, equal for rows that are equal in input and target."""
    if inputs.dtype.kind == "O":
        cells = np.array([hashlib.blake2b(str(each).encode()).hexdigest() for each in inputs])
    else:
        cells = np.ascontiguousarray(inputs)
    if np.issubdtype(cells.dtype, np.floating):
        # -0.0 is equal to 0.0 and every NaN means missing, so their bits have to agree as well.
        cells = np.where(np.isnan(cells), np.nan, np.where(cells == 0, 0, cells))
    ends = [repr(each).encode() for each in targets.tolist()]
    return [
        hashlib.blake2b(row.tobytes() + end, digest_size=12).digest()
        for row, end in zip(cells, ends, strict=True)
    ]


def without_copies(examples: Examples) -> Examples:
    """The examples without rows that repeat an earlier one; a note says how many went.

    Of equal rows the held out one stays, so that the declared test split is whole.
    """
    keys = row_keys(examples.inputs, examples.targets)
    held_out = examples.held_out
    order: Sequence[int] = range(len(keys))
    if held_out is not None:
        order = np.argsort(~held_out, kind="stable").tolist()
    seen: set[bytes] = set()
    kept = np.zeros(len(keys), dtype=bool)
    for row in order:
        is_test = held_out is not None and bool(held_out[row])
        kept[row] = is_test or keys[row] not in seen
        seen.add(keys[row])
    num_dropped = len(keys) - int(kept.sum())
    if not num_dropped:
        return examples
    note = f"{num_dropped} rows are equal to another row: dropped, as dedupe asks"
    return replace(examples.take(kept), notes=(*examples.notes, note))
