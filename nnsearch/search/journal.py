"""Optuna's journal file as a place to write to: records, its lock, and whether it is damaged.

Knows no study and no trial.
"""

import fcntl
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from nnsearch.errors import IntegrityError
from nnsearch.events import cut_torn_line

LOCK_SECONDS = 0.5
FOREIGN_SECONDS = 30.0  # after which Optuna itself takes a lock for forgotten
_PAUSE = 0.005


class JournalFile(JournalFileBackend):
    """Optuna's journal file, under our lock; `settle` waits for the disk.

    Optuna waits after each record. What is written here is an image of records that are on the disk
    already, so once for several is enough.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = JournalLock(path)
        super().__init__(str(path), lock_obj=self.lock)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, a line each, in one write."""
        lines = "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in logs)
        self.lock.acquire()
        try:
            with self.path.open("ab") as file:
                file.write(lines.encode())
        finally:
            self.lock.release()


@dataclass(slots=True)
class JournalLock(BaseJournalFileLock):
    """Optuna's own lock, a link beside the file, and the kernel's on the file itself.

    The kernel's goes with its process. So a link of ours that is found while we hold the kernel's
    was left by a driver that was killed, and is removed at once, where Optuna waits for 30 s.
    Raises TimeoutError where another process holds one of the two.
    """

    journal: Path
    file: BinaryIO | None = None
    seen: list[float] = field(default_factory=list)  # since when the same foreign link is there

    @property
    def link(self) -> Path:
        """The link that Optuna takes for the lock."""
        return self.journal.with_name(f"{self.journal.name}.lock")

    def acquire(self) -> bool:
        """Take both, and cut off what a writer that was killed left behind."""
        deadline = time.monotonic() + LOCK_SECONDS
        file = self.journal.open("ab")
        try:
            self._acquire_kernels(file, deadline)
            self._acquire_link(deadline)
        except BaseException:
            file.close()
            raise
        self.file = file
        cut_torn_line(self.journal)
        return True

    def release(self) -> None:
        """Let go of both."""
        self.link.unlink(missing_ok=True)
        if self.file is not None:
            self.file.close()
            self.file = None

    def _acquire_kernels(self, file: BinaryIO, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._wait(deadline)
            else:
                return

    def _acquire_link(self, deadline: float) -> None:
        while True:
            try:
                self.link.symlink_to(self.journal.name)
            except FileExistsError:
                if self._is_forgotten():
                    self.link.unlink(missing_ok=True)
                else:
                    self._wait(deadline)
            else:
                self.seen.clear()
                return

    def _is_forgotten(self) -> bool:
        """Whether the link is ours (Optuna's has another target), or very old."""
        try:
            if str(self.link.readlink()) == self.journal.name:
                return True
        except OSError:  # it has just gone
            return False
        self.seen[1:] = [time.monotonic()]
        return self.seen[-1] - self.seen[0] > FOREIGN_SECONDS

    def _wait(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{self.journal} is locked")
        time.sleep(_PAUSE)


def settle(journal: Path) -> None:
    """Return once everything that was appended is on the disk."""
    with journal.open("rb") as file:
        os.fsync(file.fileno())


def problem(journal: Path) -> str:
    """What is wrong with a journal file, or nothing; a torn last line is cut off by the next run.

    A line that is no record must be found before something is appended: Optuna drops it in silence
    while it is the last, and can read nothing any more once it is not.
    """
    try:
        content = journal.read_bytes()
    except FileNotFoundError:
        return ""
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            is_record = "op_code" in json.loads(line)
        except (ValueError, TypeError):
            is_record = False
        if not is_record:
            return f"line {number} is no record of Optuna's"
    last = content.rpartition(b"\n")[2]
    if last and not last.startswith(b"{"):
        return "its end is no record of Optuna's"
    return ""


def refuse_damage(journal: Path) -> None:
    """Raise IntegrityError where the journal is damaged."""
    found = problem(journal)
    if found:
        raise damaged(journal, found)


def damaged(journal: Path, how: str) -> IntegrityError:
    """The error that names a damaged journal, and what helps."""
    return IntegrityError(
        f"{journal} is damaged: {how}.",
        "`nnsearch doctor --rebuild` keeps it aside and makes it again from the records.",
    )
