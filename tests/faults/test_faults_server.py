"""An MLflow server that goes away while a study runs: training does not wait for it."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from adapters import NAIVE, OURS, complete, end, kill_group, search, start, wait_for
from proxy import proxy
from rig import NUM_TRIALS, assert_nothing_lost, base, home, lost, num_ended
from test_tracking_server import free_port, server

from nnsearch.study.folder import Home

__all__ = ["base", "home"]  # fixtures
pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(400)]


def test_a_server_that_comes_back_gets_everything_once(home: Path, base: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as running:
        with server(Home(home), port):
            driver = start(OURS, home, env={"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"})
            wait_for(lambda: num_ended(home) >= 1)
        time.sleep(5)
        running.enter_context(server(Home(home), port))
        code, errors = end(driver)
        assert code == 0, errors
    assert_nothing_lost(home, base)


def test_a_server_that_is_never_there_costs_nothing_and_sync_delivers(
    home: Path, base: Path
) -> None:
    environ = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}
    code, errors = end(start(OURS, home, env=environ))
    assert code == 4, errors
    assert "could not be delivered" in errors.splitlines()[-1]
    assert "nnsearch sync" in errors.splitlines()[-1]
    assert num_ended(home) == 5
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", "sync", "--mlruns", str(home), "--json"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["studies"][0]["num_trials"] == 5
    assert_nothing_lost(home, base)
    complete(OURS, home)
    assert_nothing_lost(home, base)


def test_a_server_that_hangs_does_not_stop_the_training(home: Path, base: Path) -> None:
    port, target = free_port(), free_port()
    environ = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with server(Home(home), target), proxy(port, target) as between:
        between.hangs.set()
        driver = start(OURS, home, env=environ)
        wait_for(lambda: num_ended(home) == NUM_TRIALS, 100)
        between.hangs.clear()
        code, errors = end(driver)
        assert code == 0, errors
    assert_nothing_lost(home, base)


def test_what_was_uploaded_before_a_kill_is_not_uploaded_again(home: Path, base: Path) -> None:
    port, target = free_port(), free_port()
    environ = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with server(Home(home), target), proxy(port, target) as between:
        between.hangs_after = "weights.pt"
        driver = start(OURS, home, env=environ)
        wait_for(between.hangs.is_set, 100)
        kill_group(driver)
        between.hangs_after = ""
        between.hangs.clear()
        code, errors = search(OURS, home, env=environ)
        assert code == 0, errors
        weights = [count for path, count in between.uploads.items() if path.endswith("weights.pt")]
        assert weights == [1] * NUM_TRIALS
    assert_nothing_lost(home, base)


def test_answers_that_are_lost_after_the_server_has_committed(home: Path, base: Path) -> None:
    port, target = free_port(), free_port()
    environ = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with server(Home(home), target), proxy(port, target, loses=True) as between:
        code, errors = end(start(OURS, home, env=environ), 200)  # each call is made twice
        assert code == 0, errors
        assert between.num_lost > NUM_TRIALS
    assert_nothing_lost(home, base)


def test_a_request_that_comes_late_makes_no_run_twice(home: Path, base: Path) -> None:
    """Nobody waits for its answer any more, and the second request is there before it."""
    port, target = free_port(), free_port()
    environ = {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "2",
    }
    with server(Home(home), target), proxy(port, target) as between:
        between.late_seconds = 3.2
        code, errors = search(OURS, home, env=environ)
        assert code == 0, errors
        assert between.num_asked > NUM_TRIALS + 1
    assert_nothing_lost(home, base)


def test_without_protection_an_answer_that_is_lost_makes_a_run_twice(home: Path) -> None:
    port, target = free_port(), free_port()
    environ = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with server(Home(home), target), proxy(port, target, loses=True):
        search(NAIVE, home, env=environ)
    assert lost(NAIVE, home) != []
