"""What a study costs as it grows: the first tenth of its trials against the last.

    python tests/benchmarks/growth.py --trials 1000 --source digits --widths 64

One tiny study with pruning runs in this process, so that the clock of each of its threads can be
read while it works. Printed are, for each tenth of the trials, milliseconds a trial of the clock,
of the CPU of workers, tracking and the rest of the driver, and the mean width of its networks: a
search that may choose comes to prefer wide ones, which take longer to train. What is tracked is
written some seconds later, so its CPU time is counted where the trials were that it was for; the
clock cannot be. Then how long the first trial takes from a cold start, and memory.
"""

import argparse
import json
import logging
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

TRACKER = "mlflow-writer"
SAMPLE_SECONDS = 0.1
MIB = 2**20
NUM_TENTHS = 10
WIDTHS = {"iris": "4,8,16", "digits": "32,64,128"}
STUDY = """
name = "growth"
[data]
source = "{source}"
[task]
name = "classification"
[model]
name = "mlp"
width = { choice = {widths} }
dropout = { float = [0.0, 0.5] }
[optimizer]
name = "adam"
lr = { float = [1e-4, 1e-1], log = true }
[training]
epochs = 9
[search]
sampler = "tpe"
pruner = "hyperband"
trials = {trials}
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a trial ended, in seconds since the start, and the CPU seconds used up to then."""

    wall: float
    driver: float  # its tracking thread's too
    tracking: float
    workers: float


@dataclass(slots=True)
class Watch:
    """What was seen of the driver: trials begun and ended, CPU seconds by thread, peak memory.

    `written` pairs how many trials MLflow's file holds with the tracking thread's CPU seconds then.
    """

    began: float = field(default_factory=time.perf_counter)
    ended: list[Moment] = field(default_factory=list)
    widths: dict[int, float] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    threads: dict[str, float] = field(default_factory=dict)
    processes: dict[int, float] = field(default_factory=dict)
    written: list[tuple[int, float]] = field(default_factory=lambda: [(0, 0.0)])
    home: Path | None = None
    peak_bytes: int = 0


def main(arguments: Sequence[str]) -> None:
    """Run the study and print one JSON document."""
    parser = argparse.ArgumentParser(description="What a study costs as it grows.")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--source", choices=sorted(WIDTHS), default="iris")
    parser.add_argument("--widths", default="", help="of the networks, e.g. 64 or 32,64")
    given = parser.parse_args(arguments)
    watch = Watch()
    with tempfile.TemporaryDirectory() as scratch, watching(watch):
        text = STUDY.replace("{trials}", str(given.trials)).replace("{source}", given.source)
        text = text.replace("{widths}", f"[{given.widths or WIDTHS[given.source]}]")
        _run(Path(scratch), text, watch)
        seconds = time.perf_counter() - watch.began
    sys.stdout.write(json.dumps(summary(watch, seconds), indent=1) + "\n")


def summary(watch: Watch, seconds: float) -> dict[str, object]:
    """The numbers of the second table; those a trial are in milliseconds."""
    curve = [_tenth(watch, place) for place in range(NUM_TENTHS)]
    driver, tracking = time.process_time(), watch.threads.get(TRACKER, 0.0)
    rounded = {
        "trials": len(watch.ended),
        "wall_s": seconds,
        "first_trial_s": watch.ended[0].wall,
        "after_last_trial_s": seconds - watch.ended[-1].wall,
        "growth": curve[-1]["wall"] / curve[0]["wall"],
        "growth_of_cpu": _cpu(curve[-1]) / _cpu(curve[0]),
        "driver_cpu_s": driver,
        "driver_cpu_ms_a_trial": 1e3 * driver / len(watch.ended),
        "tracking_cpu_s": tracking,
        "tracking_share_of_driver": tracking / driver,
        "workers_cpu_s": sum(watch.processes.values()),
        "peak_mib": watch.peak_bytes / MIB,
    }
    told: dict[str, object] = {name: round(value, 2) for name, value in rounded.items()}
    told["tenths"] = [
        " ".join(f"{name} {value:.1f}" for name, value in tenth.items()) for tenth in curve
    ]
    return told


def _tenth(watch: Watch, place: int) -> dict[str, float]:
    """Milliseconds a trial in one tenth of the trials, in the order in which they ended."""
    count = (len(watch.ended) - 1) // NUM_TENTHS
    first, last = watch.ended[place * count], watch.ended[(place + 1) * count]
    numbers = watch.order[place * count : (place + 1) * count]
    each = 1e3 / count
    return {
        "wall": each * (last.wall - first.wall),
        "workers": each * (last.workers - first.workers),
        "tracking": _tracking(watch, place * count, (place + 1) * count),
        "driver": each * (last.driver - first.driver - last.tracking + first.tracking),
        "width": sum(watch.widths[number] for number in numbers) / count,
    }


def _tracking(watch: Watch, begin: int, end: int) -> float:
    """Milliseconds of the tracking thread a trial, from `begin` to `end` in its own order."""
    counts, seconds = zip(*watch.written, strict=True)
    first, last = np.interp([begin, end], counts, seconds)
    return 1e3 * float(last - first) / (end - begin)


def _cpu(tenth: dict[str, float]) -> float:
    return tenth["workers"] + tenth["tracking"] + tenth["driver"]


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Read the clock of every thread and the memory of every process now and then."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(watch, over), name="watcher", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _run(scratch: Path, text: str, watch: Watch) -> None:
    # Imported here, for what importing costs is part of what the first trial waits for.
    from nnsearch import Options, run
    from nnsearch.events import Asked, Event, Failed, Finished, Pruned
    from nnsearch.study.spec import Objective

    def listen(event: Event) -> None:
        if isinstance(event, Asked):
            watch.widths[event.trial] = float(event.params["model.width"])
        if isinstance(event, Finished | Pruned | Failed):
            watch.order.append(event.trial)
            watch.ended.append(_now(watch))

    @contextmanager
    def show(_objective: Objective, _trials: int | None) -> Iterator[Callable[[Event], None]]:
        yield listen

    study = scratch / "growth.toml"
    study.write_text(text)
    watch.home = scratch / "mlruns"
    options = Options(home=watch.home)
    run(study, options, show=show, warn=logging.getLogger("nnsearch").warning)


def _now(watch: Watch) -> Moment:
    return Moment(
        wall=time.perf_counter() - watch.began,
        driver=time.process_time(),
        tracking=watch.threads.get(TRACKER, 0.0),
        workers=sum(watch.processes.values()),
    )


def _watch(watch: Watch, over: threading.Event) -> None:
    own = psutil.Process()
    while not over.wait(SAMPLE_SECONDS):
        for each in threading.enumerate():
            if each.ident is not None:
                with suppress(OSError):  # it has just ended; its last reading stands
                    clock = time.pthread_getcpuclockid(each.ident)
                    watch.threads[each.name] = time.clock_gettime(clock)
        total = own.memory_info().rss
        for process in own.children(recursive=True):
            with suppress(psutil.Error):
                total += process.memory_info().rss
                clocks = process.cpu_times()
                watch.processes[process.pid] = clocks.user + clocks.system
        watch.peak_bytes = max(watch.peak_bytes, total)
        if watch.home is not None and (watch.home / "mlflow.db").exists():
            with suppress(sqlite3.Error):  # its tables are just being made
                watch.written.append((_num_written(watch.home), watch.threads.get(TRACKER, 0.0)))


def _num_written(home: Path) -> int:
    with closing(sqlite3.connect(f"file:{home / 'mlflow.db'}?mode=ro", uri=True)) as database:
        question = "SELECT count(*) FROM runs WHERE end_time IS NOT NULL"
        return int(database.execute(question).fetchone()[0])


if __name__ == "__main__":
    main(sys.argv[1:])
