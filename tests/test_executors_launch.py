"""How many workers there are, what each sees, and how one starts and ends."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

import pytest

from nnsearch.executors import launch
from nnsearch.executors.launch import (
    ForkServer,
    environments,
    fork_server,
    reap,
    start,
    visible_gpus,
)
from nnsearch.executors.processes import processes


def imported(module: str) -> bool:
    return module in sys.modules


def parent() -> int:
    return os.getppid()


@pytest.mark.parametrize(
    ("devices", "named", "expected"),
    [
        (0, None, []),
        (0, "0,1", []),
        (2, None, ["0", "1"]),
        (2, "1", ["1"]),
        (2, " 1, 0", ["1", "0"]),
        (2, "", []),
        (2, "-1", []),
        (2, "1,5,0", ["1"]),
        (1, "GPU-8932f937,MIG-5c1f", ["GPU-8932f937", "MIG-5c1f"]),
    ],
)
def test_gpus_are_read_as_cuda_reads_them(
    tmp_path: Path, devices: int, named: str | None, expected: list[str]
) -> None:
    for name in ["nvidiactl", "nvidia-uvm", "null", *(f"nvidia{i}" for i in range(devices))]:
        (tmp_path / name).touch()
    environ = {} if named is None else {"CUDA_VISIBLE_DEVICES": named}
    assert visible_gpus(environ, tmp_path) == expected


def test_a_worker_a_gpu_each_with_its_own(tmp_path: Path) -> None:
    for index in range(2):
        (tmp_path / f"nvidia{index}").touch()
    seen = [
        [each["CUDA_VISIBLE_DEVICES"] for each in environments({}, workers=n, threads=1, devices=d)]
        for n, d in [(0, tmp_path), (3, tmp_path)]
    ]
    assert seen == [["0", "1"], ["0", "1", "0"]]


def test_a_worker_a_core_without_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(cores: int, threads: int, workers: int = 0) -> int:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        return len(environments({}, workers=workers, threads=threads, devices=tmp_path))

    assert [count(1, 1), count(6, 1), count(64, 1)] == [1, 6, 8]
    assert [count(6, 2), count(2, 4), count(2, 1, workers=5)] == [3, 1, 5]


def test_the_number_of_threads_is_in_the_environment(tmp_path: Path) -> None:
    (environment,) = environments({"A": "b"}, workers=1, threads=3, devices=tmp_path)
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert environment["A"] == "b"
    assert "CUDA_VISIBLE_DEVICES" not in environment


@pytest.fixture(params=["pidfd", "pipe"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """A fork server, also in a Python that was built for a kernel without pidfds."""
    if request.param == "pipe":
        program = (
            "import os, sys; del os.pidfd_open; from nnsearch.executors.forkserver import main; "
            "main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])"
        )
        monkeypatch.setattr(launch, "PROGRAM", ("-c", program))
    with fork_server(warm="") as started:
        yield started


def test_a_worker_leaves_when_the_socket_closes(server: ForkServer) -> None:
    worker = start(server, {}, log=2)
    assert not wait([worker.sentinel], 0.2)
    worker.connection.send_bytes(b"")
    worker.connection.close()
    assert wait([worker.sentinel], 5)
    assert reap(replace(worker, connection=Connection(os.dup(worker.sentinel))), patience=5) == 1


def test_reaping_waits_as_long_as_told_then_kills(server: ForkServer) -> None:
    worker = start(server, {}, log=2)
    begin = time.monotonic()
    assert reap(worker, patience=0.3) == -signal.SIGKILL
    assert 0.25 < time.monotonic() - begin < 20


def test_workers_end_with_their_server(server: ForkServer) -> None:
    workers = [start(server, {}, log=2) for _ in range(2)]
    server.process.kill()
    for each in workers:
        assert wait([each.sentinel], 5)
        assert reap(each, patience=1) == -signal.SIGKILL
    with pytest.raises(OSError, match=r"ended|Broken pipe|reset"):
        start(server, {}, log=2)


def test_a_worker_shares_what_the_server_imported() -> None:
    with fork_server(warm="numpy") as server, processes(server, workers=2) as pool:
        assert pool.submit(imported, "numpy").result(20)
        assert pool.submit(parent).result(20) == server.process.pid
    with processes(workers=1) as pool:
        assert not pool.submit(imported, "numpy").result(20)


def test_waiting_for_a_server_can_be_given_up(tmp_path: Path) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(60)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    sys.path.insert(0, str(tmp_path))
    try:
        server = launch.start_server(environment, warm="slow_to_import")
    finally:
        sys.path.remove(str(tmp_path))
    begin = time.monotonic()
    with pytest.raises(InterruptedError):
        start(server, {}, log=2, is_over=lambda: time.monotonic() - begin > 0.3)
    launch.stop_server(server)
    assert time.monotonic() - begin < 30
