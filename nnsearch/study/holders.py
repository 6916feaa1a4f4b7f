"""Who holds a lock on a file, and whether an error is the disk's. Changes nothing."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnsearch.errors import StoreError

_OF_THE_DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}
)


def holders(path: Path, locks: Path = Path("/proc/locks")) -> list[int]:
    """The numbers of the other processes that lock a file, as far as the kernel tells.

    SQLite in write-ahead mode locks the file's companions, so those count too.
    """
    files = [path, path.with_name(f"{path.name}-shm"), path.with_name(f"{path.name}-wal")]
    inodes = {each.stat().st_ino for each in files if each.exists()}
    try:
        lines = locks.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    found: set[int] = set()
    for line in lines:
        words = line.replace("->", "").split()  # "->" marks one that waits for the lock before it
        if "->" not in line and int(words[5].rpartition(":")[2]) in inodes:
            found.add(int(words[4]))
    return sorted(found - {os.getpid(), -1, 0})


def held_by(path: Path) -> str:
    """Such as ` (process 4711 holds it)`; empty where nobody is known to."""
    found = holders(path)
    if not found:
        return ""
    names = ", ".join(map(str, found))
    return f" (process {names} holds it)" if len(found) == 1 else f" (processes {names} hold it)"


def is_of_the_disk(error: BaseException | None) -> bool:
    """Whether an error says that a disk is full, read-only or broken, and no trial's fault."""
    return isinstance(error, OSError) and error.errno in _OF_THE_DISK


@contextmanager
def disk_named(folder: Path) -> Iterator[None]:
    """Within it, an OSError of the disk becomes the StoreError that says so."""
    try:
        yield
    except OSError as error:
        if not is_of_the_disk(error):
            raise
        raise disk_error(error, folder) from error


def disk_error(error: OSError, folder: Path) -> StoreError:
    """The same as a StoreError that names the path and how much room there is."""
    path = Path(os.fsdecode(error.filename)) if error.filename else folder
    near = next(each for each in (path, *path.absolute().parents) if each.exists())
    free = shutil.disk_usage(near).free
    return StoreError(
        f"cannot write {path}: {error.strerror} ({free:,} bytes are free there).",
        "Make room, or make it writable, and type the same command: nothing is lost.",
    )
