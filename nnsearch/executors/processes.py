"""Jobs in long-lived worker processes of this machine. Knows nothing of what a job does.

One thread, the dispatcher, starts the workers, hands out jobs and takes in the answers; nobody else
touches them. It lives as long as the context does, which matters because the kernel kills a fork
server, and so its workers, when the thread that started it ends: they die with the driver, whatever
happened to it.
"""

import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic, sleep
from typing import Annotated, Any, TypeVar, TypeVarTuple

from annotated_types import Ge

from nnsearch.components import Count
from nnsearch.errors import UsageError
from nnsearch.executors.executor import WorkerDiedError
from nnsearch.executors.launch import (
    SLOTS_OWN,
    STDERR,
    ForkServer,
    Worker,
    environments,
    reap,
    start,
    start_server,
    stop_server,
    terminate,
)

GRACE_SECONDS = 2.0  # between SIGTERM and SIGKILL
LEAVE_SECONDS = 0.5  # for a worker that closed its socket to end by itself
DUMP_SECONDS = 0.1  # for a worker to write its stacks

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


@contextmanager
def processes(
    server: ForkServer | None = None,
    *,
    workers: Annotated[int, Ge(0)] = 0,
    threads: Count = 1,
    warm: str = "",
    log: Path | None = None,
) -> Iterator["Processes"]:
    """Worker processes, one a slot; 0 means one a GPU, or one a core where there is no GPU.

    Each computes with `threads` threads, imports the module `warm` as soon as it starts, and
    writes what it prints to the end of the file `log`, or to this process's standard error.
    `server` is a fork server that was started ahead, with the same `threads`; its `warm` holds.
    Entering does not wait for them. Leaving does not wait for jobs: the workers get SIGTERM, two
    seconds later SIGKILL, and none is left. Raises OSError where `log` cannot be written.
    """
    slots = environments(os.environ, workers=workers, threads=threads)
    with _output(log) as descriptor:
        pool = Processes(slots, warm, descriptor, server)
        try:
            yield pool
        finally:
            pool.close()


class Processes:
    """The executor that `processes` yields."""

    def __init__(
        self, slots: list[dict[str, str]], warm: str, log: int, server: ForkServer | None = None
    ) -> None:
        self._environments = slots
        self._lent, self._server = server, server
        self._warm = server.warm if server else warm
        self._log = log
        self._workers: list[Worker | None] = [None] * len(slots)
        self._running: dict[Worker, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._bell, self._rope = os.pipe()
        os.set_blocking(self._rope, False)
        self._lock = Lock()  # so that nothing is commanded once the dispatcher has gone
        self._is_closed, self._grace_seconds = False, GRACE_SECONDS
        self._dispatcher = Thread(target=self._dispatch, name="nnsearch-dispatcher", daemon=True)
        self._dispatcher.start()

    @property
    def slots(self) -> int:
        """The number of workers."""
        return len(self._workers)

    def submit(self, fn: Callable[[*Ts], R], /, *args: *Ts) -> Future[R]:
        """As `Executor.submit`. `fn` goes by name, so it has to live in a module of its own.

        `args` and what `fn` returns are pickled; both should be small. Raises UsageError for a
        function of the caller's script and what pickle raises for one that has no name.
        """
        if fn.__module__ == "__main__":
            hint = "Move it to a module that can be imported."
            raise UsageError(f"a worker cannot find '{fn.__qualname__}' in your script.", hint)
        future: Future[R] = Future()
        job = _Job(future, pickle.dumps((fn, args)))
        self._command(lambda: self._waiting.append(job))
        return future

    def kill(self, future: Future[Any]) -> None:
        """End one job: cancel it if it waits, kill its worker if it runs.

        Every thread's stack goes to the log first; the Future gets WorkerDiedError soon after.
        """
        if not future.cancel():
            self._command(lambda: self._kill(future))

    def cancel_all(self) -> None:
        """Cancel the jobs that wait and kill those that run; the executor can still be used."""
        self._command(self._cancel_all)

    def close(self, seconds: float = GRACE_SECONDS) -> None:
        """End every worker and cancel every job; returns once no process is left.

        A job that does something about SIGTERM has so many seconds to leave in order.
        """
        self._grace_seconds = seconds
        with suppress(RuntimeError):
            self._command(self._set_closed)
        self._dispatcher.join()

    def _command(self, command: Callable[[], None]) -> None:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("this executor is closed")
            self._commands.put(command)
            with suppress(BlockingIOError):  # full: the dispatcher has yet to wake
                os.write(self._rope, b"!")

    # From here on everything runs in the dispatcher's thread.

    def _dispatch(self) -> None:
        try:
            for slot in range(self.slots):
                self._refill(slot)
            while not self._is_closed:
                self._serve()
        finally:
            self._set_closed()
            self._end()

    def _serve(self) -> None:
        """Wait until something happens, and see to all of it."""
        workers = [each for each in self._workers if each is not None]
        sources: set[Connection | int] = {self._bell}
        for each in workers:
            sources |= {each.connection, each.sentinel}
        ready = set(wait(list(sources)))
        for slot, worker in enumerate(self._workers):
            if worker is not None and not ready.isdisjoint({worker.connection, worker.sentinel}):
                self._attend(slot, worker)
        if self._bell in ready:
            os.read(self._bell, 1 << 16)
            while not self._commands.empty():
                self._commands.get()()
        if not self._is_closed:
            self._hand_out()

    def _attend(self, slot: int, worker: Worker) -> None:
        """Take a worker's answer in, which may be its last, or bury it."""
        reply = _last_word(worker)
        if reply is not None:
            _settle(self._running.pop(worker).future, reply)
            return
        self._workers[slot] = None
        job = self._running.pop(worker, None)
        returncode = reap(worker, patience=LEAVE_SECONDS)
        if job is not None:
            # One that died idle is replaced when there is a job: no death can repeat for ever.
            self._refill(slot)
            job.future.set_exception(WorkerDiedError(returncode))

    def _hand_out(self) -> None:
        for slot in range(self.slots):
            worker = self._workers[slot]
            if worker in self._running:
                continue
            job = self._next()
            if job is None:
                return
            try:
                worker = worker or self._start(slot)
            except OSError as error:
                job.future.set_exception(error)
                continue
            self._running[worker] = job
            with suppress(OSError):  # it has just died, as the next round will notice
                worker.connection.send_bytes(job.request)

    def _next(self) -> "_Job | None":
        while self._waiting:
            job = self._waiting.popleft()
            if job.future.set_running_or_notify_cancel():
                return job
        return None

    def _start(self, slot: int) -> Worker:
        environment = self._environments[slot]
        if self._server is not None and self._server.process.poll() is not None:
            stop_server(self._server)
            self._server = None
        if self._server is None:
            self._server = start_server(environment, warm=self._warm, log=self._log)
        changes = {name: environment[name] for name in SLOTS_OWN if name in environment}
        worker = start(self._server, changes, log=self._log, is_over=lambda: self._is_closed)
        self._workers[slot] = worker
        return worker

    def _refill(self, slot: int) -> None:
        """Start a worker ahead of its first job; if that fails, the job will say why."""
        with suppress(OSError):
            self._start(slot)

    def _kill(self, future: Future[Any]) -> None:
        for worker, job in self._running.items():
            if job.future is future:
                os.kill(worker.pid, signal.SIGUSR1)
                sleep(DUMP_SECONDS)
                terminate(worker, signal.SIGKILL)

    def _cancel_all(self) -> None:
        for job in self._waiting:
            job.future.cancel()
        for worker in self._running:
            terminate(worker, signal.SIGKILL)

    def _set_closed(self) -> None:
        with self._lock:
            self._is_closed = True

    def _end(self) -> None:
        while not self._commands.empty():
            self._commands.get()()
        workers = [each for each in self._workers if each is not None]
        for worker in workers:
            terminate(worker, signal.SIGTERM)
        deadline = monotonic() + self._grace_seconds
        for worker in workers:
            reap(worker, patience=max(0.0, deadline - monotonic()))
        if self._server is not None and self._server is not self._lent:
            stop_server(self._server)
        for job in self._waiting:
            job.future.cancel()
        for job in self._running.values():
            job.future.set_exception(CancelledError())
        os.close(self._bell)
        os.close(self._rope)


@dataclass(frozen=True, slots=True)
class _Job:
    future: Future[Any]
    request: bytes


def _last_word(worker: Worker) -> bytes | None:
    """What lies in the socket of a worker, which may have ended since; None where nothing does."""
    try:
        return worker.connection.recv_bytes() if worker.connection.poll() else None
    except (EOFError, OSError):
        return None


def _settle(future: Future[Any], reply: bytes) -> None:
    has_returned, payload, text = pickle.loads(reply)  # noqa: S301 - from our own worker
    try:
        value = pickle.loads(payload)  # noqa: S301 - the same
    except Exception as error:  # noqa: BLE001 - unpickling may raise anything
        has_returned, value = False, RuntimeError(f"cannot read a job's answer: {error!r}")
    if has_returned:
        future.set_result(value)
    else:
        value.add_note(f"In the worker:\n{text}")
        future.set_exception(value)


@contextmanager
def _output(log: Path | None) -> Iterator[int]:
    if log is None:
        yield STDERR
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        yield file.fileno()
