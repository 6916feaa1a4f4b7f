"""Stores and folders that are full, read-only, locked, damaged or gone, and clocks that jump."""

import fcntl
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from adapters import OURS, complete, end, search, start, wait_for, workers
from machine import held, mounted
from rig import (
    assert_nothing_lost,
    base,
    events_of,
    home,
    make_home,
    make_slow,
    num_ended,
    strict,
    table,
)

__all__ = ["base", "home"]  # fixtures
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

HELD_SECONDS = 30.0
JUMPING = """
import time
real, start = time.time, time.monotonic()
time.time = lambda: real() + (BY if time.monotonic() - start > 5 else 0.0)
from nnsearch.cli import main
main()
"""


@pytest.mark.slow
def test_a_full_disk_is_named_and_the_study_goes_on_when_there_is_room(
    home: Path, base: Path
) -> None:
    small = home.parent / "small"
    with mounted(small, "-o", "size=2m"):
        shutil.copytree(home, small / "mlruns", dirs_exist_ok=True)
        ballast = small / "ballast"
        used = shutil.disk_usage(small)
        ballast.write_bytes(b"0" * max(0, used.free - 40_000))
        place = small / "small.toml"
        shutil.copyfile(home.parent / "small.toml", place)
        code, errors = search(OURS, small / "mlruns")
        assert code == 4, errors
        assert "cannot write" in errors.splitlines()[-1]
        assert "No space left on device" in errors.splitlines()[-1]
        subprocess.run(["mount", "-o", "remount,size=2g", str(small)], check=True)
        ballast.unlink()
        complete(OURS, small / "mlruns")
        assert_nothing_lost(small / "mlruns", base)


@pytest.mark.slow
def test_a_full_quota_of_the_driver_is_named(home: Path, base: Path) -> None:
    driver = start(OURS, home)
    wait_for(lambda: num_ended(home) >= 1)
    size = (home / "studies/small/trials.jsonl").stat().st_size
    resource.prlimit(driver.pid, resource.RLIMIT_FSIZE, (size, size))
    code, errors = end(driver)
    assert code == 4, errors
    assert "Traceback" not in errors
    complete(OURS, home)
    assert_nothing_lost(home, base)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 3000])
def test_a_full_quota_of_a_worker_stops_the_study_and_it_goes_on(
    limit: int, own_folder: Path, base: Path
) -> None:
    """Its record cannot grow, or no checkpoint can be written: no fault of the trial's."""
    home = make_slow(own_folder, base, epochs=6)
    driver = start(OURS, home, "--workers", "1")
    wait_for(lambda: len(events_of(home, "Epoch")) >= 2)
    for worker in workers(driver.pid):
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (limit, limit))
    code, errors = end(driver)
    assert code == 4, errors
    last = errors.splitlines()[-1]
    assert f"cannot write {home}" in last
    assert "bytes are free there" in last
    assert events_of(home, "Failed") == []
    before = table(home)
    complete(OURS, home)
    assert {number: table(home)[number] for number in before} == before
    assert_nothing_lost(home)


def test_a_read_only_folder_is_refused_at_once(own_folder: Path, base: Path) -> None:
    place = own_folder / "place"
    with mounted(place):
        home = make_home(place, base)
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        code, errors = search(OURS, home)
        assert code == 4, errors
        assert f"cannot write {home}" in errors
        assert events_of(home, "Started") == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("optuna.journal", "flock"), ("mlflow.db", "sqlite")])
def test_a_store_that_another_process_holds_for_a_while_is_waited_for(
    name: str, kind: str, home: Path, base: Path
) -> None:
    (home / name).touch()
    driver = start(OURS, home)
    with held(home / name, kind) as holder:
        if name == "mlflow.db":  # training goes on, whatever MLflow does
            wait_for(lambda: num_ended(home) >= 3, 100)
        time.sleep(HELD_SECONDS)
    code, errors = end(driver)
    assert code == 0, errors
    assert name in errors or "MLflow" in errors
    if name == "optuna.journal":
        assert f"process {holder} holds it" in errors
    assert_nothing_lost(home, base)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("name", "kind"), [("optuna.journal", "flock"), ("mlflow.db", "sqlite")])
def test_a_store_that_is_held_for_ever_is_named_with_its_holder(
    name: str, kind: str, home: Path, base: Path
) -> None:
    driver = start(OURS, home)
    wait_for(lambda: num_ended(home) >= 1)
    with held(home / name, kind) as holder:
        code, errors = end(driver, 200)
        assert code == 4, errors
        assert str(home / name) in errors.splitlines()[-1]
        assert f"process {holder} holds it" in errors.splitlines()[-1]
    assert len(table(home)) == 5
    complete(OURS, home)
    assert_nothing_lost(home, base)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("hello\n"),
        lambda path: path.write_bytes(b"\0" * path.stat().st_size),
        lambda path: path.unlink(),
    ],
    ids=["empty", "text", "zeroed", "deleted"],
)
def test_a_journal_that_is_damaged_while_a_study_runs_is_named_and_rebuilt(
    damage: Callable[[Path], object], home: Path, base: Path
) -> None:
    driver = start(OURS, home)
    wait_for(lambda: num_ended(home) >= 1)
    damage(home / "optuna.journal")
    code, errors = end(driver)
    assert code == 6, errors
    assert "optuna.journal is damaged" in errors.splitlines()[-1]
    assert "nnsearch doctor --rebuild" in errors.splitlines()[-1]
    assert strict(home) != ""
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", "doctor", "--rebuild", "--mlruns", str(home)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    complete(OURS, home)
    assert_nothing_lost(home, base)


@pytest.mark.slow
def test_a_lock_that_a_killed_driver_left_is_no_hindrance(home: Path, base: Path) -> None:
    (home / "optuna.journal").touch()
    (home / "optuna.journal.lock").symlink_to("optuna.journal")
    with (home / "optuna.journal").open("ab") as ours:
        fcntl.flock(ours, fcntl.LOCK_EX)
    begun = time.monotonic()
    complete(OURS, home)
    assert time.monotonic() - begun < 60
    assert_nothing_lost(home, base)


@pytest.mark.slow
@pytest.mark.parametrize("by", [86_400.0, -86_400.0])
def test_a_clock_that_jumps_fails_no_trial(by: float, own_folder: Path, base: Path) -> None:
    home = make_home(own_folder, base, search="stall_timeout = 60")
    script = JUMPING.replace("BY", repr(by))
    command = [sys.executable, "-c", script, *OURS.command(home)[3:]]
    done = subprocess.run(
        command, cwd=own_folder, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    assert events_of(home, "Failed") == []
    assert_nothing_lost(home, base)


@pytest.mark.slow
def test_a_database_of_another_version_is_named_and_not_touched(home: Path) -> None:
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'fffffffffff1'")
    before = (home / "mlflow.db").read_bytes()
    code, errors = search(OURS, home)
    assert code == 4, errors
    assert "mlflow.db" in errors.splitlines()[-1]
    assert (home / "mlflow.db").read_bytes() == before
    assert (home / "studies/small/test.json").exists()
