"""Straight into the tables: MLflow then holds what its own client would have written."""

import math
import random
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from nnsearch.tracking import bulk
from nnsearch.tracking.bulk import create_run, end_run, write_values
from nnsearch.tracking.values import log


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    return MlflowClient(f"sqlite:///{tmp_path_factory.mktemp('bulk')}/mlflow.db")


@pytest.fixture(scope="module")
def experiment(client: MlflowClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    made: str = client.create_experiment("bulk", str(tmp_path_factory.mktemp("artifacts")))
    return made


def contents(client: MlflowClient, run_id: str) -> tuple[list[object], list[object]]:
    """Every value and every latest value of a run, as the database has them."""
    path = client.tracking_uri.removeprefix("sqlite:///")
    columns = "key, value, timestamp, step, is_nan"
    with sqlite3.connect(path) as database:
        found = [
            sorted(database.execute(f"SELECT {columns} FROM {table} WHERE run_uuid = ?", (run_id,)))  # noqa: S608
            for table in ("metrics", "latest_metrics")
        ]
    database.close()
    return found[0], found[1]


def values(seed: int, count: int) -> list[Metric]:
    draw = random.Random(seed)
    return [
        Metric(
            draw.choice(["loss", "accuracy", "lr"]),
            draw.choice([draw.random(), math.nan, 0.0, -1e300]),
            draw.randrange(3),
            draw.randrange(4),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("seed", range(8))
def test_the_database_is_as_log_batch_leaves_it(
    client: MlflowClient, experiment: str, seed: int
) -> None:
    ours, theirs = (client.create_run(experiment).info.run_id for _ in range(2))
    for part in range(3):
        metrics = values(10 * seed + part, 40)
        log(client, ours, metrics=metrics)
        client.log_batch(theirs, metrics=metrics)
    assert contents(client, ours) == contents(client, theirs)
    assert len(contents(client, ours)[1]) == 3


def test_a_first_batch_is_written_here_and_a_repeat_is_not(
    client: MlflowClient, experiment: str
) -> None:
    run = client.create_run(experiment).info.run_id
    metrics = [Metric("loss", value / 7, value, value) for value in range(20)]
    written: dict[str, Any] = {"metrics": metrics, "params": {"lr": "0.1"}, "tags": {"a": "b"}}
    assert write_values(client, run, **written)
    before = contents(client, run)
    assert len(before[0]) == 20
    assert not write_values(client, run, **written)
    log(client, run, **written)
    assert contents(client, run) == before
    assert client.get_run(run).data.params == {"lr": "0.1"}


def test_tags_are_replaced_and_a_changed_param_is_refused(
    client: MlflowClient, experiment: str
) -> None:
    run = client.create_run(experiment).info.run_id
    for state in ("running", "complete"):
        log(client, run, metrics=[], params={"lr": "0.1"}, tags={"state": state, "kept": "yes"})
    tags = client.get_run(run).data.tags
    assert (tags["state"], tags["kept"]) == ("complete", "yes")
    with pytest.raises(MlflowException, match="Changing param values"):
        log(client, run, metrics=[], params={"lr": "0.2"})


def row(client: MlflowClient, run_id: str) -> dict[str, object]:
    path = client.tracking_uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return dict(database.execute("SELECT * FROM runs WHERE run_uuid = ?", (run_id,)).fetchone())


def test_a_run_is_made_and_ended_as_by_mlflow(client: MlflowClient, experiment: str) -> None:
    tags = {"mlflow.user": "ada", "nnsearch.trial": "3"}
    made = create_run(client, experiment, name="trial-0003", tags=tags, start_ms=1234)
    assert made is not None
    ours, place = made
    info = client.create_run(experiment, 1234, tags, "trial-0003").info
    assert end_run(client, ours, "KILLED", end_ms=5678)
    client.set_terminated(info.run_id, "KILLED", end_time=5678)
    assert place == info.artifact_uri.replace(info.run_id, ours)
    ids = {"run_uuid": "", "artifact_uri": ""}
    assert row(client, ours) | ids == row(client, info.run_id) | ids
    read = [client.get_run(each).data.tags for each in (ours, info.run_id)]
    assert read[0] == read[1]
    assert read[0]["mlflow.runName"] == "trial-0003"


def test_a_deleted_run_or_experiment_is_refused_as_by_mlflow(
    client: MlflowClient, experiment: str
) -> None:
    run = client.create_run(experiment).info.run_id
    client.delete_run(run)
    metrics = [Metric("loss", 1.0, 0, 0)]
    assert not write_values(client, run, metrics=metrics, params={}, tags={})
    assert not end_run(client, run, "FINISHED", end_ms=1)
    assert contents(client, run) == ([], [])
    deleted = client.create_experiment("deleted")
    client.delete_experiment(deleted)
    assert create_run(client, deleted, name="a", tags={}, start_ms=0) is None


def test_a_store_behind_a_server_is_left_to_its_client() -> None:
    remote = MlflowClient("http://127.0.0.1:9")
    metrics = [Metric("loss", 1.0, 0, 0)]
    assert not write_values(remote, "run", metrics=metrics, params={}, tags={})
    assert not end_run(remote, "run", "FINISHED", end_ms=1)
    assert create_run(remote, "1", name="a", tags={}, start_ms=0) is None


def test_tables_of_another_mlflow_are_left_alone(
    client: MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_are_known", lambda: False)
    assert create_run(client, experiment, name="a", tags={}, start_ms=0) is None
