"""What tests of faults share: a small study, commands that run it, and what may be lost of it.

Every search here goes through one of two adapters: `OURS` is the command line, `NAIVE` is
naive.py, Optuna and MLflow as they are usually put together. What `lost` finds is the same for
both, so that each fault can be shown to do harm where nothing protects from it.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from test_tracking_mlflow import template

from nnsearch.commands.doctor import as_text, doctor
from nnsearch.events import Ending
from nnsearch.search.ledger import read_ledger
from nnsearch.study.folder import Home

NUM_TRIALS = 5
LIMIT_SECONDS = 110
STUDY = """
name = "small"
[data]
source = "iris"
[task]
name = "classification"
[model]
name = "{model}"
width = {{ choice = [4, 8, 16, 32] }}
[optimizer]
name = "adam"
lr = {rate}
[training]
epochs = {epochs}
checkpoint_seconds = 0
[search]
trials = {trials}
batch = 2
{search}
"""
RATE = "{ float = [1e-3, 1e-1], log = true }"
NAIVE_SCRIPT = Path(__file__).with_name("naive.py")


@dataclass(frozen=True)
class Adapter:
    """One way to search: its command, and where its Optuna store is."""

    name: str
    command: Callable[[Path], list[str]]
    storage: Callable[[Path], Any]


def _our_command(home: Path) -> list[str]:
    path = home.parent / "small.toml"
    return [
        sys.executable,
        "-m",
        "nnsearch",
        "run",
        str(path),
        "--mlruns",
        str(home),
        "--allow-code",
    ]


def _our_storage(home: Path) -> Any:
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    return JournalStorage(JournalFileBackend(str(home / "optuna.journal")))


OURS = Adapter("ours", _our_command, _our_storage)
NAIVE = Adapter(
    "naive",
    lambda home: [sys.executable, str(NAIVE_SCRIPT), str(home)],
    lambda home: f"sqlite:///{home / 'optuna.db'}",
)


def make_home(
    folder: Path,
    base: Path,
    *,
    model: str = "mlp",
    search: str = "",
    rate: str = RATE,
    **options: int,
) -> Path:
    """A fresh mlruns/ with MLflow's schema and nothing else, and the study file beside it."""
    given = {"epochs": 3, "trials": NUM_TRIALS} | options
    (folder / "small.toml").write_text(STUDY.format(model=model, search=search, rate=rate, **given))
    shutil.copyfile(Path(__file__).with_name("faulty.py"), folder / "faulty.py")
    home = folder / "mlruns"
    home.mkdir()
    shutil.copyfile(template(base), home / "mlflow.db")
    return home


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which what is made once in a session lies."""
    return tmp_path_factory.getbasetemp()


@pytest.fixture
def home(own_folder: Path, base: Path) -> Path:
    """A fresh mlruns/ for the small study."""
    return make_home(own_folder, base)


def start(
    adapter: Adapter, home: Path, *more: str, env: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Begin to search, in a process group of its own."""
    return subprocess.Popen(
        [*adapter.command(home), *more],
        cwd=home.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: "subprocess.Popen[str]", seconds: float = LIMIT_SECONDS) -> tuple[int, str]:
    """The exit code, and what was said on standard error."""
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        raise AssertionError(f"did not end within {seconds} s: {errors[-2000:]}") from None
    return process.returncode, errors


def search(
    adapter: Adapter, home: Path, *more: str, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Search to the end."""
    return end(start(adapter, home, *more, env=env))


def complete(adapter: Adapter, home: Path, *more: str) -> None:
    """The same command once more, which now has to come to its end."""
    code, errors = search(adapter, home, *more)
    assert code == 0, errors


@cache
def reference(base: Path) -> Path:
    """The home of a run without any fault."""
    folder = base / "reference"
    folder.mkdir()
    home = make_home(folder, base)
    complete(OURS, home)
    return home


def table(home: Path, name: str = "small") -> dict[int, tuple[Any, ...]]:
    """The records' final table: params, states, values, hashes and the metrics of each epoch."""
    ledger = read_ledger(Home(home).study(name))
    return {
        number: (
            sorted(ledger.specs[number].params.items()),
            type(ending).__name__,
            getattr(ending, "value", None),
            sorted(getattr(ending, "files", {}).items()),
            [sorted(each.metrics.items()) for _, each in sorted(ledger.epochs[number].items())],
        )
        for number, ending in sorted(ledger.endings.items())
    }


def num_ended(home: Path) -> int:
    """How many trials have ended, by the records."""
    return sum(
        isinstance(each, Ending) for each in read_ledger(Home(home).study("small")).endings.values()
    )


def strict(home: Path) -> str:
    """What `nnsearch doctor --strict` would exit 6 for, as text; empty where it would exit 0."""
    diagnosis = doctor(home=home, environ={})
    return as_text(diagnosis) if diagnosis.num_problems else ""


def lost(adapter: Adapter, home: Path, budget: int = NUM_TRIALS) -> list[str]:
    """N1, N2, N4 and N5, read from the two stores alone."""
    import optuna

    study = optuna.load_study(study_name="small", storage=adapter.storage(home))
    states = Counter(each.state.name for each in study.trials)
    found = [] if len(study.trials) == budget else [f"{len(study.trials)} trials, not {budget}"]
    found += [f"{states[name]} {name} trials" for name in ("RUNNING", "WAITING") if states[name]]
    runs = tracked(home)
    parents = [run for run in runs if run["trial"] is None]
    found += [] if len(parents) == 1 else [f"{len(parents)} runs of the study itself"]
    found += [f"run of {run['trial']} is RUNNING" for run in runs if run["status"] == "RUNNING"]
    complete = {each.number: each.value for each in study.trials if each.state.name == "COMPLETE"}
    logged = Counter(run["trial"] for run in runs if run["status"] == "FINISHED")
    for number, value in complete.items():
        found += [] if logged[number] == 1 else [f"trial {number} has {logged[number]} runs"]
        values = [
            run["value"] for run in runs if run["trial"] == number and run["value"] is not None
        ]
        found += [] if values == [value] else [f"trial {number}: {value} is logged as {values}"]
    for run in runs:
        if run["trial"] is None or run["status"] != "FINISHED":
            continue
        found += [] if run["trial"] in complete else [f"{run['trial']} is logged, not complete"]
        if run["steps"] != list(range(1, len(run["steps"]) + 1)):
            found.append(f"trial {run['trial']} has the steps {run['steps']}")
    return found


def tracked(home: Path) -> list[dict[str, Any]]:
    """Every run of MLflow's store that was not deleted: trial, status, objective and steps."""
    with closing(sqlite3.connect(f"file:{home / 'mlflow.db'}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT run_uuid, status, (SELECT value FROM tags WHERE tags.run_uuid = runs.run_uuid"
            " AND key = 'nnsearch.trial'), (SELECT value FROM latest_metrics WHERE"
            " latest_metrics.run_uuid = runs.run_uuid AND key = 'objective') FROM runs"
            " WHERE lifecycle_stage = 'active'"
        ).fetchall()
        return [
            {
                "trial": None if trial is None else int(trial),
                "status": status,
                "value": value,
                "steps": [
                    step
                    for (step,) in database.execute(
                        "SELECT step FROM metrics WHERE run_uuid = ? AND key = 'valid/loss'"
                        " ORDER BY step",
                        (run,),
                    )
                ],
            }
            for run, status, trial, value in rows
        ]


def assert_nothing_lost(home: Path, base: Path | None = None, budget: int = NUM_TRIALS) -> None:
    """The stores are whole, doctor agrees, and the table is that of a run without a fault."""
    found = lost(OURS, home, budget)
    assert found == [], found
    said = strict(home)
    assert said == "", said
    if base is not None:
        ours, wanted = table(home), table(reference(base))
        differing = {number for number in ours | wanted if ours.get(number) != wanted.get(number)}
        assert not differing, [(ours.get(each), wanted.get(each)) for each in differing]


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


def workers(pid: int) -> list[int]:
    """The living processes that a process has started."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in found.stdout.split() if is_alive(int(each))]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def events_of(home: Path, kind: str) -> list[dict[str, Any]]:
    """Every recorded event of one kind, of the trials that are searched."""
    found: list[dict[str, Any]] = []
    for path in sorted(Home(home).study("small").jobs.glob("[0-9]*/events.jsonl")):
        lines = path.read_text().splitlines(keepends=True)
        read = [json.loads(line) for line in lines if line.endswith("\n")]
        found += [each for each in read if each["event"] == kind]
    return found


def kill_group(process: "subprocess.Popen[str]") -> None:
    """End a process and all it started, and reap it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
