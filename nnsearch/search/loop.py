"""Drive one study: ask, plan, submit, listen, judge, tell. Knows no executor, no tracker, no torch.

Trials are asked for in batches. A batch is drawn once every batch but the last has ended, from the
results of those: so a batch waits while the one before it trains, the machine is never idle, and
the suggestions are the same with one worker and with two.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nnsearch import events
from nnsearch.crashes import crash_point
from nnsearch.errors import NothingCompletedError, TrialsFailedError
from nnsearch.events import Ending, Epoch, Event, Failed, Finished
from nnsearch.search.budget import stop_reason, too_many_failed
from nnsearch.search.course import Course, Job
from nnsearch.search.ledger import Ledger, asked, record_batch
from nnsearch.study.holders import disk_error, is_of_the_disk
from nnsearch.study.spec import TrialSpec

POLL_SECONDS = 0.005
RETRIES = 2  # of a job whose worker died
STALLS = 1  # retries of a job that showed no sign of life
BATCHES_IN_FLIGHT = 2


def search(course: Course, spent_seconds: float = 0.0) -> tuple[str, Finished]:
    """Run the study to the end of its budget; why it ended, and its best trial.

    `spent_seconds` is what earlier sessions took. Raises TrialsFailedError where every trial so far
    failed alike and NothingCompletedError where the budget is spent and no trial completed.
    """
    start = course.means.clock() - spent_seconds
    stop = exhausted = ""
    _take_up(course)
    num_seen = -1
    while True:
        if num_seen != len(course.ledger.endings):
            num_seen = len(course.ledger.endings)
            _check_failures(course)
            _tell(course)
            stop = stop or stop_reason(
                course.study.search, course.objective, course.ledger.in_order()
            )
        stop = stop or _time_out(course, course.means.clock() - start)
        if not stop:
            exhausted = exhausted or _ask(course)
            _submit(course)
        has_news = _read(course)
        _kill_stalled(course)
        is_idle = not any(job.future for job in course.jobs.values())
        if is_idle and (stop or (exhausted and not course.jobs)):
            break
        if not has_news:
            time.sleep(POLL_SECONDS)
    _tell(course)
    best = course.ledger.best(course.objective)
    if best is None:
        raise NothingCompletedError(
            f"{stop or exhausted}, and no trial of '{course.study.name}' completed.",
            f"`nnsearch show {course.study.name}` lists each trial's error.",
        )
    return stop or exhausted, best


def seen_by(ledger: Ledger, number: int) -> range:
    """The trials whose results the batch of trial `number` was drawn from."""
    first_unseen = max(0, ledger.batch_of[number] - BATCHES_IN_FLIGHT + 1)
    return range(ledger.batches[first_unseen][0])


def _take_up(course: Course) -> None:
    """Rebuild the sampler's and the judge's memory from the records, and the unfinished jobs."""
    ledger = course.ledger
    for number, spec in sorted(ledger.specs.items()):
        course.asker.adopt(spec)
        if course.judge.pruning.rungs:
            verdicts = course.judge.recall(ledger, number, seen_by(ledger, number))
            course.verdicts.update(verdicts)
    for batch in ledger.batches:
        if not ledger.has_ended(batch):
            _plan(course, [ledger.specs[number] for number in batch])


def _check_failures(course: Course) -> None:
    reason = too_many_failed(course.ledger.in_order())
    if reason:
        name = course.study.name
        hint = f"Correct the study; `nnsearch show {name} --trial 0` has the traceback."
        raise TrialsFailedError(f"{reason}.", hint)


def _time_out(course: Course, seconds: float) -> str:
    limit = course.study.search.timeout
    return f"the time-out of {limit:g} s is over" if limit and seconds >= limit else ""


def _ask(course: Course) -> str:
    """Draw the next batch if it is due; a reason where there is nothing left to draw."""
    ledger, search = course.ledger, course.study.search
    if search.trials is not None and len(ledger.specs) >= search.trials:
        return f"all {search.trials} trials are done"
    if ledger.num_over() <= len(ledger.batches) - BATCHES_IN_FLIGHT:
        return ""
    _tell(course)
    left = search.batch if search.trials is None else search.trials - len(ledger.specs)
    drawn = course.asker.ask(ledger, min(search.batch, left))
    if drawn:
        crash_point("A1")
        record_batch(course.folder, drawn)
        ledger.add_batch(drawn)
        for spec in drawn:
            course.means.listen(asked(spec))
        _plan(course, drawn)
    is_whole = len(drawn) == min(search.batch, left)
    return "" if is_whole else "every point of the grid was tried"


def _plan(course: Course, specs: Sequence[TrialSpec]) -> None:
    for name, group in _jobs_of(course, specs):
        numbers = [spec.number for spec in group]
        if course.ledger.has_ended(numbers):
            continue
        if not course.folder.job(name).spec.exists():
            course.means.write(name, group)
        course.ledger.jobs.update(dict.fromkeys(numbers, name))
        course.jobs[name] = Job(name, numbers)


def _jobs_of(
    course: Course, specs: Sequence[TrialSpec]
) -> Iterator[tuple[str, Sequence[TrialSpec]]]:
    """The jobs of a batch: those that were written keep their trials, whatever is planned now."""
    written: dict[str, list[TrialSpec]] = {}
    for spec in specs:
        if spec.number in course.ledger.jobs:
            written.setdefault(course.ledger.jobs[spec.number], []).append(spec)
    yield from written.items()
    for group in course.means.plan([s for s in specs if s.number not in course.ledger.jobs]):
        yield f"{group[0].number:05d}", group


def _submit(course: Course) -> None:
    """Keep every slot busy, and the queue before the slots short, so that stopping is quick."""
    running = sum(job.future is not None for job in course.jobs.values())
    for job in course.jobs.values():
        if running > course.means.slots:
            break
        if job.future is None:
            job.future = course.means.submit(str(course.folder.job(job.name).root))
            job.alive_at, job.is_killed = course.means.clock(), False
            running += 1


def _read(course: Course) -> bool:
    """Take in what running jobs appended; whether there was anything."""
    has_news = False
    for job in list(course.jobs.values()):
        if job.future is None:
            continue
        is_done = job.future.done()  # asked before the file is read: nothing comes after it
        path = course.folder.job(job.name).events
        for line, offset in events.whole_lines(path, job.offset):
            job.offset, job.alive_at = offset, course.means.clock()
            has_news = True
            _take(course, job, events.from_line(line))
        if is_done:
            _close(course, job)
    return has_news


def _take(course: Course, job: Job, event: Event) -> None:
    if course.ledger.take(event):
        course.means.listen(event)
    if isinstance(event, Epoch) and event.epoch in course.judge.pruning.rungs:
        _give_verdict(course, job, event.trial, event.epoch)


def _give_verdict(course: Course, job: Job, number: int, epoch: int) -> None:
    keep = course.verdicts.get((number, epoch))
    if keep is None:
        seen = seen_by(course.ledger, number)
        keep = course.judge.keep(course.ledger, number, epoch, seen)
        course.verdicts[number, epoch] = keep
    line = json.dumps({"trial": number, "epoch": epoch, "keep": keep}) + "\n"
    path = course.folder.job(job.name).verdicts
    events.cut_torn_line(path)
    events.append_lines(path, [line], sync=False)


def _close(course: Course, job: Job) -> None:
    """A job's worker is through with it: begin it again if it died, else let it go."""
    left = [number for number in job.trials if number not in course.ledger.endings]
    error = job.future.exception() if job.future else None
    if isinstance(error, OSError) and is_of_the_disk(error):
        raise disk_error(error, course.folder.root)
    job.retries += 1
    job.stalls += job.is_killed
    if left and job.retries <= RETRIES and job.stalls <= STALLS:
        job.future = None
        return
    reason = f"the worker died {job.retries} times: {error}"
    if job.is_killed:
        reason = f"no sign of life for {course.means.stall_seconds:g} s, {job.stalls} times"
    for number in left:
        failed = Failed(number, time.time(), reason)
        _append(course.folder.job(job.name).events, failed)
        _take(course, job, failed)
    del course.jobs[job.name]


def _kill_stalled(course: Course) -> None:
    """End each job that has shown no sign of life for too long; `_close` sees to the rest.

    Only one whose turn has come: a job may wait in the queue before the slots.
    """
    now = course.means.clock()
    for job in course.jobs.values():
        if job.future is None or not job.future.running():
            job.alive_at = now
        elif now - job.alive_at > course.means.stall_seconds and not job.is_killed:
            job.is_killed = True
            course.means.kill(job.future)


def _append(path: Path, ending: Ending) -> None:
    events.cut_torn_line(path)
    events.append_lines(path, [events.to_line(ending)], sync=True)


def _tell(course: Course) -> None:
    """Bring the store up to date, and tell the sampler of each batch that it may know of."""
    ledger = course.ledger
    course.means.project(ledger)
    due = min(ledger.num_over(), len(ledger.batches) - BATCHES_IN_FLIGHT + 1)
    for batch in ledger.batches[len(course.asker.told) : due]:
        course.asker.tell(ledger, batch)
