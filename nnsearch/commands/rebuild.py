"""Make damaged stores again from the records. Knows nothing of how a store is written.

What is damaged is never changed: it is kept beside its place as `*.corrupt-<time>`.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from nnsearch.commands.agreement import read_records, trial_problems
from nnsearch.commands.delivery import deliver, study_folders
from nnsearch.commands.doctor import Stores, database_problems
from nnsearch.commands.places import MLRUNS, sole_driver
from nnsearch.search.journal import problem
from nnsearch.study.folder import Home, StudyFolder
from nnsearch.tracking.store import destination

PATIENCE_SECONDS = 60.0


def rebuild(
    *,
    home: Path = MLRUNS,
    storage: str = "",
    environ: Mapping[str, str] | None = None,
    warn: Callable[[str], None] = print,
    clock: Callable[[], float] = time.time,
) -> list[Path]:
    """Put damaged stores aside, write all that the records hold, and name what was put aside.

    The journal file goes aside too where it is whole but says something else than the records.
    Raises StoreError where one of the studies is being run.
    """
    environ = os.environ if environ is None else environ
    folders = study_folders(home)
    place, aside = Home(home), list[Path]()
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(sole_driver(folder))
        stores = Stores(home, storage, destination(place, environ)[0])
        if not storage and _is_damaged(place.optuna_journal, folders, stores):
            aside += _put_aside(place.optuna_journal, clock())
        database = place.mlflow_database
        if database.exists() and _is_no_database(database):
            aside += _put_aside(database, clock())
        for folder in folders:
            deliver(
                folder,
                place,
                storage=storage,
                environ=environ,
                warn=warn,
                patience_seconds=PATIENCE_SECONDS,
            )
    return aside


def _is_damaged(journal: Path, folders: list[StudyFolder], stores: Stores) -> bool:
    """Whether a journal cannot be read, or denies what the records say; being behind is no harm."""
    if not journal.exists():
        return False
    if problem(journal):
        return True
    for folder in folders:
        try:
            stored = stores.trials(folder.root.name)
        except LookupError:
            continue
        except Exception:  # noqa: BLE001 - whatever Optuna makes of a damaged file
            return True
        records = read_records(folder)
        endings = records.ledger.endings
        num_ended = next(number for number in count() if number not in endings)
        if len(stored) > num_ended or list(trial_problems(records, stored)):
            return True
    return False


def _is_no_database(path: Path) -> bool:
    try:
        return bool(list(database_problems(path)))
    except sqlite3.DatabaseError:
        return True


def _put_aside(path: Path, now: float) -> list[Path]:
    """Rename a file, and what SQLite keeps beside it, to `*.corrupt-<time>`; the new names."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    moved: list[Path] = []
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if each.exists():
            target = each.with_name(f"{each.name}.corrupt-{stamp}")
            number = 1
            while target.exists():
                number += 1
                target = each.with_name(f"{each.name}.corrupt-{stamp}-{number}")
            each.rename(target)
            moved.append(target)
    return moved
