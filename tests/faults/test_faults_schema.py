"""A command that is killed while MLflow's tables are being made for the first time."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from adapters import NAIVE, OURS, Adapter, complete, kill_group, search, start, wait_for
from rig import assert_nothing_lost, base, home

__all__ = ["base", "home"]  # fixtures
pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(300)]


def is_amid(path: Path) -> bool:
    """Whether MLflow is within one of its dozens of migrations: a table is being copied."""
    query = "SELECT count(*) FROM sqlite_master WHERE name LIKE '\\_alembic\\_tmp%' ESCAPE '\\'"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0.0)) as database:
            return bool(database.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return False  # locked, or moved to its place meanwhile


def kill_amid_schema(adapter: Adapter, home: Path, pattern: str) -> Path:
    """Kill the search while a file of this name is being made into MLflow's store; the file."""
    (home / "mlflow.db").unlink()
    cache = {"XDG_CACHE_HOME": str(home.parent / "cache")}  # empty, so that the tables are made
    process = start(adapter, home, env=cache)
    found: list[Path] = []

    def is_stopped_amid() -> bool:
        if not any(map(is_amid, home.glob(pattern))):
            return False
        os.killpg(process.pid, signal.SIGSTOP)
        found.extend(filter(is_amid, home.glob(pattern)))
        if not found:
            os.killpg(process.pid, signal.SIGCONT)
        return bool(found)

    try:
        wait_for(is_stopped_amid, seconds=100)
    finally:
        kill_group(process)
    assert process.returncode == -signal.SIGKILL
    return found[0]


def test_killed_while_the_tables_are_made_the_same_command_completes(home: Path) -> None:
    draft = kill_amid_schema(OURS, home, ".mlflow.db.*[0-9]")
    assert not (home / "mlflow.db").exists(), "it was killed too late"
    complete(OURS, home)
    assert_nothing_lost(home)
    assert not draft.exists()


def test_without_a_draft_the_same_kill_leaves_a_store_that_never_opens(home: Path) -> None:
    kill_amid_schema(NAIVE, home, "mlflow.db")
    code, errors = search(NAIVE, home)
    assert code != 0
    assert "sqlite3.OperationalError" in errors, errors
