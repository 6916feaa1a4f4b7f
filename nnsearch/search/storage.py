"""Project a study onto a persistent Optuna storage. The records are the truth, this is their image.

Finished trials are added in the order of their numbers, so that a trial has the same number here
and there; what the storage holds already is not written again. A storage that is locked or gone
holds nothing up: what is missing is added later, at the latest when the study ends.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalStorage
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError

from nnsearch.crashes import crash_point
from nnsearch.errors import IntegrityError, StoreError
from nnsearch.search.asking import frozen
from nnsearch.search.journal import JournalFile, damaged, refuse_damage, settle
from nnsearch.search.ledger import Ledger
from nnsearch.study.holders import held_by
from nnsearch.study.spec import Objective, Study

UID = "nnsearch.uid"
WARN_SECONDS = 5.0
PAUSE_SECONDS = 0.25
T = TypeVar("T")
_FAILURES = (StorageInternalError, SQLAlchemyError, OSError)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the storage is: a database URL, or a journal file where the URL is empty.

    `patience_seconds` is how long a storage that cannot be written is waited for, at the start
    and at the end; `warn` is told once that it is.
    """

    url: str
    journal: Path
    warn: Callable[[str], None]
    patience_seconds: float = 60.0

    def __str__(self) -> str:
        return "the Optuna store" if self.url else str(self.journal)

    @property
    def file(self) -> Path | None:
        """The file that others may lock; a server has none."""
        if not self.url:
            return self.journal
        return Path(self.url[len("sqlite:///") :]) if self.url.startswith("sqlite:///") else None


@contextmanager
def projection(
    study: Study, objective: Objective, place: Place, others: Sequence[Objective] = ()
) -> Iterator["Projection"]:
    """The study in the storage at `place`, whole when the context is left without an error.

    `others` are the objectives beside the main one.
    Raises StoreError where the storage cannot be opened or written, and IntegrityError where it is
    damaged or holds a study of that name that is not ours.
    """
    objectives = (objective, *others)
    stored = _patiently(lambda: _open(study, objectives, place), place)
    directions = [each.name.lower() for each in stored.directions]
    if directions != [each.direction for each in objectives]:
        raise IntegrityError(
            f"the Optuna store holds a study '{study.name}' that is to {' and '.join(directions)}.",
            "Give this study another name.",
        )
    projected = Projection(study, objectives, stored, place, _uids(stored))
    try:
        yield projected
    except BaseException:
        # A signal may have come when a trial had been added and was not known to be.
        projected.not_before, projected.failing_since = 0.0, time.monotonic()
        projected(projected.ledger)
        raise
    projected.complete()


@dataclass(slots=True)
class Projection:
    """An open study in a persistent storage; used as the function that brings it up to date.

    `trouble` is why the last attempt failed, and since when they have.
    """

    study: Study
    objectives: tuple[Objective, ...]
    stored: optuna.Study
    place: Place
    uids: list[str]
    ledger: Ledger = field(default_factory=Ledger)
    not_before: float = 0.0
    failing_since: float = 0.0
    has_warned: bool = False

    def check(self, ledger: Ledger) -> None:
        """Raise IntegrityError where the storage holds other trials under our numbers."""
        for number, uid in enumerate(self.uids):
            if number not in ledger.specs or ledger.specs[number].uid != uid:
                raise IntegrityError(
                    f"trial {number} of '{self.study.name}' in the Optuna store is another one.",
                    "Give this study another name, or delete that one from the store.",
                )

    def __call__(self, ledger: Ledger) -> None:
        """Try to add each ended trial that is missing; what fails is tried again by a later call.

        Added are those up to the first trial that has not ended.
        """
        self.ledger = ledger
        now = time.monotonic()
        if now < self.not_before:
            return
        try:
            self._add()
        except (*_FAILURES, IntegrityError) as error:
            self.failing_since = self.failing_since or now
            self.not_before = time.monotonic() + PAUSE_SECONDS
            if not self.has_warned and now - self.failing_since > WARN_SECONDS:
                self.has_warned = True
                self.place.warn(f"{_trouble(self.place, error)} The search goes on.")
        else:
            self.failing_since = 0.0

    def complete(self) -> None:
        """Add what is missing, and wait for a storage that does not take it.

        Raises IntegrityError where what was added is not there: the journal was damaged meanwhile.
        """
        _patiently(self._add, self.place)
        if not self.place.url:
            _patiently(lambda: _read_again(self.study.name, self.place, self.uids), self.place)

    def _add(self) -> None:
        if len(self.uids) not in self.ledger.endings:
            return
        if self.place.url:
            self._add_missing()
            return
        if not self.place.journal.exists():
            raise damaged(self.place.journal, "it was deleted while the study ran")
        try:
            self._add_missing()
            settle(self.place.journal)
        except (LookupError, ValueError, AttributeError) as error:
            # What Optuna makes of a journal that was damaged under its hands.
            raise damaged(self.place.journal, f"{type(error).__name__}: {error}") from error

    def _add_missing(self) -> None:
        if self.failing_since:
            self.uids[:] = _uids(self.stored)  # it may hold what it refused to confirm
        while len(self.uids) in self.ledger.endings:
            number = len(self.uids)
            self.stored.add_trial(_dated(self.study, self.ledger, number, self.objectives))
            self.uids.append(self.ledger.specs[number].uid)
            crash_point("C5")


def open_storage(url: str, journal: Path) -> BaseStorage:
    """The storage at a database URL, or in a journal file.

    Raises IntegrityError for a damaged journal. A torn last line would make the next one appended,
    and with it the file, unreadable for ever; the lock cuts it off.
    """
    if url:
        return RDBStorage(url, engine_kwargs=_engine_options(url))
    journal.parent.mkdir(parents=True, exist_ok=True)
    refuse_damage(journal)
    backend = JournalFile(journal)
    backend.lock.acquire()
    backend.lock.release()
    return JournalStorage(backend)


def _read_again(name: str, place: Place, uids: list[str]) -> None:
    if not place.journal.exists():
        raise damaged(place.journal, "it was deleted while the study ran")
    refuse_damage(place.journal)
    try:
        stored = optuna.load_study(study_name=name, storage=open_storage("", place.journal))
        is_whole = _uids(stored) == uids
    except (LookupError, ValueError):
        is_whole = False
    if not is_whole:
        raise damaged(place.journal, "it was changed while the study ran")


def _engine_options(url: str) -> dict[str, Any]:
    """A connection that a restarted server closed is noticed, and no attempt takes long."""
    seconds: dict[str, Any] = {}
    if url.startswith("sqlite"):
        seconds = {"timeout": 1.0}
    elif url.startswith("postgresql"):
        seconds = {"connect_timeout": 5}
    return {"pool_pre_ping": True, "connect_args": seconds}


def _open(study: Study, objectives: Sequence[Objective], place: Place) -> optuna.Study:
    storage = open_storage(place.url, place.journal)
    try:  # first, for a journal keeps every attempt to create what is there
        return optuna.load_study(study_name=study.name, storage=storage)
    except KeyError:
        created = optuna.create_study(
            study_name=study.name,
            storage=storage,
            directions=[each.direction for each in objectives],
            load_if_exists=True,
        )
    if len(objectives) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            created.set_metric_names([each.key for each in objectives])
    return created


def _patiently(attempt: Callable[[], T], place: Place) -> T:
    """What `attempt` returns once it succeeds. Raises StoreError where patience runs out."""
    start, has_warned = time.monotonic(), False
    while True:
        try:
            return attempt()
        except _FAILURES as error:
            waited = time.monotonic() - start
            if waited > place.patience_seconds or not _may_pass(error):
                hint = "Let go of it or make it writable, and type the same command."
                raise StoreError(_trouble(place, error), hint) from error
            if waited > WARN_SECONDS and not has_warned:
                has_warned = True
                place.warn(f"{_trouble(place, error)} Waiting for it.")
        time.sleep(PAUSE_SECONDS)


def _may_pass(error: BaseException) -> bool:
    """Whether waiting may help: a lock is let go of and a server comes back, a folder stays."""
    if isinstance(error, OSError):
        return isinstance(error, TimeoutError)
    cause = str(error.__cause__ or error)
    return "sqlite3" not in cause or "locked" in cause


def _trouble(place: Place, error: BaseException) -> str:
    cause: BaseException = error.__cause__ or error
    reason = (str(cause).splitlines() or [""])[0]
    holder = held_by(place.file) if place.file else ""
    return f"cannot write {place}{holder}: {reason}."


def _uids(stored: optuna.Study) -> list[str]:
    return [str(each.user_attrs.get(UID, "")) for each in stored.get_trials(deepcopy=False)]


def _dated(
    study: Study, ledger: Ledger, number: int, objectives: Sequence[Objective]
) -> FrozenTrial:
    ending = ledger.endings[number]
    trial = frozen(study, ledger, number, objectives)
    started = ledger.started.get(number)
    trial.datetime_start = _local(ending.at if started is None else started.at)
    trial.datetime_complete = _local(ending.at)
    return trial


def _local(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone().replace(tzinfo=None)
