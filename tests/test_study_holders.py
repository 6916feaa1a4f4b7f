"""Who locks a file, and which errors are the disk's."""

import errno
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from nnsearch.errors import StoreError
from nnsearch.study.holders import disk_named, held_by, holders

LOCKER = (
    "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print(1, flush=True); input()"
)


def test_the_process_that_locks_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.touch()
    assert held_by(path) == ""
    other = subprocess.Popen(
        [sys.executable, "-c", LOCKER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        assert holders(path) == [other.pid]
        assert held_by(path) == f" (process {other.pid} holds it)"
    finally:
        other.communicate(b"\n")
    assert holders(path) == []


def test_our_own_lock_is_not_named_and_a_missing_file_is_no_error(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("BEGIN EXCLUSIVE")
        assert holders(tmp_path / "a.db") == []
    assert holders(tmp_path / "none") == []
    assert holders(tmp_path / "a.db", locks=tmp_path / "none") == []


def test_a_full_disk_is_named_and_another_error_passes(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "a" / "b"))
    message = r"a/b: No space left on device \([0-9,]+ bytes"
    with pytest.raises(StoreError, match=message), disk_named(tmp_path):
        raise full
    with pytest.raises(FileNotFoundError), disk_named(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "x", "y")
