"""Straight into the tables: the file is then as MLflow's own client would have left it."""

import math
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from nnsearch.tracking.backend import Backend, Dataset, Metric, RefusedError
from nnsearch.tracking.client import Client
from nnsearch.tracking.layout import COLUMNS, is_known
from nnsearch.tracking.schema import kept_tables, make_tables, write_ahead
from nnsearch.tracking.store import is_direct, open_backend
from nnsearch.tracking.tables import Tables, open_tables

Contents = dict[str, list[tuple[object, ...]]]
# What either draws by itself, and what the clock says.
OWN = {
    *("run_uuid", "artifact_uri", "experiment_id", "dataset_uuid", "input_uuid"),
    *("source_id", "destination_id", "creation_time", "last_update_time", "deleted_time"),
}
DATASET = Dataset("digits", "abc", "local", '"digits"', None, '{"rows": 3}')


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's empty tables, as they are kept."""
    environ = {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    make_tables(tmp_path_factory.mktemp("made") / "mlflow.db", environ)
    kept = kept_tables(environ)
    assert kept is not None
    return kept


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Tables]:
    tables = opened(tmp_path / "ours.db")
    yield tables
    tables.close()


@pytest.fixture
def theirs(tmp_path: Path) -> Client:
    make_tables(tmp_path / "theirs.db")
    return Client(MlflowClient(f"sqlite:///{tmp_path}/theirs.db"))


def opened(path: Path) -> Tables:
    make_tables(path)
    write_ahead(path)
    return open_tables(path)


def contents(path: Path) -> Contents:
    """The rows of every table without what either side draws by itself, `Default` left out."""
    found: Contents = {}
    with closing(sqlite3.connect(path)) as file:
        for table, columns in COLUMNS.items():
            kept = ", ".join(each for each in columns if each not in OWN)
            but = "WHERE experiment_id > 0" if table == "experiments" else ""
            rows = file.execute(f"SELECT {kept} FROM {table} {but}")  # noqa: S608 - our own words
            found[table] = sorted(rows, key=repr)
    return found


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


def started(backend: Backend, folder: Path) -> str:
    """A run of an experiment `digits`, whose artifacts lie below `folder`."""
    number = backend.create_experiment("digits", folder.as_uri(), {"mlflow.note.content": "x"})
    tags = {"mlflow.user": "ada", "nnsearch.trial": "3"}
    run_id, place = backend.create_run(number, name="trial-0003", tags=tags, start_ms=1234)
    assert place == f"{folder.as_uri()}/{run_id}/artifacts"
    return run_id


def lived(backend: Backend, folder: Path, seed: int) -> None:
    """All that ever happens to an experiment and a run, some of it twice."""
    run_id = started(backend, folder)
    for part in range(3):
        for _ in range(2):
            backend.write(run_id, metrics=values(10 * seed + part, 40))
    for state in ("running", "complete"):
        tags = {"state": state, "kept": "yes"}
        backend.write(run_id, params={"lr": "0.1", "width": "8"}, tags=tags)
    for _ in range(2):
        backend.log_dataset(run_id, DATASET)
    backend.end_run(run_id, "KILLED", end_ms=5678)
    backend.reopen_run(run_id)
    found = backend.experiment("digits")
    assert found is not None
    assert not found.is_deleted
    backend.tag_experiment(found.id, "view", "1")
    backend.tag_experiment(found.id, "view", "2")
    lost, _ = backend.create_run(found.id, name="lost", tags={}, start_ms=1)
    backend.delete_run(lost)


@pytest.mark.parametrize("seed", range(3))
def test_the_file_is_as_the_client_leaves_it(
    ours: Tables, theirs: Client, tmp_path: Path, seed: int
) -> None:
    lived(ours, tmp_path / "artifacts", seed)
    lived(theirs, tmp_path / "artifacts", seed)
    left = contents(tmp_path / "ours.db")
    assert left == contents(tmp_path / "theirs.db")
    assert {table: len(rows) for table, rows in left.items() if table != "metrics"} == {
        "experiments": 1,
        "experiment_tags": 2,
        "runs": 2,
        "tags": 6,
        "params": 2,
        "latest_metrics": 3,
        "datasets": 1,
        "inputs": 1,
        "input_tags": 1,
    }
    assert len(left["metrics"]) > 60


def test_mlflow_reads_what_was_written_and_adds_to_it(ours: Tables, tmp_path: Path) -> None:
    run_id = started(ours, tmp_path / "artifacts")
    ours.write(run_id, metrics=[Metric("loss", 0.1 + 0.2, 7, 1)], params={"lr": "0.1"})
    ours.log_dataset(run_id, DATASET)
    (tmp_path / "report.html").write_text("<p>digits</p>")
    ours.upload(run_id, tmp_path / "report.html")
    client = MlflowClient(f"sqlite:///{ours.path}")
    client.log_metric(run_id, "loss", 0.5, step=2)
    run = client.get_run(run_id)
    assert run.data.metrics == {"loss": 0.5}
    assert run.data.params == {"lr": "0.1"}
    assert run.data.tags["mlflow.runName"] == run.info.run_name == "trial-0003"
    assert [each.value for each in client.get_metric_history(run_id, "loss")] == [0.1 + 0.2, 0.5]
    inputs: Any = run.inputs
    assert [each.dataset.name for each in inputs.dataset_inputs] == ["digits"]
    assert [each.path for each in client.list_artifacts(run_id)] == ["report.html"]
    assert ours.artifacts(run_id) == {"report.html": 13}
    assert client.get_experiment("0").name == "Default"


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_both_find_the_same(side: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    backend: Backend = request.getfixturevalue(side)
    first = started(backend, tmp_path / "artifacts")
    found = backend.experiment("digits")
    assert found is not None
    assert (found.place, found.tags) == (
        (tmp_path / "artifacts").as_uri(),
        {"mlflow.note.content": "x"},
    )
    second, place = backend.create_run(
        found.id, name="b", tags={"nnsearch.trial": "4", "seen": "no"}, start_ms=99
    )
    backend.write(second, metrics=values(0, 9), params={"lr": "1"})
    backend.end_run(second, "FAILED", end_ms=100)
    gone, _ = backend.create_run(found.id, name="c", tags={"seen": "no"}, start_ms=5)
    backend.delete_run(gone)
    everyone = list(backend.runs(found.id, {}))
    assert [each.id for each in everyone] == [second, first]  # the oldest first
    assert [each.has_params for each in everyone] == [True, False]
    [run] = backend.runs(found.id, {"nnsearch.trial": "4"}, tagged="seen")
    assert (run.id, run.artifact_uri, run.status) == (second, place, "FAILED")
    assert run.tags == {"mlflow.runName": "b", "nnsearch.trial": "4", "seen": "no"}
    assert not list(backend.runs(found.id, {"nnsearch.trial": "3"}, tagged="seen"))
    assert backend.steps(second, "loss") == {m.step for m in values(0, 9) if m.key == "loss"}
    others = [{m.step for m in values(0, 9) if m.key == key} for key in ("accuracy", "lr", "loss")]
    assert backend.steps(second, "absent") in others
    assert backend.steps(first, "loss") == set()
    assert backend.experiment("absent") is None


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_what_was_deleted_is_refused(
    side: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    backend: Backend = request.getfixturevalue(side)
    run_id = started(backend, tmp_path / "artifacts")
    backend.write(run_id, params={"lr": "0.1"})
    with pytest.raises(RefusedError):  # a param never changes; what comes with it is not written
        backend.write(run_id, params={"lr": "0.2"}, metrics=values(0, 3))
    assert backend.steps(run_id, "loss") == set()
    backend.delete_run(run_id)
    with pytest.raises(RefusedError):
        backend.write(run_id, metrics=values(0, 3))
    with pytest.raises(RefusedError):
        backend.end_run(run_id, "FINISHED", end_ms=1)
    with pytest.raises(RefusedError):
        backend.log_dataset(run_id, DATASET)
    found = backend.experiment("digits")
    assert found is not None
    MlflowClient(f"sqlite:///{tmp_path}/{side}.db").delete_experiment(found.id)
    with pytest.raises(RefusedError):
        backend.create_run(found.id, name="a", tags={}, start_ms=0)
    deleted = backend.experiment("digits")
    assert deleted is not None
    assert deleted.is_deleted
    backend.restore_experiment(found.id)
    assert [each.id for each in backend.runs(found.id, {})] == [run_id]  # MLflow's own way


def test_a_statement_that_fails_leaves_nothing_of_its_transaction(
    ours: Tables, tmp_path: Path
) -> None:
    run_id = started(ours, tmp_path / "artifacts")
    before = contents(ours.path)
    nothing: Any = None
    broken = [Metric("loss", 1.0, 0, 0), Metric("loss", 1.0, 0, nothing)]
    with pytest.raises((sqlite3.Error, TypeError)):
        ours.write(run_id, params={"lr": "1"}, metrics=broken)
    assert contents(ours.path) == before
    ours.write(run_id, params={"lr": "1"})
    assert contents(ours.path) != before


def test_a_file_that_is_locked_is_waited_for_and_then_complained_of(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "held.db")) as tables:
        run_id = started(tables, tmp_path / "artifacts")
        tables.file.execute("PRAGMA busy_timeout = 50")
        with closing(sqlite3.connect(tables.path, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                tables.write(run_id, metrics=values(0, 3))
            holder.execute("ROLLBACK")
        tables.write(run_id, metrics=values(0, 3))
        assert tables.steps(run_id, "loss")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE runs ADD COLUMN mood TEXT",
        "ALTER TABLE latest_metrics RENAME COLUMN step TO pace",
        "UPDATE alembic_version SET version_num = 'another'",
        "DELETE FROM alembic_version",
        "DROP TABLE input_tags",
    ],
)
def test_tables_of_another_mlflow_are_left_to_its_client(
    empty: Path, tmp_path: Path, change: str
) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(empty.read_bytes())
    assert is_known(path, empty)
    with closing(sqlite3.connect(path)) as file:
        file.execute(change)
        file.commit()
    assert not is_known(path, empty)


def test_a_store_is_written_directly_where_its_tables_are_known(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"XDG_CACHE_HOME": str(empty.parent.parent)}
    path = tmp_path / "mlflow.db"
    uri = f"sqlite:///{path}"
    assert is_direct(uri, environ)  # it will be made from the empty tables
    assert not is_direct(uri, {})
    assert not is_direct(uri, {"XDG_CACHE_HOME": str(tmp_path / "nothing")})
    assert not is_direct("http://127.0.0.1:9", environ)
    assert not is_direct("postgresql://ada@127.0.0.1/runs", environ)
    path.write_bytes(b"no database")
    assert not is_direct(uri, environ)
    path.unlink()
    make_tables(path, environ)
    monkeypatch.setenv("XDG_CACHE_HOME", environ["XDG_CACHE_HOME"])
    backend = open_backend(uri)
    assert isinstance(backend, Tables)
    backend.close()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    assert isinstance(open_backend(uri), Client)
