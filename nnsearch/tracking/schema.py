"""The tables of a new MLflow store in an SQLite file. Knows no study.

MLflow makes them by some sixty migrations, a second of computing whose outcome is the same for each
new store. So the empty tables are kept, one file a version of MLflow, in the user's cache folder.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path


def make_tables(path: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Make the database beside its place and move it there whole.

    A kill amid the migrations would leave one that no MLflow opens again. `environ` tells where
    caches lie: in `XDG_CACHE_HOME`, or `.cache` of the home folder.
    """
    for stale in path.parent.glob(f".{path.name}.*"):
        stale.unlink(missing_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    empty = kept_tables(environ)
    if empty is not None and _is_whole(empty):
        shutil.copyfile(empty, draft)
    else:
        _migrate(draft)
        if empty is not None:
            _keep(draft, empty)
    # Of a database that somebody deleted: SQLite would take them for the new one's.
    for left in ("-wal", "-shm"):
        path.with_name(f"{path.name}{left}").unlink(missing_ok=True)
    draft.replace(path)


def write_ahead(path: Path) -> None:
    """Let readers, such as the MLflow UI, read while we write; the file remembers it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchone()


def kept_tables(environ: Mapping[str, str]) -> Path | None:
    """Where the empty tables of this MLflow are kept; None where there is no home folder."""
    home = environ.get("XDG_CACHE_HOME") or (
        f"{environ['HOME']}/.cache" if environ.get("HOME") else ""
    )
    return Path(home, "nnsearch", f"mlflow-{version('mlflow')}.db") if home else None


def _migrate(path: Path) -> None:
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments(max_results=1)


def _is_whole(path: Path) -> bool:
    """Whether the file is a sound database of tables that MLflow has brought up to date."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as tables:
            [(verdict,)] = tables.execute("PRAGMA quick_check")
            stamped = tables.execute("SELECT * FROM alembic_version").fetchone()
            return verdict == "ok" and stamped is not None
    except sqlite3.DatabaseError:  # not there, or torn
        return False


def _keep(made: Path, kept: Path) -> None:
    """Copy the tables without the experiment `Default`, whose artifacts lie beside its store."""
    draft = kept.with_name(f".{kept.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # a cache that cannot be written costs the second again
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                contextlib.closing(sqlite3.connect(made)) as source,
                contextlib.closing(sqlite3.connect(draft)) as copy,
            ):
                source.backup(copy)
                copy.execute("DELETE FROM experiments")
                copy.commit()
            draft.replace(kept)
        except sqlite3.OperationalError:  # a full disk, which SQLite does not report as an OSError
            draft.unlink(missing_ok=True)
