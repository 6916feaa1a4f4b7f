"""Metrics in one statement: MLflow then holds what its own log_batch would have written."""

import math
import random
import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from nnsearch.tracking.bulk import write_metrics
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
    assert write_metrics(client, run, metrics)
    before = contents(client, run)
    assert len(before[0]) == 20
    assert not write_metrics(client, run, metrics)
    log(client, run, metrics=metrics)
    assert contents(client, run) == before


def test_a_deleted_run_is_refused_as_by_mlflow(client: MlflowClient, experiment: str) -> None:
    run = client.create_run(experiment).info.run_id
    client.delete_run(run)
    assert not write_metrics(client, run, [Metric("loss", 1.0, 0, 0)])
    assert contents(client, run) == ([], [])


def test_a_store_behind_a_server_is_left_to_log_batch(tmp_path: Path) -> None:
    del tmp_path
    remote = MlflowClient("http://127.0.0.1:9")
    assert not write_metrics(remote, "run", [Metric("loss", 1.0, 0, 0)])
