"""Inline: one thread beside the driver's, in order, and never in the way of the end."""

import operator
import sys
import threading
import time
from concurrent.futures import Future

import pytest

from nnsearch.executors.executor import WorkerDiedError
from nnsearch.executors.inline import inline


def test_a_future_gets_the_result_or_the_error_itself() -> None:
    with inline() as executor:
        assert executor.slots == 1
        assert executor.submit(pow, 2, 10).result(5) == 1024
        with pytest.raises(ZeroDivisionError):
            executor.submit(operator.truediv, 1, 0).result(5)


def test_jobs_run_one_at_a_time_in_order_beside_the_main_thread() -> None:
    seen: list[tuple[int, int]] = []

    def job(number: int) -> None:
        seen.append((number, threading.get_ident()))
        time.sleep(0.01)

    with inline() as executor:
        for future in [executor.submit(job, number) for number in range(5)]:
            future.result(5)
    assert [number for number, _ in seen] == list(range(5))
    assert {thread for _, thread in seen}.isdisjoint({threading.get_ident()})
    assert len({thread for _, thread in seen}) == 1


def test_a_job_that_exits_does_not_end_the_driver() -> None:
    with inline() as executor:
        with pytest.raises(WorkerDiedError, match="exit code 3"):
            executor.submit(sys.exit, 3).result(5)
        assert executor.submit(pow, 2, 2).result(5) == 4


def test_leaving_waits_for_the_running_job_and_cancels_the_others() -> None:
    later: list[Future[int]] = []

    def job() -> str:
        while not (later and later[0].cancelled()):
            time.sleep(0.01)
        return "was waited for"

    with inline() as executor:
        running = executor.submit(job)
        later.append(executor.submit(pow, 2, 2))
        while not running.running():
            time.sleep(0.01)
    assert running.done()
    assert running.result() == "was waited for"
    with pytest.raises(RuntimeError, match="closed"):
        executor.submit(pow, 2, 2)


def test_leaving_gives_up_on_a_job_that_does_not_end() -> None:
    is_released = threading.Event()
    start = time.monotonic()
    with inline() as executor:
        running = executor.submit(is_released.wait, 30)
        while not running.running():
            time.sleep(0.01)
    assert 1.5 < time.monotonic() - start < 20
    assert not running.done()
    is_released.set()
    assert running.result(5) is True


def test_a_module_that_does_not_load_is_told_and_jobs_still_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with inline(warm="nnsearch.no_such_module") as executor:
        assert executor.submit(pow, 2, 2).result(5) == 4
    assert "no_such_module" in capfd.readouterr().err


def test_warm_imports_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with inline(warm="this") as executor:
        executor.submit(pow, 2, 2).result(5)
        assert "this" in sys.modules
