"""Project a study onto a persistent Optuna storage. The records are the truth, this is their image.

Finished trials are added in the order of their numbers, so that a trial has the same number here
and there; what the storage holds already is not written again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock, JournalStorage
from optuna.trial import FrozenTrial

from nnsearch.errors import IntegrityError, StoreError
from nnsearch.events import cut_torn_line
from nnsearch.search.asking import frozen
from nnsearch.search.ledger import Ledger
from nnsearch.study.spec import Objective, Study

UID = "nnsearch.uid"


@contextmanager
def projection(
    study: Study, objective: Objective, url: str, journal: Path
) -> Iterator["Projection"]:
    """The study in the storage at `url`, or in the journal file where `url` is empty.

    Raises StoreError where the storage cannot be opened and IntegrityError where it holds a study
    of that name that is not ours.
    """
    try:
        storage = open_storage(url, journal)
        stored = optuna.create_study(
            study_name=study.name,
            storage=storage,
            direction=objective.direction,
            load_if_exists=True,
        )
    except (OSError, optuna.exceptions.StorageInternalError) as error:
        place = "the Optuna store" if url else str(journal)
        raise StoreError(
            f"cannot open {place}: {error}.", "Is it reachable and writable?"
        ) from error
    if stored.direction.name.lower() != objective.direction:
        other = stored.direction.name.lower()
        raise IntegrityError(
            f"the Optuna store holds a study '{study.name}' that is to {other}.",
            "Give this study another name.",
        )
    yield Projection(study, objective, stored, _uids(stored))


class Projection:
    """An open study in a persistent storage; used as the function that brings it up to date."""

    def __init__(
        self, study: Study, objective: Objective, stored: optuna.Study, uids: list[str]
    ) -> None:
        self.study, self.objective, self.stored, self.uids = study, objective, stored, uids

    def check(self, ledger: Ledger) -> None:
        """Raise IntegrityError where the storage holds other trials under our numbers."""
        for number, uid in enumerate(self.uids):
            if number not in ledger.specs or ledger.specs[number].uid != uid:
                raise IntegrityError(
                    f"trial {number} of '{self.study.name}' in the Optuna store is another one.",
                    "Give this study another name, or delete that one from the store.",
                )

    def __call__(self, ledger: Ledger) -> None:
        """Add each ended trial that is missing, up to the first one that has not ended."""
        while len(self.uids) in ledger.endings:
            number = len(self.uids)
            self.stored.add_trial(_dated(self.study, ledger, number, self.objective.key))
            self.uids.append(ledger.specs[number].uid)


def open_storage(url: str, journal: Path) -> BaseStorage:
    """The storage at a database URL, or in a journal file, cut back to its last whole line.

    A torn last line would make the next one appended, and with it the file, unreadable for ever.
    """
    if url:
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    journal.parent.mkdir(parents=True, exist_ok=True)
    lock = JournalFileSymlinkLock(str(journal))
    lock.acquire()
    try:
        cut_torn_line(journal)
    finally:
        lock.release()
    return JournalStorage(JournalFileBackend(str(journal)))


def _uids(stored: optuna.Study) -> list[str]:
    return [str(each.user_attrs.get(UID, "")) for each in stored.get_trials(deepcopy=False)]


def _dated(study: Study, ledger: Ledger, number: int, key: str) -> FrozenTrial:
    ending = ledger.endings[number]
    trial = frozen(study, ledger, number, key)
    started = ledger.started.get(number)
    trial.datetime_start = _local(ending.at if started is None else started.at)
    trial.datetime_complete = _local(ending.at)
    return trial


def _local(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone().replace(tzinfo=None)
