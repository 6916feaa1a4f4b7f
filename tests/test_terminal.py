"""How a command leaves after a signal: by itself, or when its time is over. Real processes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nnsearch.terminal import STOPPED

# The main thread waits within a library, where Python sees no signal.
DEAF = """
import ctypes, signal, sys
from nnsearch.terminal import quick_to_leave, terminate
signal.signal(signal.SIGTERM, terminate)
with quick_to_leave(float(sys.argv[1])):
    print("ready", flush=True)
    mutex = ctypes.create_string_buffer(64)
    for _ in range(2):  # the second time it waits for itself
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


@contextmanager
def deaf(grace_seconds: float) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", DEAF, str(grace_seconds)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        looks: list[str] = []
        while looks[-20:] != ["S"] * 20:  # until it waits; what has yet to run is R, busy or not
            looks.append(
                Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
            )
            time.sleep(0.01)
        yield process
        process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_whoever_does_not_unwind_ends_when_the_grace_is_over(
    number: signal.Signals, code: int
) -> None:
    with deaf(0.5) as process:
        begun = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)  # it would wait for ever
        assert time.monotonic() - begun >= 0.5
    assert process.returncode == code
    assert errors.splitlines() == [STOPPED]


def test_a_second_ctrl_c_ends_at_once() -> None:
    with deaf(90.0) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)  # two that came before it could run would be one
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines() == [STOPPED]


def test_a_second_sigterm_hastens_nothing() -> None:
    with deaf(2.0) as process:
        begun = time.monotonic()
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        process.communicate(timeout=15)
        assert time.monotonic() - begun >= 2
    assert process.returncode == 143
