"""What every executor offers and the one error of its own. Knows nothing of trials or studies."""

import signal
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar, TypeVarTuple

from nnsearch.errors import NnsearchError

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


class Executor(Protocol):
    """Runs jobs, `slots` of them at once, in the order in which they were submitted."""

    @property
    def slots(self) -> int:
        """How many jobs run at the same time."""
        ...

    def submit(self, fn: Callable[[*Ts], R], /, *args: *Ts) -> Future[R]:
        """Run `fn(*args)` as soon as a slot is free.

        The Future gets what `fn` returned or raised, WorkerDiedError where the process that ran it
        ended first, or CancelledError where the executor was closed before. Its callbacks run in a
        thread of the executor.
        """
        ...


class WorkerDiedError(NnsearchError):
    """The process that ran a job ended before the job did.

    `returncode` is as in `subprocess`: minus the signal's number, or the exit code. `cause` is the
    same in words, such as "SIGKILL" or "exit code 3".
    """

    def __init__(self, returncode: int) -> None:
        self.returncode = returncode
        self.cause = _cause(returncode)
        killed = returncode == -signal.SIGKILL
        hint = "Memory may have run out: try fewer workers or smaller batches." if killed else ""
        super().__init__(f"a worker process died ({self.cause}).", hint)

    def __reduce__(self) -> tuple[type["WorkerDiedError"], tuple[int]]:
        return type(self), (self.returncode,)


def _cause(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
