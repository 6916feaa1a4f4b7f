"""The empty tables of MLflow's store, made once and kept."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nnsearch.tracking.schema import kept_tables, make_tables
from nnsearch.tracking.store import import_mlflow

import_mlflow()


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A cache that one store's making has filled."""
    root = tmp_path_factory.mktemp("cache")
    told = {"XDG_CACHE_HOME": str(root)}
    make_tables(root / "first.db", told)
    return told


def kept(environ: dict[str, str]) -> Path:
    path = kept_tables(environ)
    assert path is not None
    return path


def description(path: Path) -> list[list[str]]:
    """Each table and index by its words: MLflow's migrations put constraints in any order."""
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT sql FROM sqlite_master ORDER BY type, name").fetchall()
        version = database.execute("SELECT * FROM alembic_version").fetchall()
    return [sorted(re.findall(r"[\w']+", str(each))) for each in (*found, version)]


def experiments(path: Path) -> Iterator[tuple[int, str]]:
    with closing(sqlite3.connect(path)) as database:
        yield from database.execute("SELECT experiment_id, name FROM experiments")


def test_a_copy_has_the_tables_that_the_migrations_make(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    make_tables(tmp_path / "copied.db", environ)
    make_tables(tmp_path / "migrated.db", {})
    assert description(tmp_path / "copied.db") == description(tmp_path / "migrated.db")
    assert len(description(tmp_path / "copied.db")) > 50


def test_what_is_kept_has_nothing_of_the_store_it_was_made_for(environ: dict[str, str]) -> None:
    assert list(experiments(kept(environ))) == []


def test_mlflow_opens_a_copy_and_makes_its_default_experiment(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    from mlflow import MlflowClient

    path = tmp_path / "mlflow.db"
    make_tables(path, environ)
    client = MlflowClient(tracking_uri=f"sqlite:///{path}")
    client.create_experiment("digits")
    assert {each.name for each in client.search_experiments()} == {"Default", "digits"}
    assert [number for number, _ in experiments(path)] == [0, 1]


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0 and then nothing", None])
def test_a_damaged_or_missing_one_is_made_anew(
    tmp_path: Path, environ: dict[str, str], content: bytes | None
) -> None:
    told = {"XDG_CACHE_HOME": str(tmp_path)}
    place = kept(told)
    place.parent.mkdir()
    if content is not None:
        place.write_bytes(content)
    make_tables(tmp_path / "mlflow.db", told)
    assert description(tmp_path / "mlflow.db") == description(kept(environ)) == description(place)


def test_tables_without_the_mark_of_the_last_migration_are_made_anew(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    told = {"XDG_CACHE_HOME": str(tmp_path)}
    place = kept(told)
    place.parent.mkdir()
    place.write_bytes(kept(environ).read_bytes())
    with closing(sqlite3.connect(place)) as database, database:
        database.execute("DELETE FROM alembic_version")
    make_tables(tmp_path / "mlflow.db", told)
    assert description(tmp_path / "mlflow.db") == description(kept(environ))


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "nnsearch").write_text("a file where the folder would be")
    make_tables(tmp_path / "mlflow.db", {"XDG_CACHE_HOME": str(tmp_path)})
    assert len(description(tmp_path / "mlflow.db")) > 50


def test_where_it_is_kept() -> None:
    place = kept_tables({"HOME": "/her/folder"})
    assert place is not None
    assert place.parent == Path("/her/folder/.cache/nnsearch")
    assert kept_tables({}) is None


def test_what_a_deleted_database_left_does_not_spoil_the_new_one(
    environ: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "mlflow.db"
    make_tables(path, environ)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute("CREATE TABLE filler AS SELECT randomblob(500000) AS bytes")
        database.commit()
        left = path.with_name("mlflow.db-wal").read_bytes()
    path.unlink()
    path.with_name("mlflow.db-wal").write_bytes(left)
    make_tables(path, environ)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    assert "filler" not in tables
