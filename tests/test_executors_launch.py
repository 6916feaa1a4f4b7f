"""How many workers there are, what each sees, and how one starts and ends."""

import os
import signal
import time
from pathlib import Path

import pytest

from nnsearch.executors.launch import environments, reap, start, visible_gpus


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


def test_a_worker_leaves_when_the_socket_closes() -> None:
    worker = start(os.environ, warm="", log=2)
    assert worker.process.poll() is None
    worker.connection.close()
    assert worker.process.wait(5) == 1
    assert worker.pidfd is not None
    os.close(worker.pidfd)


def test_reaping_waits_as_long_as_told_then_kills() -> None:
    worker = start(os.environ, warm="", log=2)
    begin = time.monotonic()
    assert reap(worker, patience=0.3) == -signal.SIGKILL
    assert 0.25 < time.monotonic() - begin < 2
