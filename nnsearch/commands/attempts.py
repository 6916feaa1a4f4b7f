"""One call in a worker, made again where its worker died or hung. Knows nothing of the call."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar, TypeVarTuple

from nnsearch.errors import NnsearchError
from nnsearch.executors.executor import WorkerDiedError
from nnsearch.executors.processes import Processes

ATTEMPTS = 3

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


def attempt(
    executor: Processes,
    fn: Callable[[*Ts], R],
    /,
    *args: *Ts,
    stall_seconds: float,
    begun: "Future[R] | None" = None,
) -> R:
    """What `fn(*args)` returns in a worker; `begun` is a first attempt that is under way.

    Raises WorkerDiedError where three workers died of it, NnsearchError where it takes longer than
    `stall_seconds`, and whatever `fn` raises.
    """
    for number in range(1, ATTEMPTS + 1):
        future = begun if begun is not None and number == 1 else executor.submit(fn, *args)
        try:
            return future.result(stall_seconds)
        except WorkerDiedError:
            if number == ATTEMPTS:
                raise
        except TimeoutError as error:
            executor.kill(future)
            raise NnsearchError(
                f"no answer from a worker for {stall_seconds:g} s.",
                "Its stacks are at the end of workers.log; stall_timeout sets the limit.",
            ) from error
    raise AssertionError("the last attempt returns or raises")
