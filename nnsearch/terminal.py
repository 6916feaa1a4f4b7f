"""What the commands have in common: options, and the two streams. Knows no command.

With `cli` and `upkeep` the only modules that print.
"""

import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Annotated, NoReturn

import typer

MLRUNS = Path("mlruns")
STDERR = 2
CTRL_C, TERMINATED = 130, 143
SHOW_CURSOR = "\x1b[?25h"
STOPPED = "Stopped. Nothing is lost: type the same command to go on."
IMPATIENT = 2  # so many times Ctrl-C


def _checked(url: str) -> str:
    if url:  # what checks it is heavy
        from nnsearch.commands.storage_url import check_storage

        check_storage(url)
    return url


StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="The name of a study that ran.")]
OneStudy = Annotated[str | None, typer.Argument(metavar="STUDY", help="One study only.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Home = Annotated[Path, typer.Option("--mlruns", help="The folder that runs write to.")]
Storage = Annotated[
    str, typer.Option(help="Optuna storage URL, such as PostgreSQL's.", callback=_checked)
]


def say(text: str) -> None:
    """A message for a person, on standard error; names from files cannot colour the terminal."""
    plain = (each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)
    print("".join(plain), file=sys.stderr, flush=True)


def show(content: object) -> None:
    """A text, or a document as JSON. Whoever reads only its first lines, as `head`, may."""
    try:
        print(content if isinstance(content, str) else json.dumps(content, indent=1), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Terminated(BaseException):
    """SIGTERM came: like KeyboardInterrupt, not to be caught on the way up."""


def terminate(number: int, frame: object) -> NoReturn:  # noqa: ARG001 - a signal handler's
    """Unwind at SIGTERM, as Ctrl-C does."""
    raise Terminated


@contextmanager
def quick_to_leave(grace_seconds: float) -> Iterator[None]:
    """Within it Ctrl-C and SIGTERM unwind, as ever, and end the process after `grace_seconds`.

    One more Ctrl-C meanwhile ends it at once. For what loses nothing when it is killed, and leaves
    nobody behind. A thread sees to the signals, since the main one sees none while it waits within
    a library, and two as one.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watch = Thread(target=_watch, args=(reader, grace_seconds), name="signals", daemon=True)
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)


def leave(code: int = CTRL_C) -> NoReturn:
    """End the process after a signal, without waiting for threads that are still at work."""
    with suppress(OSError):
        cursor = SHOW_CURSOR if os.isatty(STDERR) else ""  # a live display may have hidden it
        os.write(STDERR, f"{cursor}{STOPPED}\n".encode())  # print does not work within print
    os._exit(code)


def _watch(reader: int, grace_seconds: float) -> None:
    """Leave at the second Ctrl-C, or `grace_seconds` after the first signal."""
    numbers: list[int] = []
    deadline = math.inf
    while True:
        left = max(0.0, deadline - time.monotonic()) if numbers else None
        if not select.select([reader], [], [], left)[0]:
            leave(CTRL_C if numbers[0] == signal.SIGINT else TERMINATED)
        told = os.read(reader, 1)  # one byte a signal, which is its number
        if not told:
            os.close(reader)
            return
        if told[0] in {signal.SIGINT, signal.SIGTERM}:
            deadline = min(deadline, time.monotonic() + grace_seconds)
            numbers.append(told[0])
        if numbers.count(signal.SIGINT) == IMPATIENT:
            leave()
