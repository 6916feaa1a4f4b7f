"""What happens to trials, as frozen values of one JSON line each. Knows no store and no torch.

Workers append events to their job's file; the driver reads them. The files are the truth, so a
reader takes a line only once its newline is there, and a writer cuts a torn last line off before
it appends.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any, BinaryIO

from nnsearch.crashes import crash_point

Scalar = bool | int | float | str

_BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Asked:
    """The driver drew a trial. `params` are the searched values under their dotted names."""

    trial: int
    uid: str
    seed: int
    params: dict[str, Scalar]
    config: dict[str, Scalar]


@dataclass(frozen=True, slots=True)
class Started:
    """A worker began, or began again, to train a trial; `epoch` is the first it will train."""

    trial: int
    uid: str
    at: float
    epoch: int = 1
    device: str = "cpu"
    num_parameters: int = 0


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch is over (counted from 1). `metrics` are such as `valid/accuracy` and `lr`."""

    trial: int
    epoch: int
    at: float
    seconds: float
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial is complete: the commit point. `epoch` is the one whose weights were kept.

    `files` maps each file in the trial's folder to its sha256, and `excess` each constraint of the
    study, such as `parameters <= 1000`, to how far the trial lies beyond it: above 0 it is broken.
    """

    trial: int
    at: float
    value: float
    epoch: int
    seconds: float
    metrics: dict[str, float]
    files: dict[str, str] = field(default_factory=dict)
    excess: dict[str, float] = field(default_factory=dict)

    @property
    def is_feasible(self) -> bool:
        """Whether no constraint is broken."""
        return all(each <= 0 for each in self.excess.values())


@dataclass(frozen=True, slots=True)
class Pruned:
    """The pruner stopped a trial after `epoch`, at the objective value `value`.

    Or it was not trained at all, for what is known beforehand breaks a constraint: then `epoch` is
    0, there is no value, and `excess` says how far each known constraint is exceeded.
    """

    trial: int
    at: float
    epoch: int
    value: float | None
    seconds: float = 0.0
    excess: dict[str, float] = field(default_factory=dict)

    @property
    def is_feasible(self) -> bool:
        """Whether no constraint is known to be broken."""
        return all(each <= 0 for each in self.excess.values())


@dataclass(frozen=True, slots=True)
class Failed:
    """A trial cannot be completed; `error` is one line, `details` the traceback."""

    trial: int
    at: float
    error: str
    details: str = ""

    @property
    def has_diverged(self) -> bool:
        """Whether its loss or a metric was not finite, which is its configuration's doing."""
        return "non-finite " in self.error and not self.details


@dataclass(frozen=True, slots=True)
class Tested:
    """The chosen trial was looked at, once, on the test split.

    `intervals` holds, for the metrics that have one, the ends of a 95 % interval; `notes` say of
    the others why there is none.
    """

    trial: int
    at: float
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    num_rows: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retrained:
    """What trainings of a trial's configuration on fresh seeds say of it.

    `searched` is its value in the search, `values` those of its trainings, each judged at the epoch
    that is the best for the others. `mean` is theirs, `estimate` what is left of it once luck is
    taken out, with the ends of its 95 % interval; `chance` is the probability that it is the best.
    """

    trial: int
    searched: float
    values: tuple[float, ...]
    mean: float
    estimate: float
    low: float
    high: float
    chance: float
    num_failed: int = 0


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The winner was chosen among the best trials by trainings on fresh seeds, the best first.

    `num_searched` is how many trials the search had completed by then; `notes` say what the
    intervals leave out.
    """

    trial: int
    at: float
    candidates: tuple[Retrained, ...]
    num_searched: int
    notes: tuple[str, ...] = ()

    @staticmethod
    def from_json(fields: dict[str, Any]) -> "Confirmed":
        """The event that `dataclasses.asdict` and JSON wrote."""
        told = [{**each, "values": tuple(each["values"])} for each in fields["candidates"]]
        candidates = tuple(Retrained(**each) for each in told)
        notes = tuple(fields["notes"])
        return Confirmed(**{**fields, "candidates": candidates, "notes": notes})


@dataclass(frozen=True, slots=True)
class Confirming:
    """So many of the trainings on fresh seeds that were asked for are over."""

    num_done: int
    num_asked: int


Event = Asked | Started | Epoch | Finished | Pruned | Failed | Confirming | Confirmed | Tested
Ending = Finished | Pruned | Failed

_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (Asked, Started, Epoch, Finished, Pruned, Failed, Confirming, Confirmed, Tested)
}


def to_line(event: Event) -> str:
    """One line of JSON, newline included; floats survive bit for bit, NaN and infinity too."""
    line = {"event": type(event).__name__, **_fields(event)}
    return json.dumps(line, default=_fields) + "\n"


def _fields(value: Any) -> dict[str, Any]:
    """A dataclass's fields as they are: `asdict` would copy each of an epoch's values."""
    return {each.name: getattr(value, each.name) for each in fields_of(value)}


def from_line(line: str) -> Event:
    """The event of one line. Raises ValueError where the line is not one of ours."""
    fields: dict[str, Any] = json.loads(line)
    kind = _KINDS.get(fields.pop("event", ""))
    if kind is None:
        raise ValueError(f"not an event: {line[:80]!r}")
    if kind is Confirmed:
        return Confirmed.from_json(fields)
    if kind is Tested:
        fields["intervals"] = {key: tuple(ends) for key, ends in fields["intervals"].items()}
        fields["notes"] = tuple(fields.get("notes", ()))
    return kind(**fields)


def append_lines(path: Path, lines: Iterable[str], *, sync: bool) -> None:
    """Append whole lines in one write; with `sync` they are on the disk when this returns."""
    with path.open("ab") as file:
        file.write("".join(lines).encode())
        if sync:
            file.flush()
            os.fsync(file.fileno())
    if sync:
        crash_point(f"{path.name} synced")


def whole_lines(path: Path, offset: int = 0) -> Iterator[tuple[str, int]]:
    """Each complete line from byte `offset` on, with the offset behind it; a torn one is left."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                offset += len(raw)
                yield raw.decode(), offset
    except FileNotFoundError:
        return


def cut_torn_line(path: Path) -> None:
    """Cut the file back to its last newline, so that the next line appended stands alone.

    Read from the end, for it is called before every line of files that grow.
    """
    try:
        with path.open("rb") as file:
            size = end = file.seek(0, os.SEEK_END)
            while end and not _ends_a_line(file, end):
                start = max(0, end - _BLOCK_BYTES)
                file.seek(start)
                end = start + file.read(end - start).rfind(b"\n") + 1
    except FileNotFoundError:
        return
    if end < size:
        os.truncate(path, end)


def _ends_a_line(file: BinaryIO, end: int) -> bool:
    file.seek(end - 1)
    return file.read(1) == b"\n"
