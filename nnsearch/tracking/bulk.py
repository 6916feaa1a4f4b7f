"""Runs and their values in few statements, into the tables of MLflow's own database.

MLflow's client makes an object of each value and asks for much that is known, which costs more than
the rest of a trial's tracking. Where the store is not a database opened by this process, or its
tables are not those that this was written for, nothing is written here and the client does the
work. Knows no trial.
"""

import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from sqlalchemy.orm import Session

_VALUES = {"key", "value", "timestamp", "run_uuid", "step", "is_nan"}
_WORDS = {"key", "value", "run_uuid"}
_RUN = {
    "run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status",
    "start_time", "end_time", "deleted_time", "source_version", "lifecycle_stage", "artifact_uri",
    "experiment_id",
}  # fmt: skip
_TABLES = {
    "SqlMetric": _VALUES,
    "SqlLatestMetric": _VALUES,
    "SqlParam": _WORDS,
    "SqlTag": _WORDS,
    "SqlRun": _RUN,
}

Row = dict[str, Any]


def create_run(
    client: "MlflowClient",
    experiment_id: str,
    *,
    name: str,
    tags: Mapping[str, str],
    start_ms: int,
) -> tuple[str, str] | None:
    """Make a run, as `MlflowClient.create_run` does: its id and where its artifacts go.

    None, and nothing written, where it cannot be done here.
    """
    from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlRun, SqlTag
    from mlflow.utils.uri import append_to_uri_path
    from sqlalchemy import insert, select

    with _session(client) as session:
        if session is None:
            return None
        table = SqlExperiment.__table__
        is_active = table.c.lifecycle_stage == "active"
        of_this = select(table.c.artifact_location).where(
            table.c.experiment_id == int(experiment_id), is_active
        )
        location = session.scalar(of_this)
        if location is None:
            return None
        run_id = uuid.uuid4().hex
        place: str = append_to_uri_path(location, run_id, "artifacts")  # type: ignore[no-untyped-call]
        row = {
            "run_uuid": run_id,
            "name": name,
            "source_type": "UNKNOWN",
            "source_name": "",
            "entry_point_name": "",
            "user_id": tags.get("mlflow.user", "unknown"),
            "status": "RUNNING",
            "start_time": start_ms,
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": place,
            "experiment_id": int(experiment_id),
        }
        session.execute(insert(SqlRun.__table__), [row])
        named = {"mlflow.runName": name, **tags}
        session.execute(insert(SqlTag.__table__), _words(run_id, named))
    return run_id, place


def end_run(client: "MlflowClient", run_id: str, status: str, *, end_ms: int) -> bool:
    """Set a run's state and end, as `set_terminated` does; False where it is not done here."""
    from mlflow.store.tracking.dbmodels.models import SqlRun
    from sqlalchemy import update

    with _session(client) as session:
        if session is None or not _is_active(session, run_id):
            return False
        ended = update(SqlRun.__table__).where(SqlRun.__table__.c.run_uuid == run_id)
        session.execute(ended.values(status=status, end_time=end_ms))
    return True


def write_values(
    client: "MlflowClient",
    run_id: str,
    *,
    metrics: "Sequence[Metric]",
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> bool:
    """Write all in one transaction, as `log_batch` does.

    False, and nothing written, where it is not done here: some may be there already, and
    `log_batch` tells which.
    """
    from mlflow.store.tracking.dbmodels.models import SqlParam, SqlTag
    from sqlalchemy import delete, insert
    from sqlalchemy.exc import IntegrityError

    found = [_row(run_id, each) for each in metrics]
    rows = list({tuple(row.values()): row for row in found}.values())
    with _session(client) as session:
        if session is None or not _is_active(session, run_id):
            return False
        try:
            if rows:
                _insert(session, run_id, rows)
            if params:
                session.execute(insert(SqlParam.__table__), _words(run_id, params))
        except IntegrityError:
            session.rollback()
            return False
        if tags:
            table = SqlTag.__table__
            replaced = delete(table).where(table.c.run_uuid == run_id, table.c.key.in_(tags))
            session.execute(replaced)
            session.execute(insert(table), _words(run_id, tags))
    return True


@contextmanager
def _session(client: "MlflowClient") -> "Iterator[Session | None]":
    """A transaction of the client's own database; None where it has none that is known here."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = client._tracking_client.store  # noqa: SLF001 - MLflow has no public way to it
    if type(store) is not SqlAlchemyStore or not _are_known():
        yield None
        return
    with store.ManagedSessionMaker(read_only=False) as session:
        yield session


@cache
def _are_known() -> bool:
    """Whether the tables have the columns that this was written for, and no other."""
    from mlflow.store.tracking.dbmodels import models

    return all(
        {column.name for column in getattr(models, name).__table__.columns} == columns
        for name, columns in _TABLES.items()
    )


def _words(run_id: str, values: Mapping[str, str]) -> list[Row]:
    return [{"key": key, "value": value, "run_uuid": run_id} for key, value in values.items()]


def _row(run_id: str, metric: "Metric") -> Row:
    # As MLflow stores it: a NaN is 0 with a mark. Infinite values never come here.
    is_nan = math.isnan(metric.value)
    return {
        "key": metric.key,
        "value": 0.0 if is_nan else metric.value,
        "timestamp": metric.timestamp,
        "run_uuid": run_id,
        "step": metric.step,
        "is_nan": is_nan,
    }


def _is_active(session: "Session", run_id: str) -> bool:
    from mlflow.store.tracking.dbmodels.models import SqlRun
    from sqlalchemy import select

    stage = session.scalar(select(SqlRun.lifecycle_stage).filter_by(run_uuid=run_id))
    return stage == "active"


def _insert(session: "Session", run_id: str, rows: list[Row]) -> None:
    """The values, and of each metric the latest: by step, then time, then value."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric
    from sqlalchemy import delete, insert, select

    table = SqlLatestMetric.__table__
    session.execute(insert(SqlMetric.__table__), rows)
    stored = session.execute(select(table).where(table.c.run_uuid == run_id)).mappings()
    before = {row["key"]: dict(row) for row in stored}
    latest = dict(before)
    for row in rows:
        old = latest.get(row["key"])
        if old is None or _age(row) > _age(old):
            latest[row["key"]] = row
    changed = [row for key, row in latest.items() if row is not before.get(key)]
    gone = [row["key"] for row in changed if row["key"] in before]
    if gone:
        session.execute(delete(table).where(table.c.run_uuid == run_id, table.c.key.in_(gone)))
    if changed:
        session.execute(insert(table), changed)


def _age(row: Row) -> tuple[int, int, float]:
    return row["step"], row["timestamp"], row["value"]
