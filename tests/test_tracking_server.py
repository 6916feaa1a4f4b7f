"""The writer and a real MLflow server, which is killed and comes back."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_tracking_mlflow import (
    all_events,
    assert_histories,
    finished,
    home,
    listening,
    runs_of,
    trial_events,
)

from nnsearch.study.folder import Home

__all__ = ["home"]  # a fixture


@contextlib.contextmanager
def server(home: Home, port: int) -> Iterator[None]:
    """An MLflow server of one worker on 127.0.0.1, ready; killed with its children at the end."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", str(port), "--backend-store-uri", home.mlflow_uri]
    command += ["--artifacts-destination", home.artifacts.as_uri()]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    # MLflow starts uvicorn by its name.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with (home.root / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", seconds=90)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def wait_for(url: str, *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own server
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_that_is_killed_and_comes_back_has_no_gap_and_no_double(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    told: list[str] = []
    first = [*trial_events(0), finished(0), *trial_events(1, 2)]
    with contextlib.ExitStack() as running:
        with listening(
            home, uri=uri, artifacts="", warn=told.append, flush_seconds=0.0, patience_seconds=120
        ) as listener:
            with server(home, port):
                for event in first:
                    listener(event)
                assert listener.flush(60)
            for event in all_events():
                listener(event)
            assert not listener.flush(3)
            listener(all_events()[-1])
            running.enter_context(server(home, port))
        client = MlflowClient(tracking_uri=uri)
        runs = runs_of(client)
        assert len(told) == 1
        assert len(runs) == 5
        assert {run.info.status for run in runs.values()} == {"FINISHED", "KILLED", "FAILED"}
        assert_histories(client, runs["trial-0001"], 4)
        files = client.list_artifacts(runs["trial-0001"].info.run_id)
        assert {each.path for each in files} == {"curves.json", "manifest.json"}
    assert capsys.readouterr().out == ""
