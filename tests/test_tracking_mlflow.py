"""One MLflow run a trial, in a real SQLite store, whatever comes twice, late or not at all."""

import contextlib
import functools
import json
import math
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from nnsearch import events
from nnsearch.errors import StoreError
from nnsearch.events import Asked, Epoch, Event, Failed, Finished, Pruned, Scalar, Started
from nnsearch.study.folder import Home, TrialFolder
from nnsearch.study.spec import Component, FloatRange, Objective, Search, Space, Split, Study
from nnsearch.tracking.mlflow import MlflowListener, mlflow_listener
from nnsearch.tracking.store import MAX_TAG, VIEW_TAG, open_store, view

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, Run

OBJECTIVE = Objective("accuracy", "maximize")
STUDY = Study(
    name="digits",
    seed=0,
    root=Path(),
    source=Component("digits"),
    split=Split(),
    task=Space("task", {}),
    model=Space("model", {}),
    optimizer=Space("optimizer", {}),
    schedule=Space("schedule", {}),
    training=Space("training", {}),
    transforms=(),
    search=Search(Component("tpe"), Component("none"), 40),
)
BORN = 1_700_000_000.0


@functools.cache
def template(folder: Path) -> Path:
    """A store with a schema and nothing else, for a migration takes seconds and a copy none."""
    home = Home(folder / "schema")
    open_store(home.mlflow_uri, home.artifacts.as_uri(), STUDY, OBJECTIVE, study_uid="x")
    with contextlib.closing(sqlite3.connect(home.root / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        database.execute("DELETE FROM experiment_tags")
        database.execute("DELETE FROM experiments WHERE name = 'digits'")
        database.commit()
        # what is committed may still stand in the write-ahead log: no plain copy would have it
        with contextlib.closing(sqlite3.connect(home.root / "template.db")) as copy:
            database.backup(copy)
    return home.root / "template.db"


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Home:
    shutil.copyfile(template(tmp_path_factory.getbasetemp()), tmp_path / "mlflow.db")
    return Home(tmp_path)


def locate(home: Home, trial: int) -> TrialFolder:
    return home.study("digits").job("0").trial(trial)


@contextlib.contextmanager
def listening(home: Home, **changes: Any) -> Iterator[MlflowListener]:
    """The listener under test, with everything that a test does not speak of."""
    usual: dict[str, Any] = {
        "uri": home.mlflow_uri,
        "artifacts": home.artifacts.as_uri(),
        "locate": lambda trial: locate(home, trial),
        "picture": lambda _, epochs: {"curves.json": {"epochs": len(epochs)}},
        "facts": {"git_commit": "abc123", "python": "3.11"},
        "dataset": {"name": "digits", "digest": "f" * 64, "source": "digits", "num_rows": 1797},
        "warn": unforeseen,
    }
    with mlflow_listener(STUDY, OBJECTIVE, home.study("digits"), **usual | changes) as listener:
        yield listener


def unforeseen(text: str) -> None:
    """Fail at a warning, but for those that a machine gives cause for that has more to do."""
    if "(no answer; it may be locked)" not in text and not text.endswith("still to write"):
        pytest.fail(f"warned: {text}")


def follow(
    home: Home, happened: Iterable[Event], error: BaseException | None = None, **changes: Any
) -> None:
    """Feed events to a listener, and let `error` end the study."""
    with listening(home, **changes) as listener:
        for event in happened:
            listener(event)
        if error is not None:
            raise error


def asked(trial: int) -> Asked:
    params: dict[str, Scalar] = {"optimizer.lr": 0.1 + 0.2, "model.mlp.width": 64}
    return Asked(trial, f"uid-{trial}", trial, params, {**params, "model.width": 64})


def epoch(trial: int, number: int, *, at: float = BORN) -> Epoch:
    metrics = {"valid/accuracy": number / 10, "valid/recall/C++": 0.5, "train/loss": 1 / number}
    return Epoch(trial, number, at + trial + number / 10, 0.1, metrics)


def trial_events(trial: int, num_epochs: int = 4) -> list[Event]:
    started = Started(trial, f"uid-{trial}", BORN + trial, num_parameters=100)
    return [asked(trial), started, *(epoch(trial, n) for n in range(1, num_epochs + 1))]


def finished(trial: int, value: float = 0.3) -> Finished:
    return Finished(trial, BORN + trial + 0.9, value, 3, 0.4, {"valid/accuracy": value})


def all_events() -> list[Event]:
    """Trials 0 and 1 complete, 2 pruned with a better value, 3 failed, then the test split."""
    return [
        *[*trial_events(0), finished(0, 0.1 + 0.2)],
        *[*trial_events(1), finished(1, 0.4)],
        *[*trial_events(2, 2), Pruned(2, BORN + 3, 2, 0.99, 0.2)],
        *[*trial_events(3, 0), Failed(3, BORN + 4, "ValueError: no", "Traceback ...")],
        events.Tested(1, BORN + 9, {"accuracy": 0.8, "loss": 0.7}, {"accuracy": (0.7, 0.9)}, 360),
    ]


def client_of(home: Home) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=home.mlflow_uri)


def runs_of(client: "MlflowClient") -> "dict[str, Run]":
    """Every run by its name; two of one name are a fault."""
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = list(client.search_runs([experiment.experiment_id]))
    names = [str(run.info.run_name) for run in runs]
    assert sorted(names) == sorted(set(names))
    return dict(zip(names, runs, strict=True))


def assert_histories(client: "MlflowClient", run: "Run", num_epochs: int) -> None:
    for name in ("valid/accuracy", "train/loss"):
        steps = [each.step for each in client.get_metric_history(run.info.run_id, name)]
        assert sorted(steps) == list(range(1, num_epochs + 1)), name


def datasets_of(run: "Run") -> "list[Dataset]":
    return [each.dataset for each in run.inputs.dataset_inputs] if run.inputs else []


def contents(home: Home) -> list[list[tuple[Any, ...]]]:
    """Every row about runs, to see whether anything was written."""
    tables = ("runs", "tags", "params", "metrics", "latest_metrics", "datasets", "inputs")
    with contextlib.closing(sqlite3.connect(home.root / "mlflow.db")) as database:
        return [sorted(database.execute(f"SELECT * FROM {name}"), key=repr) for name in tables]  # noqa: S608


def test_a_study_becomes_one_run_with_one_below_it_for_each_trial(home: Home) -> None:
    folder = locate(home, 1)
    folder.root.mkdir(parents=True)
    folder.weights.write_bytes(b"tensors")
    follow(home, all_events())
    client = client_of(home)
    runs = runs_of(client)
    parent = runs.pop("digits")
    states = {
        name: (run.info.status, run.data.tags["nnsearch.state"]) for name, run in runs.items()
    }
    assert states == {
        "trial-0000": ("FINISHED", "complete"),
        "trial-0001": ("FINISHED", "complete"),
        "trial-0002": ("KILLED", "pruned"),
        "trial-0003": ("FAILED", "failed"),
    }
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    one = runs["trial-0001"]
    assert one.data.params == {
        "optimizer.lr": repr(0.1 + 0.2),
        "model.mlp.width": "64",
        "model.width": "64",
    }
    assert one.data.tags["nnsearch.searched"] == "optimizer.lr,model.mlp.width"
    assert (one.info.start_time, one.info.end_time) == (1_700_000_001_000, 1_700_000_001_900)
    assert one.data.metrics["objective"] == one.data.metrics["when_best/valid/accuracy"] == 0.4
    assert (one.data.metrics["best_epoch"], one.data.metrics["train_seconds"]) == (3, 0.4)
    assert_histories(client, one, 4)
    assert {each.path for each in client.list_artifacts(one.info.run_id)} == {
        *("weights.pt", "curves.json", "manifest.json")
    }
    assert runs["trial-0003"].data.tags["nnsearch.error"] == "ValueError: no"


def test_runs_sorted_by_the_objective_are_led_by_the_best_complete_one(home: Home) -> None:
    follow(home, all_events())
    client = client_of(home)
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    ordered = client.search_runs([experiment.experiment_id], order_by=["metrics.objective DESC"])
    assert [run.info.run_name for run in ordered][:2] == ["trial-0001", "trial-0000"]
    assert ordered[1].data.metrics["objective"] == 0.1 + 0.2
    assert all("objective" not in run.data.metrics for run in ordered[2:])


def test_the_studys_run_has_the_test_the_facts_and_the_data(home: Home) -> None:
    follow(home, all_events())
    client = client_of(home)
    parent = runs_of(client)["digits"]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {
        "test/accuracy": 0.8,
        "test/accuracy/low": 0.7,
        "test/accuracy/high": 0.9,
        "test/loss": 0.7,
    }
    tags = parent.data.tags
    assert (tags["nnsearch.best_trial"], tags["nnsearch.test_rows"]) == ("1", "360")
    assert tags["nnsearch.python"] == "3.11"
    assert tags["mlflow.source.git.commit"] == "abc123"
    (data,) = datasets_of(parent)
    assert (data.name, json.loads(data.profile or "")) == ("digits", {"num_rows": 1797})
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.artifact_location == f"{home.artifacts.as_uri()}/digits"


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_page_of_runs_has_columns_of_what_was_searched(
    home: Home, direction: Literal["maximize", "minimize"]
) -> None:
    objective = Objective("loss", direction)
    for name in ("lr", "momentum"):
        optimizer = Space("optimizer", {"sgd": {name: FloatRange(0.1, 0.9), "nesterov": True}})
        study = replace(STUDY, optimizer=optimizer)
        open_store(home.mlflow_uri, home.artifacts.as_uri(), study, objective, study_uid="x")
    experiment = client_of(home).get_experiment_by_name("digits")
    assert experiment is not None
    assert json.loads(experiment.tags[VIEW_TAG]) == {
        "searchFilter": "",
        "orderByKey": "metrics.`objective`",
        "orderByAsc": direction == "minimize",
        "selectedColumns": [
            *("metrics.`objective`", "metrics.`best_epoch`"),
            "params.`optimizer.momentum`",
        ],
    }, "the study's latest ranges"


def test_columns_that_no_tag_can_hold_are_left_out() -> None:
    options = {f"{'long' * 20}{number}": FloatRange(0.1, 0.9) for number in range(100)}
    written = view(replace(STUDY, model=Space("model", {"mlp": options})), OBJECTIVE)
    assert len(written) <= MAX_TAG
    assert len(json.loads(written)["selectedColumns"]) > 30


def test_the_same_events_again_write_nothing(home: Home) -> None:
    follow(home, all_events())
    before = contents(home)
    with listening(home) as listener:
        for event in [*all_events(), *all_events()]:
            listener(event)
        assert listener.flush(30)
        assert listener.pending() == 0
    assert contents(home) == before


def test_a_trial_that_repeats_epochs_has_each_step_once(home: Home) -> None:
    # it went on from a checkpoint: the same values, at other times
    again: list[Event] = [Started(0, "uid-0", BORN + 60, epoch=3), epoch(0, 3, at=BORN + 60)]
    with listening(home, flush_seconds=0.0) as listener:
        for event in (*trial_events(0), *again, epoch(0, 5), finished(0)):
            listener(event)
            assert listener.flush(30)
    client = client_of(home)
    assert_histories(client, runs_of(client)["trial-0000"], 5)


def test_an_interrupted_trial_is_killed_and_goes_on(home: Home) -> None:
    with pytest.raises(KeyboardInterrupt):
        follow(home, trial_events(0, 2), KeyboardInterrupt())
    client = client_of(home)
    runs = runs_of(client)
    assert {run.info.status for run in runs.values()} == {"KILLED"}
    assert runs["trial-0000"].data.tags["nnsearch.state"] == "interrupted"
    with listening(home) as listener:
        for event in trial_events(0, 2):
            listener(event)
        assert listener.flush(30)
        assert runs_of(client)["digits"].info.status == "RUNNING"
        listener(Started(0, "uid-0", BORN + 50, epoch=2))
        for event in (epoch(0, 2, at=BORN + 50), epoch(0, 3, at=BORN + 50), finished(0)):
            listener(event)
    runs = runs_of(client)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert_histories(client, runs["trial-0000"], 3)


def test_an_error_makes_the_studys_run_failed(home: Home) -> None:
    with pytest.raises(StoreError, match="of another"):
        follow(home, [*trial_events(0), finished(0)], StoreError("of another"))
    runs = runs_of(client_of(home))
    assert {name: run.info.status for name, run in runs.items()} == {
        "digits": "FAILED",
        "trial-0000": "FINISHED",
    }


def test_without_events_nothing_is_left_behind(home: Home) -> None:
    with listening(home):
        pass
    assert runs_of(client_of(home)) == {}


def test_a_study_of_the_same_name_but_another_uid_has_runs_of_its_own(home: Home) -> None:
    for uid in ("first", "second"):
        with listening(home, uid=uid) as listener:
            for event in [*trial_events(0), finished(0)]:
                listener(event)
    client = client_of(home)
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 4


def test_a_second_run_of_one_trial_is_deleted(home: Home) -> None:
    # as a server leaves it that committed and then answered with an error
    follow(home, [*trial_events(0), finished(0)])
    client = client_of(home)
    done = runs_of(client)["trial-0000"]
    copied = ("nnsearch.study_uid", "nnsearch.trial_uid", "nnsearch.trial")
    tags = {key: done.data.tags[key] for key in copied}
    client.create_run(done.info.experiment_id, start_time=5, tags=tags, run_name="trial-0000")
    follow(home, [*trial_events(0), finished(0)])
    assert runs_of(client)["trial-0000"].info.run_id == done.info.run_id


def test_pictures_that_cannot_be_drawn_cost_nothing_else(home: Home) -> None:
    def picture(folder: TrialFolder, epochs: list[Epoch]) -> dict[str, bytes]:
        raise ValueError(f"{len(epochs)} epochs")

    told: list[str] = []
    follow(home, [*trial_events(0), finished(0)], picture=picture, warn=told.append)
    assert told == ["trial 0 has no pictures: ValueError: 4 epochs"]
    assert runs_of(client_of(home))["trial-0000"].info.status == "FINISHED"


def test_a_long_history_goes_in_several_batches(home: Home) -> None:
    follow(home, [*trial_events(0, 700), finished(0)])
    client = client_of(home)
    assert_histories(client, runs_of(client)["trial-0000"], 700)


def test_values_that_are_no_numbers_are_kept_as_such(home: Home) -> None:
    bad = Epoch(0, 1, BORN, 1.0, {"valid/accuracy": math.nan, "train/loss": math.inf})
    follow(home, [asked(0), Started(0, "uid-0", BORN), bad, Failed(0, BORN, "non-finite")])
    metrics = runs_of(client_of(home))["trial-0000"].data.metrics
    assert math.isnan(metrics["valid/accuracy"])
    assert math.isnan(metrics["train/loss"])
