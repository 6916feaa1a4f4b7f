"""What the writer does when MLflow does not: wait, warn once, keep and count."""

import contextlib
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_tracking_mlflow import (
    asked,
    assert_histories,
    client_of,
    finished,
    follow,
    home,
    listening,
    runs_of,
    trial_events,
)

from nnsearch.errors import StoreError, UsageError
from nnsearch.events import Epoch, Event
from nnsearch.study.folder import Home, TrialFolder
from nnsearch.tracking import runs
from nnsearch.tracking.client import Client
from nnsearch.tracking.store import destination, shown
from nnsearch.tracking.tables import Tables
from nnsearch.tracking.trials import Trial

__all__ = ["home"]  # a fixture


def test_a_locked_database_is_waited_for(home: Home) -> None:
    with (
        contextlib.closing(sqlite3.connect(home.root / "mlflow.db")) as other,
        listening(home) as one,
    ):
        one(asked(0))
        assert one.flush(60)
        other.execute("BEGIN EXCLUSIVE")
        for event in [*trial_events(0), finished(0)]:
            one(event)
        assert not one.flush(1.0)
        assert one.pending() > 0
        other.rollback()
    assert runs_of(client_of(home))["trial-0000"].info.status == "FINISHED"


def test_a_trial_that_ends_soon_is_written_once_and_whole(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[int, bool]] = []
    real = runs.write_trial

    def write_trial(store: Any, subject: Any, trial: Trial) -> None:
        written.append((trial.asked.trial, trial.ending is not None))
        real(store, subject, trial)

    now = [100.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("nnsearch.tracking.outbox.write_trial", write_trial)
    monkeypatch.setattr("nnsearch.tracking.outbox.time", clock)
    with listening(home, flush_seconds=1.0) as one:
        one(asked(9))
        assert one.flush(60)  # the store is open
        trials = one._outbox.open
        for event in [*trial_events(0), *trial_events(1), finished(0)]:
            one(event)
        until(lambda: {0, 1} <= trials.keys() and trials[0].ending is not None)
        until(lambda: {0, 1} <= one._outbox.sent.keys())  # it has looked, and it was too soon
        now[0] += 2.0
        until(lambda: (0, True) in written)
        until(lambda: (1, False) in written)  # one that takes longer shows how far it is
    assert written == [(0, True), (1, False)]


def until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> float:
    """A store that takes its time for each run, but much less than what counts as no answer."""
    real, seconds = Tables.create_run, 0.2

    def create_run(*args: Any, **kwargs: Any) -> tuple[str, str] | None:
        time.sleep(seconds)
        return real(*args, **kwargs)

    monkeypatch.setattr(Tables, "create_run", create_run)
    return seconds


def ended_trials(number: int) -> list[Event]:
    return [event for each in range(number) for event in (*trial_events(each), finished(each))]


def test_many_calls_that_are_answered_are_no_trouble(
    home: Home, monkeypatch: pytest.MonkeyPatch, slow: float
) -> None:
    num_trials = 20
    monkeypatch.setattr("nnsearch.tracking.mlflow.SLOW_SECONDS", num_trials * slow * 0.9)
    with listening(home, warn=pytest.fail) as one:
        one(asked(num_trials))
        assert one.flush(60)
        for event in ended_trials(num_trials):
            one(event)


def test_a_call_without_an_answer_is_warned_of_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnsearch.tracking.mlflow.SLOW_SECONDS", 0.2)
    told: list[str] = []
    with (
        contextlib.closing(sqlite3.connect(home.root / "mlflow.db")) as other,
        listening(home, warn=told.append) as one,
    ):
        one(asked(0))
        assert one.flush(60)
        other.execute("BEGIN EXCLUSIVE")
        for event in [*trial_events(0), finished(0)]:
            one(event)
        assert not one.flush(1.5)
        deadline = time.monotonic() + 30
        while not told and time.monotonic() < deadline:
            one(asked(1))
            time.sleep(0.01)
        other.rollback()
    assert len([each for each in told if "(no answer; it may be locked)" in each]) == 1


def test_the_end_waits_as_long_as_trials_keep_being_written(
    home: Home, monkeypatch: pytest.MonkeyPatch, slow: float
) -> None:
    num_trials = 20
    patience = num_trials * slow * 0.9  # less than all take together
    monkeypatch.setattr("nnsearch.tracking.mlflow.TELL_SECONDS", patience / 8)
    told: list[str] = []
    with listening(home, warn=told.append, patience_seconds=patience) as one:
        one(asked(num_trials))
        assert one.flush(60)  # what follows is MLflow's time alone
        for event in ended_trials(num_trials):
            one(event)
    said = [re.fullmatch(r"MLflow: (\d+) trials? still to write", each) for each in told]
    left = [int(each[1]) for each in said if each]
    assert len(left) == len(told) >= 3
    assert num_trials >= left[0] > left[-1]
    assert left == sorted(left, reverse=True)
    ended = [run.info.status for run in runs_of(client_of(home)).values()]
    assert ended == ["FINISHED"] * (num_trials + 1)


def test_a_run_that_was_deleted_meanwhile_is_named_and_the_rest_is_kept(home: Home) -> None:
    client = client_of(home)
    follow(home, [])  # makes the experiment

    def deleting() -> Iterator[Event]:
        yield from trial_events(0)
        while "trial-0000" not in (runs := runs_of(client)):
            time.sleep(0.05)
        client.delete_run(runs["trial-0000"].info.run_id)
        yield from (finished(0), *trial_events(1), finished(1))

    with pytest.raises(StoreError, match=r"^1 item could not .*trial 0"):
        follow(home, deleting())
    runs = runs_of(client)
    assert set(runs) == {"digits", "trial-0001"}
    assert runs["trial-0001"].info.status == "FINISHED"


def test_a_store_that_cannot_be_reached_is_warned_of_once_and_counted(home: Home) -> None:
    told: list[str] = []
    gone = "http://user:secret@127.0.0.1:9"
    both = [*trial_events(0), finished(0), *trial_events(1), finished(1)]

    def repeated() -> Iterator[Event]:
        yield from both
        while not told:
            time.sleep(0.05)
            yield both[0]

    with pytest.raises(StoreError, match=r"^2 items could not be delivered") as raised:
        follow(home, repeated(), uri=gone, artifacts="", warn=told.append, patience_seconds=2.0)
    assert len(told) == 1
    assert "secret" not in told[0] + str(raised.value)
    assert str(home.study("digits").root) in str(raised.value)


@pytest.mark.parametrize("call", ["create_run", "write", "end_run"])
@pytest.mark.parametrize("backend", [Tables, Client])
def test_what_was_committed_but_answered_with_an_error_is_there_once(
    home: Home, monkeypatch: pytest.MonkeyPatch, backend: type[Tables | Client], call: str
) -> None:
    if backend is Client:
        for cache in ("HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(cache, raising=False)
    real, answered = getattr(backend, call), set[str]()

    def failing(asked: Tables | Client, run: str, *args: object, **kwargs: object) -> object:
        answer = real(asked, run, *args, **kwargs)
        key = str(kwargs.get("name", run))
        if key in answered:
            return answer
        answered.add(key)
        raise ConnectionError("500 Internal Server Error")

    monkeypatch.setattr(backend, call, failing)
    both = [*trial_events(0), finished(0), *trial_events(1), finished(1)]
    told: list[str] = []
    follow(home, both, warn=told.append)
    assert len(answered) >= 2
    # none where the second try came before anyone looked
    assert len([each for each in told if "does not take what is tracked" in each]) <= 1
    client = client_of(home)
    found = runs_of(client)
    assert {name: run.info.status for name, run in found.items()} == {
        "digits": "FINISHED",
        "trial-0000": "FINISHED",
        "trial-0001": "FINISHED",
    }
    for name in ("trial-0000", "trial-0001"):
        assert_histories(client, found[name], 4)


def test_a_bug_in_the_thread_is_raised_in_the_drivers(home: Home) -> None:
    def broken(trial: int) -> TrialFolder:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        follow(home, [*trial_events(0), finished(0)], locate=broken)


def test_taking_an_event_does_not_wait_for_mlflow(home: Home) -> None:
    drawing = threading.Event()

    def picture(folder: TrialFolder, epochs: list[Epoch]) -> dict[str, bytes]:
        drawing.wait(60)
        return {}

    with listening(home, picture=picture) as listener:
        for event in [*trial_events(0), finished(0), *trial_events(1), finished(1)]:
            listener(event)
        assert not listener.flush(0.2)
        drawing.set()
        assert listener.flush(60)


def test_the_destination_is_absolute(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert destination(home, {}) == (home.mlflow_uri, home.artifacts.as_uri())
    uri, artifacts = destination(home, {"MLFLOW_TRACKING_URI": "sqlite:///here/a.db"})
    assert uri == f"sqlite:///{Path('here/a.db').absolute()}"
    assert artifacts == Path("here/artifacts").absolute().as_uri()
    assert destination(home, {"MLFLOW_TRACKING_URI": "http://h:1"}) == ("http://h:1", "")
    for folder in ("file:///tmp/x", "./mlruns"):
        with pytest.raises(UsageError, match="no longer"):
            destination(home, {"MLFLOW_TRACKING_URI": folder})
    assert shown("postgresql://me:word@host/db") == "postgresql://me:***@host/db"
