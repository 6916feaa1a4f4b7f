"""The fork server: imports once what every worker needs, and forks a worker at each request.

Importing torch takes more than a second and 200 MiB, which workers forked after it share. Run as
`python -m nnsearch.executors.forkserver DESCRIPTOR PARENT [MODULE]`; `launch` talks to it. It runs
no job and starts no thread, so that forking is safe. The kernel kills it with the thread that
started it, and the workers with it. Knows nothing of what a job does.
"""

import gc
import importlib
import os
import pickle
import signal
import socket
import sys
from contextlib import suppress

from nnsearch.executors import worker

MOST_BYTES = 1 << 16
STDOUT, STDERR = 1, 2


def main(descriptor: int, parent: int, warm: str = "") -> None:
    """Answer requests until the driver closes its end.

    A request is a pickled pair: ("fork", the environment's changes), with the worker's socket and
    the log's descriptor beside it, is answered by the worker's number, with a descriptor beside it
    that can be read once the worker has ended; ("reap", number) by the worker's exit code.
    """
    worker.die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whoever ends a service or a batch job sends it to all processes: the workers are to save.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keyword
    control = socket.socket(fileno=descriptor)
    gc.disable()  # nothing of what is imported is garbage, and searching it takes a fifth longer
    if warm:
        with suppress(Exception):  # each worker tries again, and says in the log why it cannot
            importlib.import_module(warm)
    gc.freeze()  # so that collecting in a worker does not copy the pages it shares
    while True:
        message, received, _, _ = socket.recv_fds(control, MOST_BYTES, 2)
        if not message:
            os._exit(0)
        kind, value = pickle.loads(message)  # noqa: S301 - from our own driver
        if kind == "reap":
            control.send(pickle.dumps(os.waitstatus_to_exitcode(os.waitpid(value, 0)[1])))
        else:
            fork(control, value, received, warm)


def fork(control: socket.socket, changes: dict[str, str], received: list[int], warm: str) -> None:
    """Fork a worker, in a process group of its own, and tell the driver its number.

    Its end shows in its pidfd; where there is none, in a pipe that it holds open, and with it every
    child that it leaves behind.
    """
    server = os.getpid()
    reader, writer = os.pipe()
    number = os.fork()
    if number == 0:
        control.close()
        os.close(reader)
        os.setpgid(0, 0)
        os.environ.update(changes)
        connection, log = received
        os.dup2(log, STDOUT)
        os.dup2(log, STDERR)
        os.close(log)
        worker.main(connection, server, warm)
    with suppress(PermissionError, ProcessLookupError):  # the worker was quicker, or has ended
        os.setpgid(number, number)
    ends = [reader]
    with suppress(AttributeError, OSError):  # old kernels, and Pythons built for them
        ends.insert(0, os.pidfd_open(number))
    socket.send_fds(control, [pickle.dumps(number)], ends[:1])
    for each in (*ends, writer, *received):
        os.close(each)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
