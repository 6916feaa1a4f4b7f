"""What waits for MLflow, and the thread's work: send what is due, and again what failed.

Knows no listener and no study file; what is written for a trial is `runs`' affair.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nnsearch.events import Confirmed, Confirming, Event, Tested
from nnsearch.tracking.backend import RefusedError
from nnsearch.tracking.runs import Subject, close_parent, interrupt_run, write_trial
from nnsearch.tracking.store import PARENT, Store, delete_copies, is_trouble, shown
from nnsearch.tracking.study_run import write_said
from nnsearch.tracking.trials import Trial, note

LONGEST_WAIT = 15.0


@dataclass(frozen=True, slots=True)
class Barrier:
    """A request to send everything now; `reached` is set once all of it is there."""

    reached: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Close:
    """The end: what the study's run ends as. The driver sets `given_up` when it waits no longer."""

    status: str
    given_up: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Outbox:
    """What driver and thread share: only the thread writes, but for `inbox` and `ended`.

    `open` are trials not yet wholly delivered, `sent` how many epochs of each are, `closed` those
    that are done with, `rejected` those that MLflow refuses for good. `ended` are all trials whose
    ending was handed over. `trouble` holds the reason of the last failure, `waiting_since` when the
    call under way began.
    """

    inbox: "queue.SimpleQueue[Event | Barrier | Close]" = field(default_factory=queue.SimpleQueue)
    open: dict[int, Trial] = field(default_factory=dict)
    sent: dict[int, tuple[int, float]] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    rejected: dict[int, str] = field(default_factory=dict)
    said: list[Confirmed | Tested] = field(default_factory=list)
    barriers: list[Barrier] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    waiting_since: list[float] = field(default_factory=list)
    bugs: list[BaseException] = field(default_factory=list)
    finished: threading.Event = field(default_factory=threading.Event)

    def is_dirty(self, number: int, trial: Trial) -> bool:
        """Whether something of a trial is not delivered."""
        return trial.has_begun and (
            trial.ending is not None or self.sent.get(number, (-1, 0.0))[0] < len(trial.epochs)
        )

    def pending(self) -> int:
        """How many trials and events wait for delivery."""
        waiting = sum(self.is_dirty(*pair) for pair in list(self.open.items()))
        return self.inbox.qsize() + waiting + len(self.said) + len(self.rejected)

    def num_unwritten(self) -> int:
        """How many trials that have ended are not done with yet; for the driver to ask."""
        return len(self.ended - self.closed)


def deliver(
    outbox: Outbox,
    subject: Subject,
    connect: Callable[[], Store],
    *,
    flush_seconds: float,
    clock: Callable[[], float],
) -> None:
    """The thread: take events and send what is due, until a `Close` is carried out or gives up.

    A failure of the store is kept in `outbox.trouble` and tried again after a growing wait; any
    other exception is a bug, for the driver to raise in its own thread.
    """
    store: Store | None = None
    close: Close | None = None
    num_failures, num_closed, not_before = 0, 0, 0.0
    try:
        while not (outbox.finished.is_set() or (close and close.given_up.is_set())):
            close = _take(outbox, subject, not_before, is_closing=close is not None) or close
            if time.monotonic() < not_before:
                continue
            try:
                store = store or connect()
                _send(outbox, subject, store, 0.0 if close else flush_seconds)
                if close:
                    delete_copies(store, subject.uid)
                    _finish(outbox, store, close.status, clock())
                num_failures = 0
                outbox.trouble.clear()
            except Exception as error:
                if not is_trouble(error):
                    raise
                outbox.trouble[:] = [_one_line(error)]
                # Where something goes through, it is worth asking again soon.
                num_failures = 1 + num_failures * (len(outbox.closed) == num_closed)
                num_closed = len(outbox.closed)
                longest = 1.0 if close else LONGEST_WAIT
                not_before = time.monotonic() + min(0.25 * 2**num_failures, longest)
    except BaseException as error:  # noqa: BLE001 - a thread has nobody above it; see above
        outbox.bugs.append(error)
    finally:
        if store is not None:
            store.backend.close()


def _take(outbox: Outbox, subject: Subject, not_before: float, *, is_closing: bool) -> Close | None:
    """Wait for events, or until something may be due, and enter all there are."""
    close = None
    wait = not_before - time.monotonic()
    if wait <= 0:
        wait = 0.0 if is_closing else 1.0
    with contextlib.suppress(queue.Empty):
        item = outbox.inbox.get(timeout=wait)
        while True:
            if isinstance(item, Close):
                close = item
            elif isinstance(item, Barrier):
                outbox.barriers.append(item)
            else:
                _enter(outbox, subject, item)
            item = outbox.inbox.get_nowait()
    return close


def _enter(outbox: Outbox, subject: Subject, event: Event) -> None:
    if isinstance(event, Confirmed | Tested):
        outbox.said.append(event)
    elif isinstance(event, Confirming):
        return
    elif event.trial not in outbox.closed and not note(outbox.open, event):
        subject.warn(f"an event of trial {event.trial}, which was never asked for, is not tracked")
        outbox.closed.add(event.trial)


def _send(outbox: Outbox, subject: Subject, store: Store, flush_seconds: float) -> None:
    """Send every trial that has waited long enough, then what is said of the study.

    A trial that ends sooner is written once and whole, and while a short study trains the machine
    is left to it.
    """
    barriers = outbox.barriers[:]
    wait_seconds = 0.0 if barriers else flush_seconds
    for number, trial in list(outbox.open.items()):
        now = time.monotonic()
        _, last = outbox.sent.setdefault(number, (-1, now)) if trial.has_begun else (-1, now)
        if outbox.is_dirty(number, trial) and now - last >= wait_seconds:
            outbox.sent[number] = (len(trial.epochs), now)
            _send_trial(outbox, subject, store, trial)
    while outbox.said:
        write_said(store, subject, outbox.said[0])
        outbox.said.pop(0)
    for each in barriers:
        each.reached.set()
        outbox.barriers.remove(each)


def _send_trial(outbox: Outbox, subject: Subject, store: Store, trial: Trial) -> None:
    """Write one trial; put it aside where MLflow will never take it."""
    number = trial.asked.trial
    try:
        write_trial(store, subject, trial)
    except RefusedError as error:
        outbox.rejected[number] = f"trial {number}: {_one_line(error)}"
    except Exception:
        outbox.sent.pop(number, None)
        raise
    if trial.ending or number in outbox.rejected:
        outbox.closed.add(number)
        outbox.open.pop(number, None)
        outbox.sent.pop(number, None)
        if number in outbox.rejected:
            store.runs.pop(trial.asked.uid, None)


def _finish(outbox: Outbox, store: Store, status: str, now: float) -> None:
    """End the runs of trials that have not ended, then the study's own."""
    store.backend.make_durable()
    for uid, run in list(store.runs.items()):
        if uid != PARENT and run.status == "RUNNING":
            interrupt_run(store, uid, at=now)
    close_parent(store, status, at=now)
    outbox.finished.set()


def _one_line(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {shown(lines[0])[:200]}"
