"""Processes that are killed, stopped, interrupted or started twice; then the same command."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from adapters import (
    NAIVE,
    OURS,
    complete,
    end,
    is_alive,
    kill_group,
    servers,
    start,
    wait_for,
    workers,
)
from machine import held
from rig import (
    NUM_TRIALS,
    assert_nothing_lost,
    base,
    events_of,
    home,
    lost,
    make_home,
    make_slow,
    num_ended,
    table,
)

from nnsearch.terminal import STOPPED

__all__ = ["base", "home"]  # fixtures
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
slow = pytest.mark.slow
PATIENT_SECONDS, IMPATIENT_SECONDS = 30.0, 2.0  # after one Ctrl-C, and after two
MARGIN_SECONDS = 1.0  # for a machine that has more to do


@pytest.fixture
def long(own_folder: Path, base: Path) -> Path:
    """A study of which each trial takes some seconds, whoever trains it."""
    return make_slow(own_folder, base, epochs=8)


@pytest.mark.slow
def test_a_worker_killed_in_mid_epoch_goes_on_from_its_checkpoint(long: Path) -> None:
    driver = start(OURS, long, "--workers", "1")
    wait_for(lambda: len(events_of(long, "Epoch")) >= 3)
    (worker,) = workers(driver.pid)
    os.kill(worker, signal.SIGKILL)
    begun = time.monotonic()
    wait_for(lambda: [each for each in workers(driver.pid) if each != worker])
    assert time.monotonic() - begun < 2
    assert end(driver)[0] == 0
    starts = events_of(long, "Started")
    again = [each for each in starts if each["trial"] == 0]
    assert len(starts) == 6
    assert len(again) == 2
    assert again[1]["epoch"] > 1
    assert_nothing_lost(long)


@pytest.mark.parametrize(
    "delay", [pytest.param(0.0, marks=slow), 0.01, pytest.param(0.1, marks=slow)]
)
def test_workers_killed_as_they_start_are_replaced(delay: float, home: Path, base: Path) -> None:
    driver = start(OURS, home)
    wait_for(lambda: workers(driver.pid))
    time.sleep(delay)
    for worker in workers(driver.pid):
        os.kill(worker, signal.SIGKILL)
    code, errors = end(driver)
    assert code == 0, errors
    assert_nothing_lost(home, base)


@pytest.mark.slow
def test_a_killed_fork_server_costs_its_workers_and_no_trial(long: Path) -> None:
    driver = start(OURS, long, "--workers", "2")
    wait_for(lambda: len(events_of(long, "Epoch")) >= 3)
    (server,), left = servers(driver.pid), workers(driver.pid)
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, left)), 5)
    code, errors = end(driver)
    assert code == 0, errors
    assert_nothing_lost(long)


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["driver", "all"])
def test_a_killed_driver_takes_its_workers_along(whom: str, long: Path) -> None:
    driver = start(OURS, long)
    wait_for(lambda: len(events_of(long, "Epoch")) >= 3)
    left = [*workers(driver.pid), *servers(driver.pid)]
    assert len(left) >= 2
    for pid in (driver.pid, *(left if whom == "all" else ())):
        os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    wait_for(lambda: not any(map(is_alive, left)), 5)
    assert time.monotonic() - begun < 2
    driver.communicate()
    before = table(long)
    complete(OURS, long)
    assert {number: table(long)[number] for number in before} == before
    assert_nothing_lost(long)


@pytest.mark.slow
def test_a_stopped_worker_dies_with_its_driver_too(long: Path) -> None:
    driver = start(OURS, long)
    wait_for(lambda: len(events_of(long, "Epoch")) >= 1)
    left = workers(driver.pid)
    for worker in left:
        os.kill(worker, signal.SIGSTOP)
    driver.kill()
    driver.communicate()
    wait_for(lambda: not any(map(is_alive, left)), 5)
    complete(OURS, long)
    assert_nothing_lost(long)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=slow)])
def test_a_signal_ends_within_its_time_and_nothing_is_lost(
    number: signal.Signals, long: Path
) -> None:
    driver = start(OURS, long)
    wait_for(lambda: len(events_of(long, "Epoch")) >= 3)
    left = workers(driver.pid)
    begun = time.monotonic()
    driver.send_signal(number)
    code, errors = end(driver)
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], errors
    assert time.monotonic() - begun < 30
    assert not any(map(is_alive, left))
    assert errors.splitlines()[-1].endswith("Nothing is lost: type the same command to go on.")
    assert "Traceback" not in errors
    complete(OURS, long)
    assert_nothing_lost(long)


@pytest.mark.slow
def test_whoever_ends_all_processes_at_once_loses_no_epoch(own_folder: Path, base: Path) -> None:
    """As systemd and Slurm do."""
    home = make_slow(own_folder, base, epochs=8)
    text = (own_folder / "small.toml").read_text()
    (own_folder / "small.toml").write_text(text.replace("seconds = 0\n", "seconds = 3600\n"))
    driver = start(OURS, home, "--workers", "1")
    wait_for(lambda: len(events_of(home, "Epoch")) >= 3)
    for pid in (driver.pid, *servers(driver.pid), *workers(driver.pid)):
        os.kill(pid, signal.SIGTERM)
    code, errors = end(driver)
    assert code == 143, errors
    num_epochs = len(events_of(home, "Epoch"))
    complete(OURS, home)
    again = events_of(home, "Started")[1]
    assert (again["trial"], again["epoch"]) == (0, num_epochs + 1)
    assert_nothing_lost(home)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=slow)])
def test_what_takes_longer_than_the_grace_is_killed(
    number: signal.Signals, own_folder: Path, base: Path
) -> None:
    mark = own_folder / "mark"  # whoever goes on does not sleep again
    home = make_home(
        own_folder, base, model="faults.py:hanging", fault=f'seconds = 60\nmark = "{mark}"'
    )
    driver = start(OURS, home, "--grace", "1")
    wait_for(mark.exists)
    left = [*workers(driver.pid), *servers(driver.pid)]
    begun = time.monotonic()
    driver.send_signal(number)
    code, errors = end(driver)
    assert time.monotonic() - begun < 20, "the trial takes a minute"
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], errors
    assert errors.splitlines()[-1] == STOPPED
    wait_for(lambda: not any(map(is_alive, left)), 5)
    complete(OURS, home)
    assert_nothing_lost(home)


@pytest.mark.slow
def test_the_grace_is_for_mlflow_too(home: Path, base: Path) -> None:
    driver = start(OURS, home, "--grace", "2")
    with held(home / "mlflow.db", "sqlite"):
        wait_for(lambda: num_ended(home) == NUM_TRIALS, 100)
        begun = time.monotonic()
        driver.terminate()
        code, errors = end(driver)
        assert time.monotonic() - begun < 2 + MARGIN_SECONDS
    assert code == 143, errors
    complete(OURS, home)
    assert_nothing_lost(home, base)


def interrupt(driver: "subprocess.Popen[str]", times: int) -> None:
    """Ctrl-C several times within 0.2 s of each other; the driver is gone 2 s after the second."""
    left = [*workers(driver.pid), *servers(driver.pid)]
    driver.send_signal(signal.SIGINT)
    time.sleep(0.1)
    begun = time.monotonic()
    for _ in range(times - 1):
        driver.send_signal(signal.SIGINT)
        time.sleep(0.1)
    code, errors = end(driver)
    assert time.monotonic() - begun < IMPATIENT_SECONDS
    assert code == 130, errors
    assert errors.splitlines()[-1] == STOPPED
    assert "Traceback" not in errors
    wait_for(lambda: not any(map(is_alive, left)), 5)


@pytest.mark.slow
@pytest.mark.parametrize("times", [2, 5])
def test_an_impatient_ctrl_c_ends_at_once(times: int, long: Path) -> None:
    driver = start(OURS, long)
    wait_for(lambda: len(events_of(long, "Epoch")) >= 3)
    interrupt(driver, times)
    complete(OURS, long)
    assert_nothing_lost(long)


@pytest.mark.slow
@pytest.mark.parametrize("times", [2, 5])
def test_an_impatient_ctrl_c_while_it_starts(times: int, home: Path, base: Path) -> None:
    driver = start(OURS, home)
    wait_for(lambda: servers(driver.pid))  # its imports have only begun
    interrupt(driver, times)
    complete(OURS, home)
    assert_nothing_lost(home, base)


@pytest.mark.slow
@pytest.mark.parametrize("times", [2, 5])
def test_an_impatient_ctrl_c_while_it_uploads(times: int, home: Path, base: Path) -> None:
    with held(home / "mlflow.db", "sqlite"):  # so that the upload goes on and on
        driver = start(OURS, home)
        wait_for(lambda: num_ended(home) == NUM_TRIALS, 100)
        interrupt(driver, times)
    complete(OURS, home)
    assert_nothing_lost(home, base)


@pytest.mark.slow
def test_ctrl_c_while_it_uploads(home: Path, base: Path) -> None:
    with held(home / "mlflow.db", "sqlite"):
        driver = start(OURS, home)
        wait_for(lambda: num_ended(home) == NUM_TRIALS, 100)
        driver.send_signal(signal.SIGINT)
        code, errors = end(driver, PATIENT_SECONDS)
    assert code == 130, errors
    assert errors.splitlines()[-1] == STOPPED
    complete(OURS, home)
    assert_nothing_lost(home, base)


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.3, 1.0, 2.0, 4.0])
def test_ctrl_c_while_it_starts(delay: float, home: Path, base: Path) -> None:
    driver = start(OURS, home)
    time.sleep(delay)
    driver.send_signal(signal.SIGINT)
    code, errors = end(driver, 30)
    assert code in {130, -signal.SIGINT}, (code, errors)
    complete(OURS, home)
    assert_nothing_lost(home, base)


@pytest.mark.slow
def test_a_stopped_worker_is_given_up_and_never_writes_again(own_folder: Path, base: Path) -> None:
    home = make_slow(own_folder, base, epochs=4, search="stall_timeout = 15")
    driver = start(OURS, home, "--workers", "1")
    wait_for(lambda: len(events_of(home, "Epoch")) >= 2)
    (worker,) = workers(driver.pid)
    os.kill(worker, signal.SIGSTOP)
    wait_for(lambda: not is_alive(worker), 60)
    with suppress(ProcessLookupError):  # it may not be reaped yet
        os.kill(worker, signal.SIGCONT)
    assert not is_alive(worker)
    code, errors = end(driver)
    assert code == 0, errors
    assert_nothing_lost(home)


@pytest.mark.parametrize("again", [0, *(pytest.param(each, marks=slow) for each in range(1, 20))])
def test_of_two_drivers_one_runs_and_one_names_it(again: int, home: Path) -> None:
    before = seconds_of_help()
    begun = time.monotonic()
    both = [start(OURS, home), start(OURS, home)]
    wait_for(lambda: any(each.poll() is not None for each in both))
    ended = time.monotonic()
    (second,) = [each for each in both if each.poll() is not None]
    (first,) = [each for each in both if each is not second]
    _, errors = second.communicate()
    assert second.returncode == 4, errors
    assert f"is being run by process {first.pid}" in errors
    # How slow the machine is meanwhile, on which the help takes a tenth of a second by itself.
    slowness = max(before, seconds_of_help()) / 0.1
    kill_group(first)
    assert ended - begun < max(1.0, slowness), errors


def seconds_of_help() -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "nnsearch", "--help"], capture_output=True, check=True)
    return time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_without_protection_a_signal_loses_something(number: signal.Signals, home: Path) -> None:
    driver = start(NAIVE, home, env={"NAIVE_FAULT": "slow"})
    wait_for(lambda: list(home.glob("checkpoint-1.npy")))
    driver.send_signal(number)
    driver.communicate()
    complete(NAIVE, home)
    assert lost(NAIVE, home) != []


@pytest.mark.slow
def test_without_protection_a_stopped_or_hanging_trial_is_waited_for_for_ever(home: Path) -> None:
    driver = start(NAIVE, home, env={"NAIVE_FAULT": "hang"})
    wait_for(lambda: list(home.glob("checkpoint-0.npy")))
    with pytest.raises(AssertionError, match="did not end"):
        end(driver, 20)


@pytest.mark.slow
def test_without_protection_two_at_once_do_the_work_twice(home: Path) -> None:
    complete(NAIVE, home)  # makes the schema, over which two would stumble
    for path in home.glob("optuna.db"):
        path.unlink()
    both = [start(NAIVE, home, env={"NAIVE_FAULT": "slow"}) for _ in range(2)]
    for each in both:
        each.communicate(timeout=100)
    assert lost(NAIVE, home) != []
