"""Random faults against one study of 200 trials, for half an hour; then nothing may be lost.

Run as `python tests/faults/soak.py [--minutes 30] [--seed N]`. The seed is printed: with it the
same faults come in the same order, though not at the same instants. Two workers train two trials
at a time in one program each. The budget grows by and by, so that the winner is confirmed, looked
at, exported and reported many times, with faults there too.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
from adapters import OURS, complete, end, servers, start, workers  # noqa: E402
from rig import job_files, lost, make_home, num_ended, strict, table  # noqa: E402

from nnsearch.study.folder import read_json  # noqa: E402

TRIALS, MORE = 200, 20
# A schedule that takes its time, for trials that sleep by themselves share no program.
PACE = "import time\ndef slow(step, total, losses):\n    time.sleep(0.1)\n    return 1.0\n"
SCHEDULE = '[schedule]\nname = "pace.py:slow"\n[confirmation]\ntrials = 3\nseeds = 3'
CODES = {0, 130, 143, -signal.SIGKILL}  # of a driver: through, interrupted, terminated, killed
HOLD = "import fcntl, sys, time; f = open(sys.argv[1], 'ab'); fcntl.flock(f, 2); time.sleep(4)"
LOCK = (
    "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
    "c.execute('BEGIN IMMEDIATE'); time.sleep(4)"
)

Fault = Callable[["subprocess.Popen[str]", Path, random.Random], None]


def kill_worker(driver: "subprocess.Popen[str]", home: Path, draw: random.Random) -> None:
    """SIGKILL one worker."""
    _signal(driver, draw, signal.SIGKILL)


def kill_server(driver: "subprocess.Popen[str]", home: Path, draw: random.Random) -> None:
    """SIGKILL the fork server, and with it all workers."""
    for server in servers(driver.pid):
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)


def stop_worker(driver: "subprocess.Popen[str]", home: Path, draw: random.Random) -> None:
    """SIGSTOP one worker for three seconds."""
    stopped = _signal(driver, draw, signal.SIGSTOP)
    time.sleep(3)
    if stopped is not None:
        with suppress(ProcessLookupError):
            os.kill(stopped, signal.SIGCONT)


def kill_driver(driver: "subprocess.Popen[str]", home: Path, draw: random.Random) -> None:
    """SIGKILL the driver."""
    driver.kill()


def interrupt(driver: "subprocess.Popen[str]", home: Path, draw: random.Random) -> None:
    """Ctrl-C, once, twice or three times."""
    for _ in range(draw.randint(1, 3)):
        driver.send_signal(signal.SIGINT)
        time.sleep(0.1)


def terminate(driver: "subprocess.Popen[str]", home: Path, draw: random.Random) -> None:
    """SIGTERM."""
    driver.terminate()


def hold_journal(driver: "subprocess.Popen[str]", home: Path, draw: random.Random) -> None:
    """Another process holds Optuna's journal for four seconds."""
    subprocess.run([sys.executable, "-c", HOLD, home / "optuna.journal"], check=False)


def hold_mlflow(driver: "subprocess.Popen[str]", home: Path, draw: random.Random) -> None:
    """Another process holds MLflow's database for four seconds."""
    subprocess.run([sys.executable, "-c", LOCK, home / "mlflow.db"], check=False)


FAULTS: tuple[Fault, ...] = (
    *(kill_worker, kill_server, stop_worker, kill_driver, interrupt, terminate),
    *(hold_journal, hold_mlflow),
)


def _signal(
    driver: "subprocess.Popen[str]", draw: random.Random, number: signal.Signals
) -> int | None:
    found = workers(driver.pid)
    if not found:
        return None
    chosen = draw.choice(found)
    with suppress(ProcessLookupError):
        os.kill(chosen, number)
    return chosen


def soak(folder: Path, minutes: float, seed: int) -> list[str]:
    """What was lost: nothing, if all is well. Prints each fault, and how often there was which.

    An epoch takes 0.4 s; there are as many as make 200 trials last about as long.
    """
    home = make_home(folder, folder, search=SCHEDULE, epochs=max(4, round(1.5 * minutes)))
    (folder / "pace.py").write_text(PACE)
    draw, until = random.Random(seed), time.monotonic() + 60 * minutes
    before, injected, codes, budget = table(home), Counter[str](), Counter[int](), MORE
    while time.monotonic() < until and budget <= TRIALS:
        driver = start(OURS, home, *_options(budget))
        while driver.poll() is None and time.monotonic() < until:
            with suppress(subprocess.TimeoutExpired):
                driver.wait(draw.uniform(5, 15))
            if driver.poll() is None:
                fault = draw.choice(FAULTS)
                injected[fault.__name__] += 1
                _say(f"{num_ended(home):4} trials ended; {fault.__doc__}")
                fault(driver, home, draw)
        if driver.poll() is None:
            driver.terminate()
        code, errors = end(driver, 60)
        codes[code] += 1
        if code not in CODES or "Traceback" in errors:
            return [f"a driver ended with {code} (N7): {errors[-2000:]}"]
        after = table(home)
        if any(after.get(number) != row for number, row in before.items()):
            return ["what had ended is not there any more (N3)"]
        before = after
        budget += MORE if code == 0 else 0
    return [*_conclusion(home, min(budget, TRIALS)), *_summary(home, injected, codes)]


def _conclusion(home: Path, budget: int) -> list[str]:
    """What was lost once the same command came to its end without a fault."""
    complete(OURS, home, *_options(budget))
    said = strict(home)
    return lost(OURS, home, budget) + ([said] if said else [])


def _summary(home: Path, injected: Counter[str], codes: Counter[int]) -> list[str]:
    """Print what was done; what is missing of it."""
    fused = sum(len(read_json(path)["trials"]) == 2 for path in job_files(home))
    confirmed = len(list((home / "studies/small/confirmation/jobs").glob("[0-9]*")))
    _say(f"{num_ended(home)} trials, {fused} programs of two, {confirmed} jobs to confirm")
    _say(f"{injected.total()} faults: {_counts(injected)}")
    _say(f"{codes.total()} drivers ended with: {_counts(codes)}")
    return [] if fused and confirmed else ["nothing was fused, or nothing confirmed"]


def _options(budget: int) -> tuple[str, ...]:
    return "--workers", "2", "--trials", str(budget), "--reopen-test"


def _counts(found: Counter[str] | Counter[int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in found.most_common())


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Soak, and exit 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    chosen = parser.parse_args()
    _say(f"seed {chosen.seed}")
    with tempfile.TemporaryDirectory(prefix="nnsearch-soak-") as folder:
        found = soak(Path(folder), chosen.minutes, chosen.seed)
    _say("\n".join(found or ["nothing was lost"]))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
