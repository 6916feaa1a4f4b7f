"""The two ways to search that faults are tried on, and the processes that they are.

`OURS` is the command line, `NAIVE` is naive.py: Optuna and MLflow as they are usually put together.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 110
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


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


def workers(pid: int) -> list[int]:
    """The living workers of a driver; its fork server has begun them."""
    return [worker for server in servers(pid) for worker in _children(server)]


def servers(pid: int) -> list[int]:
    """The living fork server of a driver, once it has one."""
    found = []
    for child in _children(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            if b"nnsearch.executors.forkserver" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in found.stdout.split() if is_alive(int(each))]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def kill_group(process: "subprocess.Popen[str]") -> None:
    """End a process and all it started, and reap it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
