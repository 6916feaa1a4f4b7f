"""Start worker processes and see each to its end. Knows nothing of jobs."""

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Lock

PROGRAM = ("-m", "nnsearch.executors.forkserver")
STDERR = 2
MAX_CPU_WORKERS = 8
REAP_SECONDS = 10.0
LOOK_SECONDS = 0.1
SLOTS_OWN = ("CUDA_VISIBLE_DEVICES",)  # what differs from worker to worker


@dataclass(frozen=True, slots=True, eq=False)
class ForkServer:
    """The process that forks workers, the driver's end of its socket, and what it has imported.

    Whoever asks it something holds `turn` until it has answered.
    """

    process: subprocess.Popen[bytes]
    control: socket.socket
    warm: str
    turn: Lock = field(default_factory=Lock)


@dataclass(frozen=True, slots=True, eq=False)
class Worker:
    """A worker process, the driver's end of its socket, and what can be read once it has ended."""

    pid: int
    connection: Connection
    sentinel: int
    server: ForkServer


def start_server(
    environment: Mapping[str, str], *, warm: str = "", log: int = STDERR
) -> ForkServer:
    """Start a fork server, which imports the module `warm` before its first worker.

    What is printed meanwhile, standard output and error, goes to the descriptor `log`.

    It is killed, and its workers are, when the calling *thread* ends. It has a session of its own,
    so Ctrl-C on the driver's terminal reaches neither it nor them. They find modules where this
    process does, but not in the working folder, and never import the caller's `__main__`. Returns
    at once; what cannot be imported, each worker says in its log.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        arguments = ["-P", "-u", *PROGRAM]
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
    return ForkServer(process, ours, warm)


def stop_server(server: ForkServer) -> None:
    """End a fork server, and with it whatever workers it still has."""
    server.process.kill()
    server.process.wait(REAP_SECONDS)
    server.control.close()


@contextmanager
def fork_server(*, warm: str) -> Iterator[ForkServer]:
    """A fork server for workers of one thread each, started ahead of its first worker."""
    server = start_server(environments(os.environ, workers=1, threads=1)[0], warm=warm)
    try:
        yield server
    finally:
        stop_server(server)


def start(
    server: ForkServer,
    environment: Mapping[str, str],
    *,
    log: int,
    is_over: Callable[[], bool] = lambda: False,
) -> Worker:
    """Have a worker forked whose output, standard and error, goes to the descriptor `log`.

    What `environment` has besides the server's own is set in the worker. Waits until the server is
    through with its import. Raises OSError where the server has ended, or `is_over` meanwhile.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            pid, sentinel = _forked(server, environment, (theirs.fileno(), log), is_over)
    except BaseException:
        ours.close()
        raise
    return Worker(pid, Connection(ours.detach()), sentinel, server)


def _forked(
    server: ForkServer,
    environment: Mapping[str, str],
    descriptors: tuple[int, int],
    is_over: Callable[[], bool],
) -> tuple[int, int]:
    request = pickle.dumps(("fork", dict(environment)))
    with server.turn:
        socket.send_fds(server.control, [request], descriptors)
        while not wait([server.control], LOOK_SECONDS):
            if is_over():
                raise InterruptedError("no worker is wanted any more")
        reply, received, _, _ = socket.recv_fds(server.control, 1 << 10, 1)
    if not received:
        raise ConnectionResetError("the fork server has ended")
    return int(pickle.loads(reply)), received[0]  # noqa: S301 - from our own server


def terminate(worker: Worker, number: signal.Signals) -> None:
    """Send a signal to a worker that has not been reaped, and to all it started."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, number)


def reap(worker: Worker, *, patience: float) -> int:
    """Give a worker `patience` seconds to end, kill what is left, return the exit code.

    The group is killed before the worker is reaped, while nobody else can have its number. Where
    its server has ended, the kernel has killed the worker.
    """
    wait([worker.sentinel], patience)
    terminate(worker, signal.SIGKILL)
    wait([worker.sentinel], REAP_SECONDS)
    worker.connection.close()
    os.close(worker.sentinel)
    try:
        with worker.server.turn:
            worker.server.control.send(pickle.dumps(("reap", worker.pid)))
            reply = worker.server.control.recv(1 << 10)
    except OSError:
        reply = b""
    return int(pickle.loads(reply)) if reply else -signal.SIGKILL  # noqa: S301 - our own server


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
