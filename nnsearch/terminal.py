"""What the commands have in common: options, and the two streams. Knows no command.

With `cli` and `upkeep` the only modules that print.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Annotated, NoReturn

import typer

MLRUNS = Path("mlruns")
STDERR = 2
CTRL_C = 130
SHOW_CURSOR = "\x1b[?25h"
STOPPED = "Stopped. Nothing is lost: type the same command to go on."


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


@contextmanager
def quick_to_leave() -> Iterator[None]:
    """Within it Ctrl-C unwinds, as ever, and one more meanwhile ends the process at once.

    For what loses nothing when it is killed, and leaves nobody behind. A thread counts the signals,
    since the main one sees none while it waits within a library, and two as one.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    Thread(target=_await_second, args=(reader,), name="ctrl-c", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)


def leave() -> NoReturn:
    """End the process after Ctrl-C, without waiting for threads that are still at work."""
    with suppress(OSError):
        cursor = SHOW_CURSOR if os.isatty(STDERR) else ""  # a live display may have hidden it
        os.write(STDERR, f"{cursor}{STOPPED}\n".encode())  # print does not work within print
    os._exit(CTRL_C)


def _await_second(reader: int) -> None:
    count = 0
    with os.fdopen(reader, "rb", buffering=0) as numbers:  # one byte a signal, which is its number
        while number := numbers.read(1):
            count += number == bytes([signal.SIGINT])
            if count == 2:  # noqa: PLR2004 - the second
                leave()
