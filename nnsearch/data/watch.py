"""Which files are opened meanwhile, and by which line. Knows no data and keeps nothing open."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_EVENTS = frozenset({"open", "sqlite3.connect"})
_listeners: list[tuple[int, str, dict[str, str]]] = []


@contextmanager
def opened_files(code: Path | None = None) -> Iterator[dict[str, str]]:
    """Within it each file that this thread opens is noted: its real path, and where it happened.

    That is the line of the file `code` that led to it, such as `parts.py:12`, or nothing. What a
    library opens without Python, and what another process does, is not heard.
    """
    _listen()
    listener = (threading.get_ident(), str(code or ""), dict[str, str]())
    _listeners.append(listener)
    try:
        yield listener[2]
    finally:
        _listeners.remove(listener)


@cache
def _listen() -> None:
    """Hear of it from now on: Python has no way to take a hook away again (PEP 578)."""
    sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listeners or event not in _EVENTS or not arguments:
        return
    if not isinstance(arguments[0], str | bytes | os.PathLike):
        return  # a file that is open already
    path = os.path.realpath(os.fsdecode(arguments[0]))
    for thread, code, found in _listeners:
        if thread == threading.get_ident():
            found.setdefault(path, _line(code))


def _line(code: str) -> str:
    frame = sys._getframe(2) if code else None  # noqa: SLF001 - what leads to an event is its stack
    while frame is not None and frame.f_code.co_filename != code:
        frame = frame.f_back
    return f"{Path(code).name}:{frame.f_lineno}" if frame else ""
