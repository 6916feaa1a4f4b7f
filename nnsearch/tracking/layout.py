"""The tables of MLflow that are written without it, and in which files they are what we know.

Known are the columns, and no others; and the file must be of the revision that the installed MLflow
makes, for it refuses to open another.
"""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

COLUMNS = {
    "experiments": (
        *("experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time"),
        *("last_update_time", "workspace"),
    ),
    "experiment_tags": ("key", "value", "experiment_id"),
    "runs": (
        *("run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id"),
        *("status", "start_time", "end_time", "source_version", "lifecycle_stage"),
        *("artifact_uri", "experiment_id", "deleted_time"),
    ),
    "tags": ("key", "value", "run_uuid"),
    "params": ("key", "value", "run_uuid"),
    "metrics": ("key", "value", "timestamp", "run_uuid", "step", "is_nan"),
    "latest_metrics": ("key", "value", "timestamp", "step", "is_nan", "run_uuid"),
    "datasets": (
        *("dataset_uuid", "experiment_id", "name", "digest", "dataset_source_type"),
        *("dataset_source", "dataset_schema", "dataset_profile"),
    ),
    "inputs": (
        *("input_uuid", "source_type", "source_id", "destination_type", "destination_id"),
        "step",
    ),
    "input_tags": ("input_uuid", "name", "value"),
}


@cache
def into(table: str, otherwise: str = "") -> str:
    """The statement that inserts a row, its values in the order of `COLUMNS`.

    `otherwise` says what becomes of one that is there: "OR IGNORE" or "OR REPLACE".
    """
    columns = COLUMNS[table]
    places = ", ".join("?" for _ in columns)
    return f"INSERT {otherwise} INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - our own words


def is_known(path: Path, empty: Path) -> bool:
    """Whether a file has just these columns, and the revision of MLflow's `empty` tables.

    False as well where either cannot be read: MLflow says best why.
    """
    wanted = [set(columns) for columns in COLUMNS.values()]
    try:
        revision, *columns = _layout(path)
        return bool(revision) and [revision, *columns] == _layout(empty) and columns == wanted
    except sqlite3.Error:
        return False


def _layout(path: Path) -> list[set[str]]:
    """The revision of a file, and the columns of each table."""
    # Not read-only: such a reader leaves the files behind that it needs of a store in WAL mode.
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as file:
        revision = {str(row[0]) for row in file.execute("SELECT version_num FROM alembic_version")}
        tables = [file.execute(f"PRAGMA table_info({each})").fetchall() for each in COLUMNS]
        return [revision, *({str(row[1]) for row in table} for table in tables)]
