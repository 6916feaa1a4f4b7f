"""SIGKILL while the winner is confirmed, and in the commands that come after a search."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from adapters import OURS, complete, search, start, wait_for, workers
from rig import assert_nothing_lost, base, home, make_home, strict, table
from test_tracking_mlflow import template

from nnsearch.crashes import AT, ONCE
from nnsearch.study.folder import Home, read_json

__all__ = ["base", "home"]  # fixtures
pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]
CONFIRMED = "[confirmation]\ntrials = 2\nseeds = 3"


def upkeep(home: Path, *words: str, crash: str = "") -> tuple[int, str]:
    """The exit code of another command than `run`, killed at a place if one is named."""
    environ = {AT: crash, ONCE: str(home.parent / "crashed")} if crash else {}
    process = subprocess.run(
        [sys.executable, "-m", "nnsearch", *words, "--mlruns", str(home)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environ},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    return process.returncode, process.stderr


@pytest.mark.parametrize(
    ("place", "code"),
    [
        pytest.param("trials.jsonl synced:4", -signal.SIGKILL, id="asked"),
        pytest.param("confirmation.json renamed", -signal.SIGKILL, id="chosen"),
        pytest.param("checkpoint.pt renamed:4", 0, id="checkpoint"),
    ],
)
def test_killed_while_the_winner_is_confirmed(
    place: str, code: int, own_folder: Path, base: Path
) -> None:
    whole = make_home(made(own_folder, "whole"), base, search=CONFIRMED)
    complete(OURS, whole)
    home = make_home(made(own_folder, "killed"), base, search=CONFIRMED)
    marker = own_folder / "crashed"
    ended, errors = search(OURS, home, env={AT: place, ONCE: str(marker)})
    assert marker.exists()
    assert ended == code, errors
    complete(OURS, home)
    assert_nothing_lost(home)
    assert table(home) == table(whole)
    assert choice(home) == choice(whole)


def test_workers_and_server_killed_while_the_winner_is_confirmed(
    own_folder: Path, base: Path
) -> None:
    home = make_home(own_folder, base, search=CONFIRMED)
    driver = start(OURS, home)
    jobs = Home(home).study("small").confirmation.jobs
    wait_for(lambda: list(jobs.glob("*/events.jsonl")), 100)
    for worker in workers(driver.pid):
        os.kill(worker, signal.SIGKILL)
    _, errors = driver.communicate(timeout=110)
    assert driver.returncode == 0, errors
    assert_nothing_lost(home, base=None)


@pytest.mark.parametrize("place", ["A3:2", "C2:3", "C4:2", "C5:2"])
def test_a_delivery_that_is_killed_goes_on(place: str, home: Path, base: Path) -> None:
    complete(OURS, home)
    (home / "optuna.journal").unlink()
    for each in home.glob("mlflow.db*"):
        each.unlink()
    (home / "mlflow.db").write_bytes(template(base).read_bytes())
    code, errors = upkeep(home, "sync", crash=place)
    assert code == -signal.SIGKILL, errors
    code, errors = upkeep(home, "sync")
    assert code == 0, errors
    assert_nothing_lost(home, base)


@pytest.mark.parametrize("place", ["C5:2", "C4:2"])
def test_a_rebuilding_that_is_killed_goes_on(place: str, home: Path, base: Path) -> None:
    complete(OURS, home)
    (home / "optuna.journal").write_bytes(b"")
    (home / "mlflow.db").write_text("hello\n")
    code, errors = upkeep(home, "doctor", "--rebuild", crash=place)
    assert code == -signal.SIGKILL, errors
    code, errors = upkeep(home, "doctor", "--rebuild")
    assert code == 0, errors
    assert_nothing_lost(home, base)


def test_gc_that_is_killed_goes_on(home: Path) -> None:
    complete(OURS, home)
    words = ("gc", "--keep", "1", "--apply")
    code, errors = upkeep(home, *words, crash="collected.json renamed")
    assert code == -signal.SIGKILL, errors
    assert strict(home) == ""
    code, errors = upkeep(home, *words)
    assert code == 0, errors
    assert_nothing_lost(home)
    weights = Home(home).study("small").jobs.glob("0*/trial-*/weights.pt")
    assert len(list(weights)) <= 2, "the best, and the chosen one"


def test_gc_spares_who_is_chosen_and_lets_nobody_be_chosen_whom_it_took(
    own_folder: Path, base: Path
) -> None:
    """Killed between the choice and the look, then collected; then with a larger budget."""
    home = make_home(own_folder, base, search=CONFIRMED, trials=8)
    marker = own_folder / "crashed"
    code, errors = search(OURS, home, env={AT: "confirmation.json renamed", ONCE: str(marker)})
    assert code == -signal.SIGKILL, errors
    place = Home(home).study("small").confirmed
    other = read_json(place)["candidates"][-1]["trial"]
    place.write_text(json.dumps(read_json(place) | {"trial": other}))  # seeds may choose either
    code, errors = upkeep(home, "gc", "--keep", "1", "--apply")
    assert code == 0, errors
    assert list(home.glob(f"studies/small/jobs/*/trial-{other:05d}/weights.pt"))
    complete(OURS, home)
    assert strict(home) == ""
    complete(OURS, home, "--trials", "9", "--reopen-test")
    assert strict(home) == ""
    taken = read_json(Home(home).study("small").collected)
    assert not {str(each["trial"]) for each in choice(home)} & set(taken)


def made(folder: Path, name: str) -> Path:
    """A fresh folder below another."""
    (folder / name).mkdir()
    return folder / name


def choice(home: Path) -> list[dict[str, object]]:
    """Every candidate of the confirmation with the values of its trainings, the best first."""
    retrained = read_json(Home(home).study("small").confirmed)["candidates"]
    return [{key: each[key] for key in ("trial", "values")} for each in retrained]
