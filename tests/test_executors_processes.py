"""Worker processes: answers, order, deaths, and that none is ever left. Real processes all over."""

import operator
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import psutil
import pytest

from nnsearch.errors import UsageError
from nnsearch.executors.executor import Executor, WorkerDiedError
from nnsearch.executors.processes import Processes, processes

JOBS = """
import os, time

class Crooked(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")

def crooked():
    raise Crooked("this", "that")

def fork_and_die():
    if os.fork() == 0:
        time.sleep(60)
    os._exit(4)

def note(path, word, seconds):
    with open(path, "a") as file:
        file.write(word + "\\n")
    time.sleep(seconds)

def meet(pipe, mode):
    with open(pipe, mode):  # returns once somebody opens the other end
        return os.getpid()
"""
# How long what comes at once may take where the machine has more to do.
LIMIT_SECONDS = 20.0


@pytest.fixture
def pool() -> Iterator[Processes]:
    with processes(workers=1) as executor:
        yield executor


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module beside nobody's script, found by the worker because the driver finds it."""
    (tmp_path / "some_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "some_jobs", raising=False)
    return __import__("some_jobs")


@pytest.fixture
def pipe(tmp_path: Path) -> str:
    """A named pipe; who opens one end waits until the other is opened."""
    os.mkfifo(tmp_path / "pipe")
    return str(tmp_path / "pipe")


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def workers_of(driver: int, *, count: int) -> list[int]:
    """The process ids of its workers, as soon as there are `count` (one has no name at first)."""
    end = time.monotonic() + LIMIT_SECONDS
    while True:
        servers = psutil.Process(driver).children()
        pids = [each.pid for server in servers for each in server.children() if is_alive(each.pid)]
        if len(pids) == count or time.monotonic() > end:
            assert len(pids) == count
            return pids
        time.sleep(0.01)


def wait_until_gone(pids: list[int]) -> list[int]:
    end = time.monotonic() + LIMIT_SECONDS
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return [pid for pid in pids if is_alive(pid)]


def wait_until_running(future: Future[Any]) -> None:
    while not future.running():
        time.sleep(0.01)


# Answers


def test_results_come_back(pool: Processes) -> None:
    executor: Executor = pool
    assert executor.slots == 1
    assert [executor.submit(pow, 2, n).result(10) for n in range(4)] == [1, 2, 4, 8]
    assert executor.submit(os.getpid).result(10) != os.getpid()


def test_an_error_comes_back_with_the_workers_traceback(pool: Processes) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        pool.submit(operator.truediv, 1, 0).result(10)
    (note,) = caught.value.__notes__
    assert note.startswith("In the worker:\nTraceback")
    assert "result = fn(*args)" in note


def test_an_error_that_does_not_unpickle_becomes_a_runtime_error(
    jobs: Any, pool: Processes
) -> None:
    with pytest.raises(RuntimeError, match="Crooked: this and that") as caught:
        pool.submit(jobs.crooked).result(10)
    assert 'raise Crooked("this", "that")' in caught.value.__notes__[0]


def test_a_result_that_does_not_pickle_fails_its_job_only(pool: Processes) -> None:
    with pytest.raises(TypeError, match="pickle"):
        pool.submit(sys._getframe).result(10)
    assert pool.submit(pow, 2, 2).result(10) == 4


def test_what_cannot_be_sent_is_refused_at_once(
    pool: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pool.submit(lambda: 1)
    monkeypatch.setattr(is_alive, "__module__", "__main__")
    with pytest.raises(UsageError, match="is_alive"):
        pool.submit(is_alive, 1)


def test_a_large_result_comes_back_whole(pool: Processes) -> None:
    assert len(pool.submit(bytes, 5_000_000).result(20)) == 5_000_000


# Order


def test_jobs_of_one_worker_run_in_the_order_of_submission(
    jobs: Any, pool: Processes, tmp_path: Path
) -> None:
    path = tmp_path / "order"
    for future in [pool.submit(jobs.note, str(path), word, 0.0) for word in "abcdefgh"]:
        future.result(10)
    assert path.read_text().split() == list("abcdefgh")


def test_two_workers_run_at_once(jobs: Any, pipe: str) -> None:
    with processes(workers=2) as pool:
        both = [pool.submit(jobs.meet, pipe, mode) for mode in ("r", "w")]
        assert len({each.result(10) for each in both}) == 2


def test_a_waiting_job_can_be_cancelled(jobs: Any, pool: Processes, pipe: str) -> None:
    blocker = pool.submit(jobs.meet, pipe, "r")
    cancelled = pool.submit(pow, 2, 2)
    after = pool.submit(pow, 2, 3)
    assert cancelled.cancel()
    jobs.meet(pipe, "w")
    assert after.result(10) == 8
    assert blocker.done()


# What a worker is given


def test_a_worker_has_its_threads_and_no_terminal(pool: Processes) -> None:
    assert pool.submit(os.getenv, "OMP_NUM_THREADS").result(10) == "1"
    assert pool.submit(os.readlink, "/proc/self/fd/0").result(10) == os.devnull
    out, err = [pool.submit(os.readlink, f"/proc/self/fd/{n}").result(10) for n in (1, 2)]
    assert out == err
    assert pool.submit(os.getsid, 0).result(10) != os.getsid(0)


def test_what_a_worker_prints_goes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "new" / "workers.log"
    with processes(workers=1, log=log) as pool:
        pool.submit(print, "said by a job").result(10)
        assert log.read_text() == "said by a job\n"


def test_a_log_that_cannot_be_written_is_told_on_entering(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), processes(workers=1, log=tmp_path):
        pass


def test_warm_is_imported_before_the_first_job(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with processes(workers=1, warm="this", log=log):
        end = time.monotonic() + 10
        while "Zen of Python" not in log.read_text() and time.monotonic() < end:
            time.sleep(0.02)
    assert "Zen of Python" in log.read_text()


def test_a_warm_module_that_does_not_load_is_told_and_jobs_still_run(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with processes(workers=1, warm="no_such_module", log=log) as pool:
        assert pool.submit(pow, 2, 2).result(10) == 4
    assert "No module named 'no_such_module'" in log.read_text()


# Deaths


def test_a_killed_worker_fails_its_job_within_two_seconds_and_is_replaced(
    jobs: Any, pipe: str
) -> None:
    with processes(workers=2) as pool:
        other = pool.submit(jobs.meet, pipe, "r")
        first = pool.submit(os.getpid).result(10)
        doomed = pool.submit(time.sleep, 60)
        next_job = pool.submit(os.getpid)
        wait_until_running(doomed)
        time.sleep(0.1)
        start = time.monotonic()
        os.kill(first, signal.SIGKILL)
        with pytest.raises(WorkerDiedError, match=r"SIGKILL.*Memory") as caught:
            doomed.result(10)
        assert time.monotonic() - start < 2
        assert caught.value.returncode == -signal.SIGKILL
        assert next_job.result(10) != first
        jobs.meet(pipe, "w")
        assert other.result(10) not in {first, os.getpid()}


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.1])
def test_a_worker_killed_right_after_its_start(delay: float) -> None:
    with processes(workers=1) as pool:
        job = pool.submit(time.sleep, 60)
        wait_until_running(job)
        time.sleep(delay)
        (pid,) = workers_of(os.getpid(), count=1)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerDiedError, match="SIGKILL"):
            job.result(LIMIT_SECONDS)
        assert pool.submit(pow, 2, 2).result(10) == 4


def test_an_exit_code_is_told(pool: Processes) -> None:
    for fn in (sys.exit, os._exit):
        with pytest.raises(WorkerDiedError, match="exit code 3") as caught:
            pool.submit(fn, 3).result(10)
        assert caught.value.cause == "exit code 3"
        assert pickle.loads(pickle.dumps(caught.value)).returncode == 3  # noqa: S301


def test_a_death_is_noticed_while_a_child_holds_the_socket(jobs: Any, pool: Processes) -> None:
    with pytest.raises(WorkerDiedError, match="exit code 4"):
        pool.submit(jobs.fork_and_die).result(LIMIT_SECONDS)  # the child holds it for a minute


def test_an_idle_worker_that_died_is_replaced_for_the_next_job(pool: Processes) -> None:
    first = pool.submit(os.getpid).result(10)
    os.kill(first, signal.SIGKILL)
    end = time.monotonic() + LIMIT_SECONDS
    while psutil.pid_exists(first):  # until the pool has noticed, and had it reaped
        assert time.monotonic() < end
        time.sleep(0.01)
    assert pool.submit(os.getpid).result(10) != first


def test_a_worker_that_died_takes_its_children_along_and_is_replaced_at_once(
    pool: Processes,
) -> None:
    grandchild = pool.submit(os.spawnvp, os.P_NOWAIT, "sleep", ["sleep", "60"]).result(10)
    with pytest.raises(WorkerDiedError):
        pool.submit(os._exit, 3).result(10)
    workers_of(os.getpid(), count=1)
    assert wait_until_gone([grandchild]) == []


def test_a_killed_fork_server_is_replaced_and_its_jobs_fail_as_if_their_workers_had_died() -> None:
    with processes(workers=2) as pool:
        first = pool.submit(os.getppid).result(10)
        doomed = [pool.submit(time.sleep, 60) for _ in range(2)]
        for each in doomed:
            wait_until_running(each)
        os.kill(first, signal.SIGKILL)
        for each in doomed:
            with pytest.raises(WorkerDiedError, match="SIGKILL"):
                each.result(LIMIT_SECONDS)
        again = {pool.submit(os.getppid).result(10) for _ in range(4)}
        assert len(again) == 1
        assert first not in again


def test_kill_ends_a_running_job_and_leaves_its_stack_in_the_log(
    jobs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Time to write it on a machine that has more to do; the job waits until it has begun.
    monkeypatch.setattr("nnsearch.executors.processes.DUMP_SECONDS", 1.0)
    log, begun = tmp_path / "log", tmp_path / "begun"
    with processes(workers=1, log=log) as pool:
        pool.submit(pow, 2, 2).result(10)
        stalled = pool.submit(jobs.note, str(begun), "begun", 60.0)
        waiting = pool.submit(time.sleep, 60)
        while not begun.exists():
            time.sleep(0.01)
        pool.kill(waiting)
        pool.kill(stalled)
        with pytest.raises(WorkerDiedError):
            stalled.result(LIMIT_SECONDS)
        assert waiting.cancelled()
        assert pool.submit(pow, 2, 2).result(10) == 4
        pool.kill(stalled)  # over already: nothing happens
        assert pool.submit(pow, 2, 2).result(10) == 4
    assert "in answer" in log.read_text()


def test_cancel_all_ends_everything_and_the_executor_goes_on() -> None:
    with processes(workers=2) as pool:
        futures = [pool.submit(time.sleep, 60) for _ in range(4)]
        wait_until_running(futures[1])
        pool.cancel_all()
        for future in futures[:2]:
            with pytest.raises(WorkerDiedError):
                future.result(LIMIT_SECONDS)
        for future in futures[2:]:
            with pytest.raises(CancelledError):
                future.result(LIMIT_SECONDS)
        assert pool.submit(pow, 2, 2).result(10) == 4


# Ends


def test_leaving_waits_for_no_job_and_leaves_no_process() -> None:
    with processes(workers=2) as pool:
        grandchild = pool.submit(os.spawnvp, os.P_NOWAIT, "sleep", ["sleep", "60"]).result(10)
        assert is_alive(grandchild)
        running = [pool.submit(time.sleep, 60) for _ in range(2)]
        waiting = pool.submit(pow, 2, 2)
        wait_until_running(running[1])
        pids = workers_of(os.getpid(), count=2)
        start = time.monotonic()
    assert time.monotonic() - start < LIMIT_SECONDS
    assert wait_until_gone([*pids, grandchild]) == []
    assert waiting.cancelled()
    for future in running:
        with pytest.raises(CancelledError):
            future.result(0)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(pow, 2, 2)


def test_leaving_kills_a_stopped_worker_after_two_seconds() -> None:
    with processes(workers=1) as pool:
        pid = pool.submit(os.getpid).result(10)
        os.kill(pid, signal.SIGSTOP)
        while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        start = time.monotonic()
    assert 1.5 < time.monotonic() - start < LIMIT_SECONDS
    assert not is_alive(pid)


def test_leaving_at_once_leaves_no_process() -> None:
    for _ in range(3):
        with processes(workers=2):
            pass
        assert workers_of(os.getpid(), count=0) == []


def test_an_error_in_the_driver_passes_through_and_leaves_no_process() -> None:
    pids: list[int] = []

    def drive() -> None:
        with processes(workers=1) as pool:
            pids.append(pool.submit(os.getpid).result(10))
            raise KeyError

    with pytest.raises(KeyError):
        drive()
    assert not is_alive(pids[0])


# The driver as a process of its own, from a script without `if __name__ == "__main__"`

DRIVER = """
import os, sys, time
from nnsearch.executors.processes import processes
print("imported", flush=True)
with processes(workers=2) as pool:
    pids = set()
    while len(pids) < 2:  # both have come up
        pids |= {job.result(10) for job in [pool.submit(os.getpid) for _ in range(2)]}
    jobs = [%s]
    while not all(job.running() for job in jobs):
        time.sleep(0.01)
    try:
        print("busy", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted", *(job.result(10) for job in jobs), flush=True)
"""
SLEEP = "pool.submit(time.sleep, %s), pool.submit(time.sleep, %s)"
HOLD = "pool.submit(sum, range(10**12))"


@pytest.fixture
def drivers(tmp_path: Path) -> Iterator[Any]:
    """Start a driver script; returns it with the process ids of its workers once they are busy."""
    started: list[subprocess.Popen[str]] = []

    def drive(busy: str) -> tuple[subprocess.Popen[str], list[int]]:
        script = tmp_path / "drive.py"
        script.write_text(DRIVER % busy)
        root = str(Path(__file__).parents[1])
        driver = subprocess.Popen(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(driver)
        assert driver.stdout is not None
        assert driver.stdout.readline() == "imported\n"
        assert driver.stdout.readline() == "busy\n"
        return driver, workers_of(driver.pid, count=2)

    yield drive
    for driver in started:
        driver.kill()
        driver.communicate()


@pytest.mark.faults
@pytest.mark.parametrize("busy", [SLEEP % (60, 60), HOLD], ids=["sleeping", "holding the GIL"])
@pytest.mark.parametrize("is_group", [False, True])
def test_workers_die_with_the_driver(drivers: Any, busy: str, is_group: bool) -> None:
    driver, pids = drivers(busy)
    (os.killpg if is_group else os.kill)(driver.pid, signal.SIGKILL)
    assert wait_until_gone(pids) == []


@pytest.mark.faults
def test_ctrl_c_reaches_the_driver_only(drivers: Any) -> None:
    driver, pids = drivers(SLEEP % (1, 1))
    for pid in pids:  # first, while they are there for certain
        os.kill(pid, signal.SIGINT)
    os.killpg(driver.pid, signal.SIGINT)
    assert driver.communicate(timeout=20)[0] == "interrupted None None\n"
    assert driver.returncode == 0
    assert wait_until_gone(pids) == []


def test_importing_the_executors_loads_nothing_heavy() -> None:
    code = (
        "import sys, nnsearch.executors.inline, nnsearch.executors.processes\n"
        "heavy = {'torch', 'numpy', 'optuna', 'mlflow', 'typer', 'rich', 'pydantic'}\n"
        "print(*heavy & set(sys.modules))"
    )
    root = str(Path(__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "\n"
