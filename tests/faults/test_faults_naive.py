"""The same faults without protection: each does harm, so that our own tests of them can fail.

Those of kills, signals, crash points and diverging trials stand beside ours.
"""

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import optuna
import pytest
from adapters import NAIVE, complete, end, kill_group, search, start, wait_for
from machine import held, mounted
from rig import base, home, lost, make_home
from test_tracking_server import free_port, server

from nnsearch.study.folder import Home

__all__ = ["base", "home"]  # fixtures
pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]


def first_value(home: Path) -> float | None:
    """The objective of trial 0; None where it has none."""
    study = optuna.load_study(study_name="small", storage=NAIVE.storage(home))
    return study.trials[0].value


def test_7_a_full_disk_loses_something(home: Path) -> None:
    # Where exactly the disk is full decides what is lost, and now and then that is nothing.
    frees = (200_000, 160_000, 240_000, 120_000, 280_000)
    assert any(_after_a_full_disk(home, home.parent / f"small{free}", free) for free in frees)


def _after_a_full_disk(home: Path, small: Path, free: int) -> list[str]:
    """What is lost where a disk with so many free bytes is full for a while."""
    with mounted(small, "-o", "size=2m"):
        shutil.copytree(home, small / "mlruns", dirs_exist_ok=True)
        ballast = small / "ballast"
        ballast.write_bytes(b"0" * max(0, shutil.disk_usage(small).free - free))
        code, errors = search(NAIVE, small / "mlruns")
        assert code not in {0, 4}
        assert "Traceback" in errors
        subprocess.run(["mount", "-o", "remount,size=2g", str(small)], check=True)
        ballast.unlink()
        complete(NAIVE, small / "mlruns")
        return lost(NAIVE, small / "mlruns")


def test_8_a_read_only_folder_is_a_traceback(own_folder: Path, base: Path) -> None:
    place = own_folder / "place"
    with mounted(place):
        home = make_home(place, base)
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        code, errors = search(NAIVE, home)
    assert code not in {0, 4}
    assert "Traceback" in errors


@pytest.mark.parametrize("name", ["optuna.db", "mlflow.db"])
def test_9_a_store_that_is_held_for_a_while_ends_the_search(name: str, home: Path) -> None:
    driver = start(NAIVE, home, env={"NAIVE_FAULT": "slow"})
    wait_for(lambda: list(home.glob("checkpoint-0.npy")))
    with held(home / name, "sqlite"):
        if name == "optuna.db":
            code, errors = end(driver)
            assert code != 0
            assert "database is locked" in errors
        else:  # nothing is trained meanwhile
            time.sleep(2)
            before = sorted(path.stat().st_mtime_ns for path in home.glob("checkpoint-*.npy"))
            time.sleep(20)
            after = sorted(path.stat().st_mtime_ns for path in home.glob("checkpoint-*.npy"))
            assert before == after
            kill_group(driver)
    complete(NAIVE, home)
    assert lost(NAIVE, home) != []


def test_10_without_its_server_nothing_is_trained(home: Path) -> None:
    port = free_port()
    environ = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", "NAIVE_FAULT": "slow"}
    with server(Home(home), port):
        driver = start(NAIVE, home, env=environ)
        wait_for(lambda: list(home.glob("checkpoint-0.npy")))
    time.sleep(2)
    before = [path.stat().st_mtime_ns for path in home.glob("checkpoint-*.npy")]
    time.sleep(20)
    after = [path.stat().st_mtime_ns for path in home.glob("checkpoint-*.npy")]
    kill_group(driver)
    assert before == after
    assert lost(NAIVE, home) != []


def test_14_a_trial_that_needs_too_much_memory_ends_all(home: Path) -> None:
    code, errors = search(NAIVE, home, env={"NAIVE_FAULT": "memory"})
    assert code not in {0, 5}
    assert "MemoryError" in errors
    study = optuna.load_study(study_name="small", storage=NAIVE.storage(home))
    assert len(study.trials) == 2  # the next was not begun


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
def test_16_a_damaged_store_is_lost(damage: Callable[[Path], object], home: Path) -> None:
    driver = start(NAIVE, home, env={"NAIVE_FAULT": "slow"})
    wait_for(lambda: list(home.glob("checkpoint-1.npy")))
    damage(home / "optuna.db")
    end(driver)
    code, _ = search(NAIVE, home)
    assert code != 0 or lost(NAIVE, home) != []


def test_17_a_flipped_bit_in_a_checkpoint_goes_unnoticed(own_folder: Path, base: Path) -> None:
    values = []
    weights = np.full((4, 3), 0.1)
    flipped = weights.copy()
    flipped.view(np.uint64)[0, 0] ^= np.uint64(1 << 55)
    for name, content in (("sound", weights), ("flipped", flipped)):
        folder = own_folder / name
        folder.mkdir()
        home = make_home(folder, base)
        np.save(home / "checkpoint-0.npy", content)
        code, errors = search(NAIVE, home, env={"NAIVE_FAULT": "resume"})
        assert code == 0
        assert "checkpoint" not in errors
        values.append(first_value(home))
    assert values[0] is not None
    assert values[0] != values[1]


def test_17_a_checkpoint_that_was_cut_costs_its_trial(home: Path) -> None:
    np.save(home / "checkpoint-0.npy", np.zeros((4, 3)))
    content = (home / "checkpoint-0.npy").read_bytes()
    (home / "checkpoint-0.npy").write_bytes(content[: len(content) // 2])
    complete_or_not, _ = search(NAIVE, home, env={"NAIVE_FAULT": "resume"})
    assert complete_or_not == 0
    assert first_value(home) is None


def test_20_a_clock_that_jumps_a_day_fails_a_live_trial(home: Path) -> None:
    """The heartbeats of Optuna, which trusts the clock: as they look when it has jumped ahead."""
    first = start(NAIVE, home, env={"NAIVE_FAULT": "hang heartbeat"})
    wait_for(lambda: list(home.glob("checkpoint-0.npy")))
    with closing(sqlite3.connect(home / "optuna.db", timeout=30)) as database, database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-1 day')")
    code, errors = search(NAIVE, home, env={"NAIVE_FAULT": "heartbeat"})
    is_alive = first.poll() is None
    kill_group(first)
    assert code == 0, errors
    assert is_alive
    study = optuna.load_study(study_name="small", storage=NAIVE.storage(home))
    assert study.trials[0].state.name == "FAIL"
    assert lost(NAIVE, home) != []
