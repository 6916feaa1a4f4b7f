"""A power cut takes the last transactions of mlflow.db: `doctor` says so, `run` and `sync` mend it.

During a study SQLite does not wait for the disk, so what a cut leaves is the database and the
beginning of its write-ahead log. Here a reader holds that log from its first frame on, and each
test is given the study's folder with a part of it: the records are whole, for they are on the disk.
"""

import shutil
import signal
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from adapters import OURS, complete, search
from rig import assert_nothing_lost, base, make_home, strict

from nnsearch.commands.delivery import sync
from nnsearch.commands.doctor import doctor
from nnsearch.crashes import AT
from nnsearch.tracking.schema import write_ahead

__all__ = ["base"]  # a fixture
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

HEADER, FRAME_HEADER = 32, 24
# What a clock says, and so differs from run to run.
CLOCKS = ("train_seconds", "nnsearch.tested_at", "nnsearch.confirmed_at", "nnsearch.attached")


@dataclass(frozen=True)
class Log:
    """A study's folder, and its database: the file when it began, and all that was committed."""

    home: Path
    first: bytes
    frames: bytes

    def commits(self) -> list[int]:
        """Where each transaction ends in `frames`, the first being none at all."""
        size = FRAME_HEADER + struct.unpack(">I", self.frames[8:12])[0]
        starts = range(HEADER, len(self.frames) - size + 1, size)
        # The fifth to eighth byte of a frame are 0 but in the last one of a transaction.
        last = [each for each in starts if self.frames[each + 4 : each + 8] != bytes(4)]
        return [HEADER, *(each + size for each in last)]

    def cut(self, folder: Path, frames: bytes) -> Path:
        """A copy of the home as it was, whose log is `frames`."""
        home = folder / "mlruns"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.home, home, ignore=shutil.ignore_patterns("mlflow.db*"))
        (home / "mlflow.db").write_bytes(self.first)
        (home / "mlflow.db-wal").write_bytes(frames)
        return home


@contextmanager
def logged(home: Path) -> Iterator[Callable[[], Log]]:
    """Keep SQLite from moving the log into the database while the block lasts."""
    path = home / "mlflow.db"
    write_ahead(path)
    first = path.read_bytes()  # not below: to close the file drops this process's locks on it
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        yield lambda: Log(home, first, path.with_name("mlflow.db-wal").read_bytes())
    assert path.read_bytes() != first, "the last reader moves the log into the database"


@cache
def ended(base: Path) -> Log:
    """A study that ran to its end."""
    (base / "power-ended").mkdir()
    home = make_home(base / "power-ended", base)
    with logged(home) as log:
        complete(OURS, home)
        return log()


@cache
def killed(base: Path) -> Log:
    """The same, killed when the third of its five trials had been written to MLflow."""
    (base / "power-killed").mkdir()
    home = make_home(base / "power-killed", base)
    with logged(home) as log:
        code, errors = search(OURS, home, env={AT: "C4:3"})
        assert code == -signal.SIGKILL, errors
        return log()


def rows(home: Path, *, timed: bool = True) -> list[str]:
    """All that is in MLflow, once for each time that it is there, runs by the trial's number."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        query = (
            "SELECT run_uuid, coalesce((SELECT value FROM tags WHERE tags.run_uuid = runs.run_uuid"
            " AND key = 'nnsearch.trial'), 'study') FROM runs"
        )
        names = dict(database.execute(query).fetchall())
        found: list[tuple[object, ...]] = []
        for run, *rest in database.execute("SELECT run_uuid, status, lifecycle_stage FROM runs"):
            found.append(("run", names[run], *rest))
        time = ", timestamp" if timed else ""
        for table, columns in (
            ("metrics", f"value, step, is_nan{time}"),
            ("latest_metrics", f"value, step, is_nan{time}"),
            ("params", "value"),
            ("tags", "value"),
        ):
            query = f"SELECT run_uuid, key, {columns} FROM {table}"  # noqa: S608 - our own words
            for run, key, *rest in database.execute(query):
                if timed or not (key in CLOCKS or key.startswith("mlflow.source")):
                    values = [names.get(each, each) for each in rest]
                    found.append((table, names[run], key, *values))
        for (run,) in database.execute("SELECT destination_id FROM inputs"):
            found.append(("inputs", names[run]))
        found += [("tag", *each) for each in database.execute("SELECT * FROM experiment_tags")]
    return sorted(map(repr, found))


# Of the transactions of a study, those that differ in kind: nothing, the study's own run, a trial's
# run, and one that lacks only what is said at the end. The report's two come after.
KINDS = (0, 2, 4, -4)


def test_sync_restores_what_an_ended_study_lost(own_folder: Path, base: Path) -> None:
    assert_restored(ended(base), own_folder, [ended(base).commits()[each] for each in KINDS])


@pytest.mark.slow
def test_sync_restores_it_after_each_transaction(own_folder: Path, base: Path) -> None:
    *places, _, _ = ended(base).commits()
    assert len(places) > 15
    assert_restored(ended(base), own_folder, places)


def assert_restored(log: Log, folder: Path, places: list[int]) -> None:
    whole = rows(log.cut(folder, log.frames))
    for place in places:
        home = log.cut(folder / str(place), log.frames[:place])
        assert "MLflow" in strict(home), place
        sync("small", home=home, environ={})
        assert rows(home) == whole, place
        assert strict(home) == "", place


@pytest.mark.parametrize(
    ("left", "fill"),
    [(FRAME_HEADER + 1000, 0), (FRAME_HEADER // 2, 20_000)],
    ids=["short", "zeros"],
)
def test_half_a_transaction_is_none(left: int, fill: int, own_folder: Path, base: Path) -> None:
    """The log ends amid a frame, or the file is as long as it was and has zeros there."""
    log = ended(base)
    place = log.commits()[8]
    torn = log.cut(own_folder / "torn", log.frames[: place + left] + bytes(fill))
    assert rows(torn) == rows(log.cut(own_folder / "clean", log.frames[:place]))
    assert strict(torn) != ""
    sync("small", home=torn, environ={})
    assert rows(torn) == rows(log.cut(own_folder / "whole", log.frames))
    assert strict(torn) == ""


@pytest.mark.parametrize("is_there", [True, False], ids=["empty", "missing"])
def test_a_database_that_never_reached_the_disk(
    is_there: bool, own_folder: Path, base: Path
) -> None:
    log = ended(base)
    whole = rows(log.cut(own_folder / "whole", log.frames))
    home = log.cut(own_folder, log.frames[: log.commits()[8]])
    (home / "mlflow.db").unlink()
    if is_there:
        (home / "mlflow.db").touch()
        (home / "mlflow.db-wal").unlink()
    assert "MLflow" in strict(home)
    sync("small", home=home, environ={})
    assert rows(home) == whole
    assert strict(home) == ""


def test_doctor_says_in_plain_words_what_is_lost(own_folder: Path, base: Path) -> None:
    log = ended(base)
    home = log.cut(own_folder, log.frames[: log.commits()[4]])
    (check,) = (each for each in doctor("small", home=home, environ={}).checks if not each.is_ok)
    assert check.name.startswith("MLflow's store agrees")
    assert "trial 4 (complete) has 0 runs in MLflow" in check.problems
    assert "`nnsearch run small` writes from the records what is missing." in check.hint


@pytest.mark.parametrize(
    "kind", [pytest.param(each, marks=[] if each == 4 else pytest.mark.slow) for each in KINDS]
)
@pytest.mark.parametrize("end", ["killed", "ended"])
def test_the_same_run_again_restores_it(kind: int, end: str, own_folder: Path, base: Path) -> None:
    log = killed(base) if end == "killed" else ended(base)
    home = log.cut(own_folder, log.frames[: log.commits()[kind]])
    shutil.copyfile(log.home.parent / "small.toml", own_folder / "small.toml")
    assert strict(home) != ""
    complete(OURS, home)
    assert_nothing_lost(home)
    whole = ended(base).cut(own_folder / "whole", ended(base).frames)
    assert rows(home, timed=False) == rows(whole, timed=False)
