"""What a worker writes of a trial and reads of the driver's verdicts. Trains nothing."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nnsearch import events
from nnsearch.events import Ending, Event, Failed, Finished
from nnsearch.study.folder import JobFolder, write_whole
from nnsearch.study.spec import Objective
from nnsearch.training import checkpoint
from nnsearch.training.evaluate import save_predictions
from nnsearch.training.fit import Kept
from nnsearch.training.jobfile import recorded
from nnsearch.training.material import Material

POLL_SECONDS = 0.002
VERDICT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Account:
    """Where a job's trials are accounted for, and what they are judged by.

    `rungs` are the epochs after which a trial waits for the pruner's verdict; `code` is the folder
    of the study file.
    """

    folder: JobFolder
    objective: Objective
    rungs: tuple[int, ...]
    code: Path

    def ended(self) -> set[int]:
        """The trials that have ended, by their numbers."""
        return {each.trial for each in recorded(self.folder) if isinstance(each, Ending)}


def record(folder: JobFolder, *told: Event) -> None:
    """Append events to the job's file; endings are on the disk when this returns."""
    has_ending = any(isinstance(each, Ending) for each in told)
    events.append_lines(folder.events, [events.to_line(each) for each in told], sync=has_ending)


def record_cost(folder: JobFolder, cpu_seconds: float) -> None:
    """Note what a job took of its process, all threads together: what stands for its energy."""
    events.cut_torn_line(folder.cost)
    line = json.dumps({"cpu_seconds": round(cpu_seconds, 4)}) + "\n"
    events.append_lines(folder.cost, [line], sync=False)


def await_verdicts(folder: JobFolder, numbers: set[int], epoch: int) -> set[int]:
    """Wait until the driver has judged the trials after this epoch; those that are to stop.

    Raises TimeoutError where it does not.
    """
    deadline = time.monotonic() + VERDICT_SECONDS
    while time.monotonic() < deadline:
        found = _verdicts(folder.verdicts, epoch)
        if numbers <= found.keys():
            return {number for number in numbers if not found[number]}
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"no verdict on trials {sorted(numbers)} after epoch {epoch}")


def finish(
    account: Account,
    number: int,
    kept: Kept,
    material: Material,
    *,
    seconds: float,
    shown: Mapping[str, Any] = MappingProxyType({}),
) -> Ending:
    """Write the trial's files, with what its task has to show; the ending that says so."""
    key = account.objective.key
    value = kept.metrics[key]
    if not math.isfinite(value):
        return Failed(number, time.time(), f"non-finite {key}: {value}")
    files = account.folder.trial(number)
    weights = {
        "transforms": material.transforms.state_dict(),
        "model": {name: each.cpu() for name, each in kept.weights.items()},
    }
    hashes = {
        files.weights.name: checkpoint.write_tensors(files.weights, weights),
        files.predictions.name: write_whole(
            files.predictions,
            lambda path: save_predictions(path, kept.predictions, material.valid_raw, shown),
        ),
    }
    return Finished(number, time.time(), value, kept.epoch, seconds, kept.metrics, hashes)


def one_line(error: BaseException) -> str:
    """An error as one line: its type and the first line of what it says."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:500]


def _verdicts(path: Path, epoch: int) -> dict[int, bool]:
    found = {}
    for line, _ in events.whole_lines(path):
        verdict: dict[str, Any] = json.loads(line)
        if verdict["epoch"] == epoch:
            found[int(verdict["trial"])] = bool(verdict["keep"])
    return found
