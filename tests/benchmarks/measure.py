"""Run a command and say what it and everything it started cost. Knows nothing of what it runs."""

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil

PR_SET_CHILD_SUBREAPER = 36
# Looked at every quarter of a second throughout, a run of nnsearch took 6 % longer.
FIRST_SECONDS, SAMPLE_SECONDS = 0.25, 1.0
LEAVE_SECONDS = 5.0
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took: wall and CPU seconds, and the most memory at any moment.

    CPU is user and system time of the whole tree of processes. Memory is the sum of their resident
    sizes, in which a page that two processes share counts twice. `report` is what the command said
    of itself: the last line of its output, in JSON.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    report: dict[str, Any]


@dataclass(slots=True)
class _Seen:
    """The processes seen so far, by number and birth, with the CPU seconds of each."""

    cpu: dict[tuple[int, float], float] = field(default_factory=dict)
    peak_bytes: int = 0


def measured(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, limit_seconds: float
) -> Cost:
    """Run `command` in `folder`. Raises RuntimeError where it fails or says nothing in JSON.

    Whatever the command leaves running is ended and counted. The caller must have no child
    processes of its own.
    """
    adopt_orphans()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seen, over = _Seen(), Event()
    sampler = Thread(target=_sample, args=(seen, over), daemon=True)
    out, err = folder / "stdout.txt", folder / "stderr.txt"
    start = time.perf_counter()
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            list(command), cwd=folder, env=dict(environment), stdout=stdout, stderr=stderr
        )
        sampler.start()
        try:
            code = process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        wall_s = time.perf_counter() - start
    over.set()
    sampler.join()
    _end_the_rest()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    reaped = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = _last_json(out.read_text(errors="replace"))
    if code != 0 or report is None:
        tail = err.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(command[:3])} ... ended with {code}:\n{tail}")
    # A parent that ignores SIGCHLD hides its children from the kernel's sum, not from the sampler.
    cpu_s = max(reaped, sum(seen.cpu.values()))
    return Cost(wall_s, cpu_s, seen.peak_bytes / MIB, report)


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent ends; Linux alone can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _sample(seen: _Seen, over: Event) -> None:
    """Look at the whole tree now and then, soon at first, until told that it is over."""
    own, pause = psutil.Process(), FIRST_SECONDS
    while not over.wait(pause):
        pause = min(2 * pause, SAMPLE_SECONDS)
        total = 0
        for each in own.children(recursive=True):
            with suppress(psutil.Error):
                times = each.cpu_times()
                seen.cpu[each.pid, each.create_time()] = times.user + times.system
                total += each.memory_info().rss
        seen.peak_bytes = max(seen.peak_bytes, total)


def _end_the_rest() -> None:
    """End what a command left running and reap all of it, so that its CPU time is counted."""
    rest = psutil.Process().children(recursive=True)
    for each in rest:
        with suppress(psutil.Error):
            each.terminate()
    for each in psutil.wait_procs(rest, LEAVE_SECONDS)[1]:
        with suppress(psutil.Error):
            each.kill()
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _last_json(text: str) -> dict[str, Any] | None:
    for line in reversed(text.splitlines()):
        with suppress(json.JSONDecodeError):
            value = json.loads(line)
            if isinstance(value, dict):
                return value
    return None
