"""Jobs in one thread of this process, for debugging and the smallest studies.

Knows nothing of what a job does. A thread cannot be killed: a job that should end early has to be
told so by whoever submitted it.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Condition, Thread
from typing import TypeVar, TypeVarTuple

from nnsearch.executors.executor import Executor, WorkerDiedError
from nnsearch.executors.worker import preload

GRACE_SECONDS = 2.0

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


@contextmanager
def inline(*, warm: str = "") -> Iterator[Executor]:
    """One slot: a thread beside the driver's own.

    `warm` is a module to import at once, so that it loads while the driver starts. Leaving the
    context cancels what waits and gives the running job two seconds; the thread is a daemon, so a
    job that takes longer never holds up the end of the process.
    """
    thread = _JobThread(warm)
    thread.start()
    try:
        yield thread
    finally:
        thread.close()


class _JobThread(Thread):
    slots = 1

    def __init__(self, warm: str) -> None:
        super().__init__(name="nnsearch-inline", daemon=True)
        self._warm = warm
        self._waiting: deque[tuple[Future[object], Callable[[], object]]] = deque()
        self._changed = Condition()
        self._is_closed = False

    def submit(self, fn: Callable[[*Ts], R], /, *args: *Ts) -> Future[R]:
        future: Future[R] = Future()
        with self._changed:
            if self._is_closed:
                raise RuntimeError("this executor is closed")
            self._waiting.append((future, lambda: fn(*args)))  # type: ignore[arg-type]
            self._changed.notify()
        return future

    def run(self) -> None:
        if self._warm:
            preload(self._warm)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if self._is_closed:
                    return
                future, call = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                _settle(future, call)

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            for future, _ in self._waiting:
                future.cancel()
            self._changed.notify()
        self.join(GRACE_SECONDS)


def _settle(future: Future[object], call: Callable[[], object]) -> None:
    try:
        result = call()
    except SystemExit as error:
        # As in a worker process, so that a job cannot end the driver.
        future.set_exception(WorkerDiedError(error.code if isinstance(error.code, int) else 1))
    except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the Future
        future.set_exception(error)
    else:
        future.set_result(result)
