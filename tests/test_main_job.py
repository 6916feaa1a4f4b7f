"""The main job as a person does it: run, run again, go on, and kill it in the middle."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)  # whole runs, with workers that have to start
STUDY = """
name = "small"
[data]
source = "digits"
[task]
name = "classification"
[model]
name = "mlp"
depth = { int = [1, 2] }
width = { choice = [16, 32] }
[optimizer]
one_of = ["adam", "sgd"]
lr = { float = [1e-3, 1e-1], log = true }
[training]
epochs = 9
[search]
trials = 14
batch = 4
pruner = "halving"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("main-job")
    (folder / "small.toml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def first(place: Path) -> dict[str, Any]:
    return finish(place, "whole")


def command(place: Path, home: str, *more: str) -> list[str]:
    study = str(place / "small.toml")
    return [sys.executable, "-m", "nnsearch", "run", study, "--mlruns", str(place / home), *more]


def finish(place: Path, home: str, *more: str) -> dict[str, Any]:
    done = subprocess.run(
        [*command(place, home, *more), "--json"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def table(place: Path, home: str) -> list[tuple[Any, ...]]:
    """The records' final table: params, states, values and hashes."""
    from nnsearch.search.ledger import read_ledger
    from nnsearch.study.folder import Home

    ledger = read_ledger(Home(place / home).study("small"))
    return [
        (
            number,
            sorted(ledger.specs[number].params.items()),
            type(ending).__name__,
            getattr(ending, "value", None),
            sorted(getattr(ending, "files", {}).items()),
            sorted(ledger.epochs[number]),
        )
        for number, ending in sorted(ledger.endings.items())
    ]


def stored(place: Path, home: str) -> tuple[Any, list[Any]]:
    """The study in Optuna's store, and the trials' runs in MLflow's, best first."""
    import mlflow
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    journal = JournalStorage(JournalFileBackend(str(place / home / "optuna.journal")))
    study = optuna.load_study(study_name="small", storage=journal)
    client = mlflow.MlflowClient(f"sqlite:///{place / home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    runs = client.search_runs(
        [experiment.experiment_id],
        "tags.`nnsearch.trial` != ''",
        order_by=["metrics.objective DESC", "attributes.start_time ASC"],
    )
    return study, list(runs)


def check_stores(place: Path, home: str) -> None:
    """Records, Optuna and MLflow say the same: each complete trial has exactly one finished run."""
    study, runs = stored(place, home)
    rows = table(place, home)
    states = {"Finished": "FINISHED", "Pruned": "KILLED", "Failed": "FAILED"}
    expected = sorted((row[0], states[row[2]]) for row in rows)
    found = sorted((int(run.data.tags["nnsearch.trial"]), run.info.status) for run in runs)
    assert found == expected
    values = {row[0]: row[3] for row in rows if row[2] == "Finished"}
    objectives = {
        int(run.data.tags["nnsearch.trial"]): run.data.metrics["objective"]
        for run in runs
        if "objective" in run.data.metrics
    }
    assert objectives == values
    assert {each.number: each.value for each in study.trials if each.number in values} == values
    assert [each.state.name for each in study.trials].count("COMPLETE") == len(values)
    assert len(study.trials) == len(rows)
    best = study.best_trial  # the first of those with the best value, of which any may lead
    assert values[int(runs[0].data.tags["nnsearch.trial"])] == best.value == max(values.values())
    assert runs[0].data.metrics["objective"] == best.value
    assert runs[0].info.status == "FINISHED"


def test_run_searches_tests_once_and_exports(place: Path, first: dict[str, Any]) -> None:
    assert sum(first["counts"].values()) == 14
    assert first["counts"]["failed"] == 0
    assert first["counts"]["pruned"] > 0
    conclusion = first["conclusion"]
    low, high = conclusion["tested"]["intervals"]["accuracy"]
    assert low < conclusion["tested"]["metrics"]["accuracy"] < high
    assert conclusion["num_looks"] == 1
    assert conclusion["best"]["value"] > 0.9
    assert (Path(conclusion["export"]) / "model.onnx").stat().st_size > 1000
    check_stores(place, "whole")


def test_the_same_command_again_does_nothing_at_once(place: Path, first: dict[str, Any]) -> None:
    before = table(place, "whole")
    start = time.monotonic()
    again = finish(place, "whole")
    assert time.monotonic() - start < 10  # half a second, where the machine has nothing else to do
    assert not again["has_trained"]
    assert again["conclusion"] == first["conclusion"]
    assert table(place, "whole") == before


def test_one_worker_and_two_give_the_same_table(place: Path, first: dict[str, Any]) -> None:
    finish(place, "single", "--workers", "1")
    assert table(place, "single") == table(place, "whole")


def test_more_trials_continue_the_study(place: Path, first: dict[str, Any]) -> None:
    finish(place, "more", "--trials", "8")
    finish(place, "more", "--trials", "14", "--reopen-test")  # another trial may be the best
    assert table(place, "more") == table(place, "whole")
    check_stores(place, "more")


def children(pid: int) -> list[int]:
    """The processes that a driver has started and that have not ended."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in found.stdout.split()]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_ended(place: Path, home: str, count: int) -> None:
    jobs = place / home / "studies" / "small" / "jobs"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        ended = sum(
            len(re.findall(r'"event": "(?:Finished|Pruned)"', each.read_text()))
            for each in jobs.glob("0*/events.jsonl")
        )
        if ended >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{count} trials did not end in time")


@pytest.mark.parametrize("ended", [1, 6])
def test_kill_the_driver_and_the_same_command_completes_the_budget(
    place: Path, first: dict[str, Any], ended: int
) -> None:
    home = f"killed-{ended}"
    with (place / f"{home}.err").open("w") as errors:
        driver = subprocess.Popen(
            command(place, home), stdout=subprocess.DEVNULL, stderr=errors, cwd=place
        )
        wait_until_ended(place, home, ended)
        workers = children(driver.pid)
        assert workers
        driver.kill()
        driver.wait()
    deadline = time.monotonic() + 20
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_alive, workers)), "a worker outlived the driver"
    finish(place, home)
    assert table(place, home) == table(place, "whole")
    check_stores(place, home)


def test_two_drivers_at_once_are_refused(place: Path) -> None:
    driver = subprocess.Popen(
        command(place, "two"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=place,
        start_new_session=True,
    )
    try:
        wait_until_ended(place, "two", 1)
        driver.send_signal(signal.SIGSTOP)  # so that it is not done before the second has begun
        second = subprocess.run(
            command(place, "two"), capture_output=True, text=True, timeout=60, check=False
        )
        assert second.returncode == 4
        assert str(driver.pid) in second.stderr
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()


def test_a_changed_space_is_refused_with_its_difference(place: Path, first: dict[str, Any]) -> None:
    refused = subprocess.run(
        command(place, "whole", "--set", "model.width=16"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert "model.width" in refused.stderr


def test_the_stores_are_sound_after_a_run(place: Path, first: dict[str, Any]) -> None:
    database = sqlite3.connect(place / "whole" / "mlflow.db")
    try:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    finally:
        database.close()
    assert not list((place / "whole").rglob("*.tmp"))


@pytest.fixture(autouse=True)
def quiet_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
