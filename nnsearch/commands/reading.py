"""What a source may do to whoever waits for it: raise anything, or nothing for ever.

Knows no source and no data.
"""

import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nnsearch.errors import DataError, NnsearchError, Problem
from nnsearch.study.holders import is_of_the_disk


@contextmanager
def reading(source: str, seconds: float | None) -> Iterator[None]:
    """Within it a source is called. Raises DataError where it fails or takes more than `seconds`.

    An error of a source of our own is a bug, and raised as it is. Only the main thread's patience
    has an end, for only it can be interrupted.
    """
    try:
        with _interrupted_after(seconds, source):
            yield
    except NnsearchError:
        raise
    except Exception as error:
        if ".py:" not in source or is_of_the_disk(error):
            raise
        message = f"the source '{source}' failed: {type(error).__name__}: {str(error)[:200]}."
        hint = "It is code of your own; --debug in front of the command shows where."
        raise DataError([Problem("E391", message, hint=hint)]) from error


@contextmanager
def _interrupted_after(seconds: float | None, source: str) -> Iterator[None]:
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(_number: int, frame: FrameType | None) -> None:
        stack = traceback.extract_stack(frame)
        where = f"{stack[-1].filename}:{stack[-1].lineno}, in {stack[-1].name}"
        message = f"the source '{source}' gave nothing for {seconds:g} s; it stood at {where}."
        hint = "--debug in front of the command shows how it came there; stall_timeout in [search]"
        raise DataError([Problem("E392", message, hint=f"{hint} gives it more time.")])

    before = signal.signal(signal.SIGALRM, give_up)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    began = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:  # somebody else's alarm goes on
            rest = max(left - (time.monotonic() - began), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, rest, interval)
