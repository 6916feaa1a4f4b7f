"""The one MLflow writer: a listener of events with a thread that delivers them.

The driver only puts events into a queue. What MLflow cannot take now, because its database is
locked or its server gone, is kept and sent later; training never waits for it. What is written
for an event is `runs`' affair; neither Optuna nor torch is known here.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from nnsearch.errors import StoreError
from nnsearch.events import Ending, Event
from nnsearch.study.folder import StudyFolder, TrialFolder
from nnsearch.study.holders import held_by
from nnsearch.study.spec import Objective, Study
from nnsearch.tracking.outbox import Barrier, Close, Outbox, deliver
from nnsearch.tracking.runs import Picture, Subject
from nnsearch.tracking.store import Store, open_store, shown, sqlite_path

SLOW_SECONDS = 5.0
TELL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class MlflowListener:
    """Takes events and returns at once."""

    _outbox: Outbox
    _complain: Callable[[], None]

    def __call__(self, event: Event) -> None:
        """Take one event, of this session or an earlier one; repeated ones change nothing."""
        if isinstance(event, Ending):
            self._outbox.ended.add(event.trial)
        self._outbox.inbox.put(event)
        self._complain()

    def pending(self) -> int:
        """How many trials and events are not in MLflow yet."""
        return self._outbox.pending()

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all that was handed over is in MLflow; False where time runs out first."""
        barrier = Barrier()
        self._outbox.inbox.put(barrier)
        return barrier.reached.wait(timeout_seconds)


@contextlib.contextmanager
def mlflow_listener(
    study: Study,
    objective: Objective,
    folder: StudyFolder,
    *,
    uri: str,
    artifacts: str,
    locate: Callable[[int], TrialFolder],
    picture: Picture,
    facts: Mapping[str, str],
    dataset: Mapping[str, object],
    warn: Callable[[str], None],
    uid: str = "",
    patience_seconds: float = 60.0,
    leave_seconds: float = 20.0,
    flush_seconds: float = 5.0,
    ends_as: str = "FINISHED",
    clock: Callable[[], float] = time.time,
) -> Iterator[MlflowListener]:
    """A listener that writes one run a trial below one run a study.

    On leaving, everything is delivered and the study's run is `ends_as`, or KILLED where Ctrl-C or
    another exit left, or FAILED after an error; trials that have not ended are KILLED and go on
    when the same events are fed again. Raises StoreError, with how many items are missing, where
    `patience_seconds` pass without one more trial written; where an error is on its way already, it
    waits a third of that in all, and after a signal `leave_seconds`, and only warns.
    """
    subject = Subject(study, uid or study.name, objective, facts, dataset, locate, picture, warn)
    outbox = Outbox()
    place = shown(uri)
    complain = _once(outbox, warn, place)

    def connect() -> Store:
        path = sqlite_path(uri)
        if path is None or path.exists():  # making the tables takes a while, and no one is to blame
            outbox.waiting_since.append(time.monotonic())
        try:
            opened = open_store(uri, artifacts, study, objective, study_uid=subject.uid)
        finally:
            outbox.waiting_since.clear()
        return replace(opened, waiting_since=outbox.waiting_since)

    threading.Thread(
        target=deliver,
        args=(outbox, subject, connect),
        kwargs={"flush_seconds": flush_seconds, "clock": clock},
        name="mlflow-writer",
        daemon=True,
    ).start()
    try:
        yield MlflowListener(outbox, complain)
    except BaseException as error:
        is_error = isinstance(error, Exception)
        with _closing(outbox, "FAILED" if is_error else "KILLED"):
            _await(outbox, patience_seconds / 3 if is_error else leave_seconds, complain)
        if not outbox.finished.is_set():
            warn(_missing(outbox, place, folder))
        raise
    with _closing(outbox, ends_as):
        _await_all(outbox, patience_seconds, complain, warn)
    if outbox.bugs:
        raise outbox.bugs[0]
    if outbox.rejected or not outbox.finished.is_set():
        raise StoreError(_missing(outbox, place, folder), _NEXT)


_NEXT = "`nnsearch sync` sends what is missing when MLflow takes it again."


@contextlib.contextmanager
def _closing(outbox: Outbox, status: str) -> Iterator[None]:
    """Ask the thread to bring everything to its end, and to give up where the block ends first."""
    close = Close(status)
    outbox.inbox.put(close)
    try:
        yield
    finally:
        close.given_up.set()


def _await(outbox: Outbox, seconds: float, complain: Callable[[], None]) -> bool:
    """Wait until the thread is through; False where it is not after so many seconds."""
    deadline = time.monotonic() + seconds
    while not outbox.finished.wait(min(0.5, max(0.0, deadline - time.monotonic()))):
        complain()
        if outbox.bugs or time.monotonic() >= deadline:
            return False
    return True


def _await_all(
    outbox: Outbox,
    patience_seconds: float,
    complain: Callable[[], None],
    warn: Callable[[str], None],
) -> None:
    """Wait as long as trials keep being written, and tell now and then how many are left.

    Thousands of short trials can take MLflow minutes longer than their training.
    """
    fewest, deadline = outbox.num_unwritten(), time.monotonic() + patience_seconds
    while not _await(outbox, min(TELL_SECONDS, deadline - time.monotonic()), complain):
        left = outbox.num_unwritten()
        if left < fewest:
            fewest, deadline = left, time.monotonic() + patience_seconds
        if outbox.bugs or time.monotonic() >= deadline:
            return
        if left and not outbox.trouble:
            warn(f"MLflow: {left} {'trial' if left == 1 else 'trials'} still to write")


def _missing(outbox: Outbox, place: str, folder: StudyFolder) -> str:
    path = sqlite_path(place)
    holder = held_by(path) if path else ""
    reasons = [*outbox.rejected.values(), *outbox.trouble, *map(repr, outbox.bugs)]
    reason = f" ({reasons[0]})" if reasons else ""
    number = max(1, outbox.pending())
    items = "1 item" if number == 1 else f"{number} items"
    return (
        f"{items} could not be delivered to MLflow at {place}{holder}{reason}."
        f" All of them are recorded in {folder.root}."
    )


def _once(outbox: Outbox, warn: Callable[[str], None], place: str) -> Callable[[], None]:
    """A check to call now and then: the first time MLflow is in trouble, it warns."""
    warned = threading.Event()

    def complain() -> None:
        if warned.is_set():
            return
        since = outbox.waiting_since[:1]
        is_slow = bool(since) and time.monotonic() - since[0] > SLOW_SECONDS
        if outbox.trouble or is_slow:
            warned.set()
            reason = outbox.trouble[0] if outbox.trouble else "no answer; it may be locked"
            warn(
                f"MLflow at {place} does not take what is tracked ({reason})."
                " The search goes on, and it is sent later."
            )

    return complain
