"""An MLflow server that goes away while a study runs: training does not wait for it."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from adapters import OURS, complete, end, start, wait_for
from rig import assert_nothing_lost, base, home, num_ended
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


def test_a_server_that_never_comes_back_costs_nothing_and_sync_delivers(
    home: Path, base: Path
) -> None:
    port = free_port()
    environ = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with server(Home(home), port):
        driver = start(OURS, home, env=environ)
        wait_for(lambda: num_ended(home) >= 1)
    code, errors = end(driver)
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
