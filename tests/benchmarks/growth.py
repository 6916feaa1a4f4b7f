"""What a study costs as it grows: the first tenth of its trials against the last.

    python tests/benchmarks/growth.py --trials 1000 --source digits

One tiny study with pruning runs in this process, so that the clock of each of its threads can be
read while it works. Printed are milliseconds and CPU a trial in the first and the last tenth, which
part of the driver's CPU time is tracking's, how long the first trial takes from a cold start, and
memory.
"""

import argparse
import json
import logging
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

TRACKER = "mlflow-writer"
SAMPLE_SECONDS = 0.1
MIB = 2**20
Moment = tuple[float, float]
WIDTHS = {"iris": [4, 8, 16], "digits": [32, 64, 128]}
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


@dataclass(slots=True)
class Watch:
    """What was seen of the driver: trials begun and ended, CPU seconds by thread, peak memory.

    `ended` pairs seconds since the start with the driver's CPU seconds at each trial's end.
    """

    began: float = field(default_factory=time.perf_counter)
    ended: list[Moment] = field(default_factory=list)
    threads: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0


def main(arguments: Sequence[str]) -> None:
    """Run the study and print one JSON document."""
    parser = argparse.ArgumentParser(description="What a study costs as it grows.")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--source", choices=sorted(WIDTHS), default="iris")
    given = parser.parse_args(arguments)
    watch = Watch()
    with tempfile.TemporaryDirectory() as scratch, watching(watch):
        _run(Path(scratch), given.source, given.trials, watch)
        seconds = time.perf_counter() - watch.began
    sys.stdout.write(json.dumps(summary(watch, seconds), indent=1) + "\n")


def summary(watch: Watch, seconds: float) -> dict[str, float]:
    """The numbers of the second table; those a trial are in milliseconds."""
    tenth = max(2, len(watch.ended) // 10)
    first, last = watch.ended[: tenth + 1], watch.ended[-tenth - 1 :]
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    driver, tracking = time.process_time(), watch.threads.get(TRACKER, 0.0)
    rounded = {
        "trials": len(watch.ended),
        "wall_s": seconds,
        "first_trial_s": watch.ended[0][0],
        "after_last_trial_s": seconds - watch.ended[-1][0],
        "first_tenth_ms": _rate(first, 0),
        "last_tenth_ms": _rate(last, 0),
        "growth": _rate(last, 0) / _rate(first, 0),
        "first_tenth_driver_cpu_ms": _rate(first, 1),
        "last_tenth_driver_cpu_ms": _rate(last, 1),
        "driver_cpu_s": driver,
        "driver_cpu_ms_a_trial": 1e3 * driver / len(watch.ended),
        "tracking_cpu_s": tracking,
        "tracking_share_of_driver": tracking / driver,
        "workers_cpu_s": workers.ru_utime + workers.ru_stime,
        "peak_mib": watch.peak_bytes / MIB,
    }
    return {name: round(value, 2) for name, value in rounded.items()}


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


def _run(scratch: Path, source: str, num_trials: int, watch: Watch) -> None:
    # Imported here, for what importing costs is part of what the first trial waits for.
    from nnsearch import Options, run
    from nnsearch.events import Event, Failed, Finished, Pruned
    from nnsearch.study.spec import Objective

    def listen(event: Event) -> None:
        if isinstance(event, Finished | Pruned | Failed):
            watch.ended.append((time.perf_counter() - watch.began, time.process_time()))

    @contextmanager
    def show(_objective: Objective, _trials: int | None) -> Iterator[Callable[[Event], None]]:
        yield listen

    study = scratch / "growth.toml"
    told = {"{trials}": str(num_trials), "{source}": source, "{widths}": str(WIDTHS[source])}
    text = STUDY
    for mark, value in told.items():
        text = text.replace(mark, value)
    study.write_text(text)
    options = Options(home=scratch / "mlruns")
    run(study, options, show=show, warn=logging.getLogger("nnsearch").warning)


def _watch(watch: Watch, over: threading.Event) -> None:
    own = psutil.Process()
    while not over.wait(SAMPLE_SECONDS):
        for each in threading.enumerate():
            if each.ident is not None:
                with suppress(OSError):  # it has just ended; its last reading stands
                    clock = time.pthread_getcpuclockid(each.ident)
                    watch.threads[each.name] = time.clock_gettime(clock)
        total = 0
        for process in (own, *own.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_info().rss
        watch.peak_bytes = max(watch.peak_bytes, total)


def _rate(ended: Sequence[Moment], which: int) -> float:
    """Milliseconds a trial, of the wall clock (0) or of the driver's CPU time (1)."""
    return 1e3 * (ended[-1][which] - ended[0][which]) / (len(ended) - 1)


if __name__ == "__main__":
    main(sys.argv[1:])
