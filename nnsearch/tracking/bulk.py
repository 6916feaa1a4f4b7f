"""Many metric values of a run in one statement. Knows no trial.

MLflow's `log_batch` makes an object of each value, which costs more than the rest of a trial's
tracking. Where the store is not a database opened by this process, or its tables are not those
that this was written for, nothing is written here and `log_batch` does the work.
"""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from sqlalchemy.orm import Session

COLUMNS = {"key", "value", "timestamp", "run_uuid", "step", "is_nan"}

Row = dict[str, Any]


def write_metrics(client: "MlflowClient", run_id: str, metrics: "list[Metric]") -> bool:
    """Write the values in one transaction; False, and nothing written, where it cannot be done."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.exc import IntegrityError

    store = client._tracking_client.store  # noqa: SLF001 - MLflow has no public way to it
    tables = (SqlMetric, SqlLatestMetric)
    if type(store) is not SqlAlchemyStore or any(_columns(each) != COLUMNS for each in tables):
        return False
    found = [_row(run_id, each) for each in metrics]
    rows = list({tuple(row.values()): row for row in found}.values())
    with store.ManagedSessionMaker(read_only=False) as session:
        if not rows or not _is_active(session, run_id):
            return False
        try:
            _insert(session, run_id, rows)
        except IntegrityError:
            session.rollback()
            return False  # some were there already: log_batch tells which
    return True


def _columns(table: Any) -> set[str]:
    return {column.name for column in table.__table__.columns}


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
