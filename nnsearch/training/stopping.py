"""Leave a job between two epochs, when its process is told to. Knows nothing of what is trained."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

CODE = 128 + signal.SIGTERM

_told = threading.Event()


@contextmanager
def in_order() -> Iterator[None]:
    """Within it SIGTERM does not end the process: the job leaves by itself, after its epoch.

    Outside the main thread nothing changes, for only there are signals seen to.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _told.clear()
    before = signal.signal(signal.SIGTERM, lambda *_: _told.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_wanted() -> bool:
    """Whether the job is to save what it has and leave."""
    return _told.is_set()


def leave() -> NoReturn:
    """End the job, and with it the process that it runs in."""
    raise SystemExit(CODE)
