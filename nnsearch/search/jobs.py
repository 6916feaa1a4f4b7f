"""Run the jobs of a ledger: plan, submit, listen, judge, begin again. Knows no executor.

What a worker appends to its job's file is read from there, so a job that was begun in another
session, or by a worker that died, is taken up like any other.
"""

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from pathlib import Path

from nnsearch import events
from nnsearch.events import Ending, Epoch, Event, Failed
from nnsearch.search.course import Job, Work
from nnsearch.search.ledger import Ledger
from nnsearch.search.pruning import Judge
from nnsearch.study.holders import disk_error, is_of_the_disk
from nnsearch.study.spec import TrialSpec

POLL_SECONDS = 0.005
RETRIES = 2  # of a job whose worker died
STALLS = 1  # retries of a job that showed no sign of life
BATCHES_IN_FLIGHT = 2


def work_off(work: Work, specs: Sequence[TrialSpec]) -> None:
    """Train trials that the ledger holds, and return when all of them have ended."""
    plan(work, specs)
    while work.jobs:
        if not turn(work):
            time.sleep(POLL_SECONDS)


def turn(work: Work, *, may_begin: bool = True) -> bool:
    """Look after the jobs once, and begin some if that may be; whether there was any news."""
    if may_begin:
        _submit(work)
    has_news = _read(work)
    _kill_stalled(work)
    return has_news


def abandon(work: Work) -> None:
    """End what is being trained, as if it were interrupted: nobody waits for its result."""
    under_way = [job for job in work.jobs.values() if job.future]
    for job in under_way:
        if job.future and not job.future.cancel():
            work.means.kill(job.future)
    wait([job.future for job in under_way if job.future])
    for job in under_way:
        _take_in(work, job)
    work.jobs.clear()


def is_idle(work: Work) -> bool:
    """Whether nothing is being trained."""
    return not any(job.future for job in work.jobs.values())


def has_idle_slot(work: Work) -> bool:
    """Whether a slot is free, and no job is there to fill it."""
    running = sum(job.future is not None for job in work.jobs.values())
    return running == len(work.jobs) < work.means.slots


def seen_by(ledger: Ledger, number: int) -> range:
    """The trials whose results the batch of trial `number` was drawn from."""
    first_unseen = max(0, ledger.batch_of[number] - BATCHES_IN_FLIGHT + 1)
    return range(ledger.batches[first_unseen][0])


def plan(work: Work, specs: Sequence[TrialSpec]) -> None:
    """Divide trials of the ledger into jobs, and write down those that are not yet."""
    for name, group in _jobs_of(work, specs):
        numbers = [spec.number for spec in group]
        if work.ledger.has_ended(numbers):
            continue
        if not work.folder.job(name).spec.exists():
            work.means.write(name, group)
        work.ledger.jobs.update(dict.fromkeys(numbers, name))
        work.jobs[name] = Job(name, numbers)


def _jobs_of(work: Work, specs: Sequence[TrialSpec]) -> Iterator[tuple[str, Sequence[TrialSpec]]]:
    """The jobs of a batch: those that were written keep their trials, whatever is planned now."""
    written: dict[str, list[TrialSpec]] = {}
    for spec in specs:
        if spec.number in work.ledger.jobs:
            written.setdefault(work.ledger.jobs[spec.number], []).append(spec)
    yield from written.items()
    for group in work.means.plan([s for s in specs if s.number not in work.ledger.jobs]):
        yield f"{group[0].number:05d}", group


def _submit(work: Work) -> None:
    """Keep every slot busy, and the queue before the slots short, so that stopping is quick."""
    running = sum(job.future is not None for job in work.jobs.values())
    for job in work.jobs.values():
        if running > work.means.slots:
            break
        if job.future is None:
            job.future = work.means.submit(str(work.folder.job(job.name).root))
            job.alive_at, job.is_killed = work.means.clock(), False
            running += 1


def _read(work: Work) -> bool:
    """Take in what running jobs appended; whether there was anything."""
    has_news = False
    for job in list(work.jobs.values()):
        if job.future is None:
            continue
        is_done = job.future.done()  # asked before the file is read: nothing comes after it
        has_news |= _take_in(work, job)
        if is_done:
            _close(work, job)
    return has_news


def _take_in(work: Work, job: Job) -> bool:
    """Take in what a job has appended since; whether there was anything."""
    before = job.offset
    for line, offset in events.whole_lines(work.folder.job(job.name).events, job.offset):
        job.offset, job.alive_at = offset, work.means.clock()
        _take(work, job, events.from_line(line))
    return job.offset > before


def _take(work: Work, job: Job, event: Event) -> None:
    if work.ledger.take(event):
        work.means.listen(event)
    judge = work.judge
    if judge and isinstance(event, Epoch) and event.epoch in judge.pruning.rungs:
        _give_verdict(work, judge, job, event)


def _give_verdict(work: Work, judge: Judge, job: Job, event: Epoch) -> None:
    number, epoch = event.trial, event.epoch
    keep = work.verdicts.get((number, epoch))
    if keep is None:
        keep = judge.keep(work.ledger, number, epoch, seen_by(work.ledger, number))
        work.verdicts[number, epoch] = keep
    line = json.dumps({"trial": number, "epoch": epoch, "keep": keep}) + "\n"
    path = work.folder.job(job.name).verdicts
    events.cut_torn_line(path)
    events.append_lines(path, [line], sync=False)


def _close(work: Work, job: Job) -> None:
    """A job's worker is through with it: begin it again if it died, else let it go."""
    left = [number for number in job.trials if number not in work.ledger.endings]
    error = job.future.exception() if job.future else None
    if isinstance(error, OSError) and is_of_the_disk(error):
        raise disk_error(error, work.folder.root)
    job.retries += 1
    job.stalls += job.is_killed
    if left and job.retries <= RETRIES and job.stalls <= STALLS:
        job.future = None
        return
    reason = f"the worker died {job.retries} times: {error}"
    if job.is_killed:
        reason = f"no sign of life for {work.means.stall_seconds:g} s, {job.stalls} times"
    for number in left:
        failed = Failed(number, time.time(), reason)
        _append(work.folder.job(job.name).events, failed)
        _take(work, job, failed)
    del work.jobs[job.name]


def _kill_stalled(work: Work) -> None:
    """End each job that has shown no sign of life for too long; `_close` sees to the rest.

    Only one whose turn has come: a job may wait in the queue before the slots.
    """
    now = work.means.clock()
    for job in work.jobs.values():
        if job.future is None or not job.future.running():
            job.alive_at = now
        elif _is_silent(work, job, now) and not job.is_killed:
            job.is_killed = True
            work.means.kill(job.future)


def _is_silent(work: Work, job: Job, now: float) -> bool:
    if now - job.alive_at <= work.means.stall_seconds:
        return False
    told = (each.events for each in work.folder.job(job.name).folds())
    num_bytes = sum(each.stat().st_size for each in told if each.exists())
    if num_bytes == job.num_bytes:
        return True
    job.num_bytes, job.alive_at = num_bytes, now
    return False


def _append(path: Path, ending: Ending) -> None:
    events.cut_torn_line(path)
    events.append_lines(path, [events.to_line(ending)], sync=True)
