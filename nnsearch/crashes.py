"""Places where a test may kill this process outright. Knows nothing of what happens around them.

`NNSEARCH_CRASH_AT` names the place, such as `A2`, or `A2:3` for its third passage in a process.
`NNSEARCH_CRASH_ONCE` names a file that the crash leaves behind: while it is there no place crashes,
so that whoever is begun again comes past. Without the first variable nothing here does anything.
"""

import os
import signal
from collections import Counter
from threading import Lock

AT, ONCE = "NNSEARCH_CRASH_AT", "NNSEARCH_CRASH_ONCE"

_passages: Counter[str] = Counter()
_lock = Lock()


def crash_point(name: str) -> None:
    """Kill this process with SIGKILL if this is the place, and the passage, that was asked for."""
    wanted = os.environ.get(AT)
    if not wanted:
        return
    place, _, count = wanted.partition(":")
    if place != name:
        return
    with _lock:
        _passages[name] += 1
        if _passages[name] == int(count or 1) and _is_first():
            os.kill(os.getpid(), signal.SIGKILL)


def _is_first() -> bool:
    path = os.environ.get(ONCE)
    if not path:
        return True
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True
