"""What a run does that others could see: its network calls and the words of its processes."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

# strace stops a process at these calls alone.
CALLS = "connect,bind,sendto,sendmsg,sendmmsg"
_ADDRESS = re.compile(r'sin_addr=inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')


def needs(*command: str) -> None:
    """Skip, but in CI, where the machine has no such program or does not let it run."""
    usable = shutil.which(command[0]) is not None
    if usable and len(command) > 1:
        usable = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not usable and "CI" not in os.environ:
        pytest.skip(f"{' '.join(command)} does not run here")


def run(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """A command in a folder, to its end."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def addresses(command: Sequence[str], folder: Path) -> "tuple[set[str], str]":
    """Every internet address that the command, or a child of it, names to the kernel; its log.

    Raises AssertionError where the command fails.
    """
    log = folder / "strace.log"
    traced = ["strace", "-f", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o", str(log), *command]
    done = run(traced, folder)
    assert done.returncode == 0, done.stderr
    text = log.read_text(errors="replace")
    return {one or other for one, other in _ADDRESS.findall(text)}, text


def descendants(pid: int) -> set[int]:
    """The children of a process, and theirs."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found |= {int(path.parent.name)}
    return found | {each for child in found for each in descendants(child)}


def words_of_children(process: "subprocess.Popen[str]") -> str:
    """The command lines of all that a process starts while it lives, as `ps` shows them."""
    seen: dict[int, str] = {}
    while process.poll() is None:
        for pid in descendants(process.pid):
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                seen[pid] = f"{seen.get(pid, '')}\n{words}"
        time.sleep(0.05)
    return "".join(seen.values())


CONNECTING = [sys.executable, "-c", "import socket; socket.socket(2, 2).connect(('192.0.2.1', 9))"]
