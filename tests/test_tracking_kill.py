"""A writer that is killed outright leaves a store that the same events complete."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from test_tracking_mlflow import (
    BORN,
    all_events,
    assert_histories,
    client_of,
    contents,
    datasets_of,
    epoch,
    finished,
    follow,
    home,
    runs_of,
    trial_events,
)

from nnsearch.events import to_line
from nnsearch.study.folder import Home

__all__ = ["home"]  # a fixture

# Feeds the events of standard input; dies, without any farewell, before the nth of our calls.
WRITER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from nnsearch.tracking.client import Client
from nnsearch.tracking.tables import Tables
from test_tracking_mlflow import listening
from nnsearch.events import from_line
from nnsearch.study.folder import Home

method, calls = sys.argv[2], int(sys.argv[3])
backend = Tables if os.environ.get("HOME") else Client
real = getattr(backend, method)

def dying(*args, **kwargs):
    global calls
    calls -= 1
    if calls < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)

setattr(backend, method, dying)
with listening(Home(Path(sys.argv[1])), flush_seconds=0.0) as listener:
    for line in sys.stdin:
        listener(from_line(line))
        assert listener.flush(60)
"""


@pytest.mark.faults
@pytest.mark.parametrize(
    ("method", "calls"),
    [
        pytest.param(*("create_run", 0), marks=pytest.mark.slow),  # before the study's run
        ("create_run", 1),  # before a trial's
        pytest.param(
            *("log_dataset", 0), marks=pytest.mark.slow
        ),  # the study's run is there, its data is not
        ("write", 2),  # in mid-trial
        ("write", 4),  # artifacts are there, the last values are not
        ("end_run", 0),  # the last values are there, the run is RUNNING
        pytest.param(
            *("end_run", 4), marks=pytest.mark.slow
        ),  # all trials are done, the study's run is RUNNING
    ],
)
@pytest.mark.parametrize("backend", ["Tables", pytest.param("Client", marks=pytest.mark.slow)])
def test_killed_at_any_call_and_fed_again_each_trial_has_one_run(
    home: Home, request: pytest.FixtureRequest, *, backend: str, method: str, calls: int
) -> None:
    caches = {} if backend == "Tables" else dict.fromkeys(("HOME", "XDG_CACHE_HOME"), "")
    script = textwrap.dedent(WRITER).format(tests=str(request.path.parent))
    lines = "".join(map(to_line, all_events()))
    killed = subprocess.run(
        [sys.executable, "-c", script, str(home.root), method, str(calls)],
        input=lines,
        text=True,
        cwd=request.config.rootpath,
        env={**os.environ, **caches},
        timeout=100,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    follow(home, all_events())
    client = client_of(home)
    runs = runs_of(client)
    assert {name: run.info.status for name, run in runs.items()} == {
        "digits": "FINISHED",
        "trial-0000": "FINISHED",
        "trial-0001": "FINISHED",
        "trial-0002": "KILLED",
        "trial-0003": "FAILED",
    }
    for name, num_epochs in {"trial-0000": 4, "trial-0001": 4, "trial-0002": 2}.items():
        assert_histories(client, runs[name], num_epochs)
        history = client.get_metric_history(runs[name].info.run_id, "train_seconds")
        assert len(history) == 1
    assert runs["trial-0000"].data.metrics["objective"] == 0.1 + 0.2
    assert len(datasets_of(runs["digits"])) == 1
    after = contents(home)
    follow(home, all_events())
    assert contents(home) == after


def test_epochs_whose_record_was_lost_are_not_stored_twice(home: Home) -> None:
    # the power failed: MLflow has an epoch that the record lost and that was trained again
    with pytest.raises(KeyboardInterrupt):
        follow(home, trial_events(0, 4), KeyboardInterrupt())
    asked, started, *epochs = trial_events(0, 2)
    again = [epoch(0, number, at=BORN + 60) for number in (3, 4)]
    follow(home, [asked, started, *epochs, *again, finished(0)])
    client = client_of(home)
    assert_histories(client, runs_of(client)["trial-0000"], 4)
