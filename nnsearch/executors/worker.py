"""The worker process: jobs come in by a socket, answers go back. Knows nothing of what a job does.

Forked by `forkserver`. It lives no longer than the driver: the kernel kills it with the server, and
the server with the driver's thread that started it; and it leaves when the socket closes.
"""

import ctypes
import faulthandler
import gc
import importlib
import os
import pickle
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread

PR_SET_PDEATHSIG = 1


def main(descriptor: int, parent: int, warm: str = "") -> None:
    """Answer jobs that come in at `descriptor` until the driver is gone; `parent` is the server."""
    die_with(parent)
    gc.enable()  # the server collects nothing
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the server ignores it
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keyword
    connection: Connection = Connection(descriptor)
    requests: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=receive, args=(connection, requests), daemon=True).start()
    if warm:
        preload(warm)
    while True:
        try:
            connection.send_bytes(answer(requests.get()))
        except SystemExit as stop:  # a job that leaves; nothing here has to be put in order
            os._exit(stop.code if isinstance(stop.code, int) else 1)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent's thread ends; leave if it has already."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


def receive(connection: Connection, requests: "SimpleQueue[bytes]") -> None:
    """Queue what comes in; end the process, in mid-job too, once the driver's end is closed."""
    while True:
        try:
            requests.put(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(1)


def preload(module: str) -> None:
    """Import a module early. If that fails it is said here, and the first job fails with it too."""
    try:
        importlib.import_module(module)
    except Exception:  # noqa: BLE001 - a worker that cannot warm up still answers each job
        traceback.print_exc()


def answer(request: bytes) -> bytes:
    """Run one job. The answer is (has returned, pickled value or error, the traceback's text)."""
    try:
        fn, args = pickle.loads(request)  # noqa: S301 - from our own driver
        result = fn(*args)
        return pickle.dumps((True, pickle.dumps(result), ""))
    except Exception as error:  # noqa: BLE001 - whatever a job raises belongs to its Future
        text = "".join(traceback.format_exception(error)).rstrip()
        return pickle.dumps((False, pickled(error), text))


def pickled(error: Exception) -> bytes:
    """The error, or where it would not come out again as it went in, a RuntimeError in its name."""
    try:
        data = pickle.dumps(error)
        if type(pickle.loads(data)) is type(error):  # noqa: S301 - written the line before
            return data
    except Exception:  # noqa: BLE001, S110 - a broken __reduce__ may raise anything
        pass
    return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
