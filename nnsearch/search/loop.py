"""Drive one study: ask, plan, submit, listen, judge, tell. Knows no executor, no tracker, no torch.

Trials are asked for in batches. A batch is drawn once every batch but the last has ended, from the
results of those: so a batch waits while the one before it trains, the machine is never idle, and
the suggestions are the same with one worker and with two.
"""

import time
from functools import partial

from nnsearch.crashes import crash_point
from nnsearch.errors import NothingCompletedError, TrialsFailedError
from nnsearch.events import Failed, Finished
from nnsearch.search import jobs
from nnsearch.search.asking import broken_share
from nnsearch.search.budget import stop_reason, too_many_failed
from nnsearch.search.course import Course
from nnsearch.search.jobs import BATCHES_IN_FLIGHT, seen_by
from nnsearch.search.ledger import asked, record_batch
from nnsearch.study.limits import exceeded


def search(course: Course, spent_seconds: float = 0.0) -> tuple[str, Finished]:
    """Run the study to the end of its budget; why it ended, and its best trial.

    `spent_seconds` is what earlier sessions took. Raises TrialsFailedError where every trial so far
    failed alike and NothingCompletedError where the budget is spent and no trial completed.
    """
    start = course.work.means.clock() - spent_seconds
    stop = exhausted = ""
    is_ending = False
    _take_up(course)
    num_seen = num_projected = -1
    while True:
        if num_seen != len(course.work.ledger.endings):
            num_seen = len(course.work.ledger.endings)
            _check_failures(course)
            stop = stop or _stop_reason(course)
        stop = stop or _time_out(course, course.work.means.clock() - start)
        if not stop:
            exhausted = exhausted or _ask(course)
        has_news = jobs.turn(course.work, may_begin=not stop)
        if num_projected != num_seen:
            # After the next jobs were begun, which do not wait for a store.
            num_projected = num_seen
            course.work.means.project(course.work.ledger)
        if not is_ending and (stop or exhausted) and jobs.has_idle_slot(course.work):
            is_ending = True
            course.work.means.wind_down()
        if jobs.is_idle(course.work) and (stop or (exhausted and not course.work.jobs)):
            break
        if not has_news:
            time.sleep(jobs.POLL_SECONDS)
    course.work.means.project(course.work.ledger)
    best = course.work.ledger.best(course.objective)
    if best is None:
        raise _nothing(course, stop or exhausted)
    return stop or exhausted, best


def _nothing(course: Course, reason: str) -> NothingCompletedError:
    """Why there is no winner: nothing completed, or nothing within the constraints."""
    name, infeasible = course.study.name, course.work.ledger.infeasible()
    if not infeasible:
        failed = [each for each in course.work.ledger.in_order() if isinstance(each, Failed)]
        hint = f"`nnsearch show {name}` lists each trial's error."
        if failed and all(each.has_diverged for each in failed):
            hint = f"All diverged, the last with '{failed[-1].error}': search lower rates."
        return NothingCompletedError(f"{reason}, and no trial of '{name}' completed.", hint)
    # Each constraint counts as a share of its bound, so that the nearest is near in all of them.
    nearest = min(infeasible, key=partial(broken_share, course.study))
    return NothingCompletedError(
        f"{reason}, and no trial of '{name}' is within its constraints; the nearest, trial"
        f" {nearest.trial}, breaks {exceeded(nearest.excess)}.",
        "Widen the space to smaller networks, or loosen the constraint in a study of another name.",
    )


def _stop_reason(course: Course) -> str:
    """Why the search is over, or nothing; where the target is reached, running trials are ended."""
    ledger, search = course.work.ledger, course.study.search
    if search.target is None and search.patience is None:
        return ""  # asked after every trial: not to look through them all for nothing
    best = ledger.best(course.objective)
    if best is not None and course.objective.reaches(best.value, search.target):
        jobs.abandon(course.work)
    return stop_reason(search, course.objective, ledger.in_order())


def _take_up(course: Course) -> None:
    """Rebuild the sampler's and the judge's memory from the records, and the unfinished jobs."""
    ledger, judge = course.work.ledger, course.work.judge
    for number, spec in sorted(ledger.specs.items()):
        course.asker.adopt(spec)
        if judge and judge.pruning.rungs:
            verdicts = judge.recall(ledger, number, seen_by(ledger, number))
            course.work.verdicts.update(verdicts)
    for batch in ledger.batches:
        if not ledger.has_ended(batch):
            jobs.plan(course.work, [ledger.specs[number] for number in batch])


def _check_failures(course: Course) -> None:
    endings = course.work.ledger.endings
    if not endings or not isinstance(endings[max(endings)], Failed):
        return
    reason = too_many_failed(course.work.ledger.in_order())
    if reason:
        name = course.study.name
        hint = f"Correct the study; `nnsearch show {name} --trial 0` has the traceback."
        raise TrialsFailedError(f"{reason}.", hint)


def _time_out(course: Course, seconds: float) -> str:
    limit = course.study.search.timeout
    return f"the time-out of {limit:g} s is over" if limit and seconds >= limit else ""


def _ask(course: Course) -> str:
    """Draw the next batch if it is due; a reason where there is nothing left to draw."""
    ledger, search = course.work.ledger, course.study.search
    if search.trials is not None and len(ledger.specs) >= search.trials:
        return f"all {search.trials} trials are done"
    if ledger.num_over() <= len(ledger.batches) - BATCHES_IN_FLIGHT:
        return ""
    _learn(course)
    left = search.batch if search.trials is None else search.trials - len(ledger.specs)
    drawn = course.asker.ask(ledger, min(search.batch, left))
    if drawn:
        crash_point("A1")
        record_batch(course.work.folder, drawn)
        ledger.add_batch(drawn)
        for spec in drawn:
            course.work.means.listen(asked(spec))
        jobs.plan(course.work, drawn)
    is_whole = len(drawn) == min(search.batch, left)
    return "" if is_whole else "every point of the grid was tried"


def _learn(course: Course) -> None:
    """Tell the sampler of each batch that it may know of."""
    ledger = course.work.ledger
    due = min(ledger.num_over(), len(ledger.batches) - BATCHES_IN_FLIGHT + 1)
    for batch in ledger.batches[len(course.asker.told) : due]:
        course.asker.tell(ledger, batch)
