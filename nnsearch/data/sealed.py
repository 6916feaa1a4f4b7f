"""The test split, sealed until a study has chosen: the only way in, and a record of who went in.

A line of the record is on the disk before the first array is opened, so a look that was killed
half-way is known too. One more look by the same trial is the same look made again; a look by
another trial opens the split again, which is refused unless somebody says that it may be.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnsearch.errors import UsageError
from nnsearch.events import append_lines, cut_torn_line, whole_lines

if TYPE_CHECKING:
    from nnsearch.data.examples import Examples

# What `sys.addaudithook` is told of each look, for whoever wants to watch.
AUDIT = "nnsearch.open_test"


@dataclass(frozen=True, slots=True)
class Read:
    """A look at the test split by a trial. `is_reopening`: another trial had looked before."""

    trial: int
    at: float
    data: str
    is_reopening: bool = False


def open_test(folder: Path, record: Path, *, trial: int, may_reopen: bool = False) -> "Examples":
    """The test split of the prepared data in `folder`, for a trial that was chosen; recorded.

    Raises UsageError where another trial has looked before and `may_reopen` does not allow it.
    """
    from nnsearch.data.prepare import map_part  # the driver reads the record and loads no torch

    others = sorted({each.trial for each in reads(record)} - {trial})
    refuse_reopening(others, trial, may_reopen=may_reopen)
    sys.audit(AUDIT, str(folder), trial)
    line = json.dumps(asdict(Read(trial, time.time(), folder.name, bool(others)))) + "\n"
    cut_torn_line(record)
    append_lines(record, [line], sync=True)
    return map_part(folder, "test")


def reads(record: Path) -> list[Read]:
    """Every look at the test split that was recorded, the first first."""
    return [Read(**json.loads(line)) for line, _ in whole_lines(record)]


def refuse_reopening(others: Sequence[int], trial: int, *, may_reopen: bool) -> None:
    """Raise UsageError where the trials `others` have looked and nobody allows one more look."""
    if others and not may_reopen:
        shown = ", ".join(map(str, others))
        raise UsageError(
            f"the test split was opened for trial {shown}; trial {trial} is the best now.",
            "A second look is less honest than the first: the same command with --reopen-test"
            " takes it, and records it. Every trial is kept either way.",
        )
