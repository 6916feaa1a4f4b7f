"""Start one worker process and see it to its end. Knows nothing of jobs."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

MAX_CPU_WORKERS = 8
REAP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Worker:
    """A worker process, the driver's end of its socket, and what becomes readable when it ends."""

    process: subprocess.Popen[bytes]
    connection: Connection
    pidfd: int | None

    @property
    def sentinel(self) -> Connection | int:
        """The pidfd; where the kernel has none the socket, which the end closes as well."""
        return self.connection if self.pidfd is None else self.pidfd


def start(environment: Mapping[str, str], *, warm: str, log: int) -> Worker:
    """Start a worker whose output, standard and error, goes to the descriptor `log`.

    The worker is killed when the calling *thread* ends. It has a session of its own, so Ctrl-C on
    the driver's terminal does not reach it even before it can ignore it. It finds modules where
    this process does, but not in the working folder, and never imports the caller's `__main__`.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        arguments = ["-P", "-u", "-m", "nnsearch.executors.worker"]
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, *arguments, str(theirs.fileno()), str(os.getpid()), warm],
                env={**environment, "PYTHONPATH": _module_path()},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    return Worker(process, Connection(ours.detach()), _pidfd(process.pid))


def terminate(worker: Worker, number: signal.Signals) -> None:
    """Send a signal to a worker that has not been reaped, and to all it started."""
    with suppress(ProcessLookupError):
        os.killpg(worker.process.pid, number)


def reap(worker: Worker, *, patience: float) -> int:
    """Give a worker `patience` seconds to end, kill what is left, return the exit code.

    The group is killed before the worker is reaped, while nobody else can have its number.
    """
    wait([worker.sentinel], patience)
    terminate(worker, signal.SIGKILL)
    returncode = worker.process.wait(REAP_SECONDS)
    worker.connection.close()
    if worker.pidfd is not None:
        os.close(worker.pidfd)
    return returncode


def environments(
    environ: Mapping[str, str], *, workers: int, threads: int, devices: Path = Path("/dev")
) -> list[dict[str, str]]:
    """The environment of each worker: its number of threads and, in turns, its GPU.

    With `workers` 0 there is one a GPU, or without GPUs one a core that this process may use, a
    core a thread, at most 8.
    """
    gpus = visible_gpus(environ, devices)
    cores = len(os.sched_getaffinity(0))
    count = workers or len(gpus) or min(MAX_CPU_WORKERS, max(1, cores // threads))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    common = {**environ, **dict.fromkeys(names, str(threads))}
    if not gpus:
        return [common] * count
    return [{**common, "CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} for i in range(count)]


def visible_gpus(environ: Mapping[str, str], devices: Path = Path("/dev")) -> list[str]:
    """What CUDA would see, as values for CUDA_VISIBLE_DEVICES, found without loading CUDA.

    As CUDA does, the list in the environment is read up to its first invalid entry.
    """
    count = sum(path.name.removeprefix("nvidia").isdigit() for path in devices.glob("nvidia*"))
    if count == 0 or "CUDA_VISIBLE_DEVICES" not in environ:
        return [str(index) for index in range(count)]
    gpus: list[str] = []
    for entry in environ["CUDA_VISIBLE_DEVICES"].split(","):
        name = entry.strip()
        is_valid = int(name) < count if name.isdigit() else name.startswith(("GPU-", "MIG-"))
        if not is_valid:
            break
        gpus.append(name)
    return gpus


def _module_path() -> str:
    return os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
