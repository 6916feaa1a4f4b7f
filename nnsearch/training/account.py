"""What a worker writes of a trial and reads of the driver's verdicts. Trains nothing."""

import errno
import fcntl
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nnsearch import events
from nnsearch.errors import StoreError
from nnsearch.events import Ending, Event, Failed, Finished, Pruned
from nnsearch.study.folder import JobFolder, write_whole
from nnsearch.study.holders import held_by
from nnsearch.study.limits import Limit, costs_of, excess_of
from nnsearch.study.spec import COST, Objective
from nnsearch.training import checkpoint
from nnsearch.training.costs import costs
from nnsearch.training.evaluate import save_predictions
from nnsearch.training.fit import Kept
from nnsearch.training.jobfile import recorded
from nnsearch.training.material import Material
from nnsearch.training.stopping import is_wanted, leave

POLL_SECONDS = 0.002
VERDICT_SECONDS = 600.0
LEAVE_SECONDS = 30.0
_HELD = frozenset({errno.EACCES, errno.EAGAIN})


@dataclass(frozen=True, slots=True)
class Account:
    """Where a job's trials are accounted for, and what they are judged by.

    `rungs` are the epochs after which a trial waits for the pruner's verdict; `code` is the folder
    of the study file; `others` are the objectives beside the main one. What is finished is told to
    nobody yet where the account `holds` it. A trial whose objective reaches `enough` ends there.
    """

    folder: JobFolder
    objective: Objective
    rungs: tuple[int, ...]
    code: Path
    others: tuple[Objective, ...] = ()
    limits: tuple[Limit, ...] = ()
    holds: bool = False
    enough: float | None = None

    def ended(self) -> set[int]:
        """The trials that need no more training here, by their numbers."""
        ended = {each.trial for each in recorded(self.folder) if isinstance(each, Ending)}
        return ended | held(self.folder).keys()


@contextmanager
def sole_attempt(folder: JobFolder) -> Iterator[None]:
    """Within it no other process works on the job: an old attempt writes nothing behind a new one.

    The kernel lets go of the lock when the process that holds it has ended, and not before: so an
    attempt that was killed, but not yet dead, is waited for, and one that is only stopped cannot be
    overtaken. No child inherits the lock. It fences attempts on one machine, or on a file system
    whose locks outlast a lost connection; an executor that gives up on a machine it cannot reach
    has to number its attempts and give each an event file of its own.

    Raises StoreError where another process still holds the job after half a minute.
    """
    deadline = time.monotonic() + LEAVE_SECONDS
    with folder.lock.open("ab") as file:
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in _HELD:
                    raise
            if time.monotonic() > deadline:
                raise StoreError(
                    f"an earlier attempt still works on {folder.root}{held_by(folder.lock)}.",
                    "End that process and type the same command: nothing is lost.",
                )
            time.sleep(10 * POLL_SECONDS)
        yield


def record(account: Account, *told: Event) -> None:
    """Append events to the job's file; endings are on the disk when this returns."""
    kept = [each for each in told if account.holds and isinstance(each, Finished)]
    if kept:
        events.cut_torn_line(account.folder.held)
        events.append_lines(account.folder.held, map(events.to_line, kept), sync=True)
    lines = [events.to_line(each) for each in told if each not in kept]
    if lines:
        has_ending = any(isinstance(each, Ending) for each in told)
        events.append_lines(account.folder.events, lines, sync=has_ending)


def held(folder: JobFolder) -> dict[int, Finished]:
    """What a job has finished and not told yet, by the trials' numbers."""
    found = (events.from_line(line) for line, _ in events.whole_lines(folder.held))
    return {each.trial: each for each in found if isinstance(each, Finished)}


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
        if is_wanted():  # nobody judges any more
            leave()
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
    objectives = (account.objective, *account.others)
    wanted = costs_of(objectives, account.limits)
    metrics = dict(kept.metrics)
    if wanted:
        metrics |= costs(wanted, account.folder, number, kept, material=material, seconds=seconds)
    keys = [*(each.key for each in objectives), *(each.key for each in account.limits)]
    for key in keys:
        if not math.isfinite(metrics[key]):
            return Failed(number, time.time(), f"non-finite {key}: {metrics[key]}")
    excess = excess_of(account.limits, metrics)
    value = metrics[account.objective.key]
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
    return Finished(number, time.time(), value, kept.epoch, seconds, metrics, hashes, excess)


def barred(account: Account, number: int, num_parameters: int) -> Pruned | None:
    """The ending of a trial that need not be trained: its size alone breaks a constraint."""
    excess = excess_of(account.limits, {f"{COST}parameters": float(num_parameters)})
    ending = Pruned(number, time.time(), 0, None, excess=excess)
    return None if ending.is_feasible else ending


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
