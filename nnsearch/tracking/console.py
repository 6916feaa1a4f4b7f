"""Live progress of a study: a bar on a terminal, plain lines elsewhere. Knows no store.

Events of an earlier session, fed again when a study goes on, are counted and not told.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TextIO

from nnsearch.events import Asked, Confirming, Event, Failed, Finished, Pruned, Scalar, Started
from nnsearch.study.limits import exceeded
from nnsearch.study.spec import Objective

MAX_PARAMS = 4
LINE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Goal:
    """What a study is after, and when this session of it began, in seconds since 1970."""

    objective: Objective
    num_trials: int | None
    began: float


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a study is. `num_before` of the trials that ended did so in earlier sessions.

    `since` is when the first trial of this session began: workers need a while to start.
    """

    params: dict[int, dict[str, Scalar]] = field(default_factory=dict)
    running: frozenset[int] = frozenset()
    ended: frozenset[int] = frozenset()
    num_pruned: int = 0
    num_failed: int = 0
    num_before: int = 0
    since: float | None = None
    best: float | None = None
    best_trial: int = -1
    confirming: Confirming | None = None


def count(tally: Tally, event: Event, goal: Goal) -> Tally:
    """The tally after an event; one that comes again changes nothing."""
    if isinstance(event, Asked):
        tally.params.setdefault(event.trial, event.params)
    elif isinstance(event, Confirming):
        return replace(tally, confirming=event)
    elif isinstance(event, Started) and event.trial not in tally.ended:
        since = event.at if tally.since is None and event.at >= goal.began else tally.since
        return replace(tally, running=tally.running | {event.trial}, since=since)
    elif isinstance(event, Finished | Pruned | Failed) and event.trial not in tally.ended:
        tally = replace(
            tally,
            running=tally.running - {event.trial},
            ended=tally.ended | {event.trial},
            num_pruned=tally.num_pruned + isinstance(event, Pruned),
            num_failed=tally.num_failed + isinstance(event, Failed),
            num_before=tally.num_before + (event.at < goal.began),
        )
        if isinstance(event, Finished) and _is_better(event, tally, goal):
            return replace(tally, best=event.value, best_trial=event.trial)
    return tally


def _is_better(event: Finished, tally: Tally, goal: Goal) -> bool:
    return event.is_feasible and goal.objective.better(event.value, tally.best)


def how_far(tally: Tally, goal: Goal, now: float) -> str:
    """Such as `12 of 40 done, 2 running, 3 pruned, 31.2 trials/min, 0:54 left`."""
    if tally.confirming is not None:
        done = f"{tally.confirming.num_done} of {tally.confirming.num_asked}"
        return f"choosing the winner: {done} trainings of the best on fresh seeds done"
    num_ended = len(tally.ended)
    seconds = now - (goal.began if tally.since is None else tally.since)
    parts = [f"{num_ended} of {goal.num_trials} done" if goal.num_trials else f"{num_ended} done"]
    counts = {"running": len(tally.running), "pruned": tally.num_pruned, "failed": tally.num_failed}
    parts += [f"{number} {state}" for state, number in counts.items() if number]
    here = num_ended - tally.num_before
    if here > 0 and seconds > 0:
        rate = here / seconds * 60
        parts.append(f"{float(f'{rate:.3g}'):g} trials/min")
        if goal.num_trials and goal.num_trials > num_ended:
            parts.append(f"{_clock((goal.num_trials - num_ended) * seconds / here)} left")
    elif not tally.running and num_ended != goal.num_trials:
        parts.append("starting")
    return ", ".join(parts)


def best_so_far(tally: Tally, goal: Goal) -> str:
    """Such as `best valid/accuracy 0.9812 (trial 7: lr=0.0123 width=64)`, or nothing yet."""
    if tally.best is None:
        return ""
    params = list(tally.params.get(tally.best_trial, {}).items())
    few = " ".join(
        f"{name.removesuffix('.name').rpartition('.')[2]}={_short(each)}"
        for name, each in params[:MAX_PARAMS]
    )
    more = " ..." if len(params) > MAX_PARAMS else ""
    told = f": {few}{more}" if few else ""
    return f"best {goal.objective.key} {_short(tally.best)} (trial {tally.best_trial}{told})"


@contextlib.contextmanager
def console_listener(
    objective: Objective,
    num_trials: int | None,
    stream: TextIO,
    clock: Callable[[], float] = time.time,
) -> Iterator[Callable[[Event], None]]:
    """A listener that shows on `stream` how far a study of `num_trials` trials is.

    `num_trials` is None where a time limit alone ends the study. `clock` tells the seconds since
    1970, as events do.
    """
    goal = Goal(objective, num_trials, clock())
    with (_bar if stream.isatty() else _lines)(goal, stream, clock) as listener:
        yield listener


@contextlib.contextmanager
def _lines(
    goal: Goal, stream: TextIO, clock: Callable[[], float]
) -> Iterator[Callable[[Event], None]]:
    tally, told_at = Tally(), float("-inf")

    def listen(event: Event) -> None:
        nonlocal tally, told_at
        before, tally = tally, count(tally, event, goal)
        is_old = tally.num_before > before.num_before
        if isinstance(event, Confirming) and (
            event.num_done == event.num_asked or clock() - told_at >= LINE_SECONDS
        ):
            told_at = clock()
            stream.write(how_far(tally, goal, told_at) + "\n")
            stream.flush()
        if len(tally.ended) == len(before.ended) or is_old:
            return
        # A line a second is enough to follow; a failure or a new best is worth one of its own.
        is_news = isinstance(event, Failed) or tally.best_trial != before.best_trial
        now = clock()
        if is_news or now - told_at >= LINE_SECONDS or len(tally.ended) == goal.num_trials:
            told_at = now
            parts = [_told(event, goal), best_so_far(tally, goal), how_far(tally, goal, now)]
            stream.write("; ".join(filter(None, parts)) + "\n")
            stream.flush()

    yield listen


@contextlib.contextmanager
def _bar(
    goal: Goal, stream: TextIO, clock: Callable[[], float]
) -> Iterator[Callable[[Event], None]]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    tally = Tally()

    def picture() -> Group:
        bar = ProgressBar(goal.num_trials, len(tally.ended), width=40, pulse=not goal.num_trials)
        lines = (how_far(tally, goal, clock()), best_so_far(tally, goal))
        # a bar ends no line of its own, a padded one does
        alone = Padding(bar, 0, expand=False)
        return Group(alone, *(Text(line, overflow="ellipsis", no_wrap=True) for line in lines))

    def listen(event: Event) -> None:
        nonlocal tally
        before, tally = tally, count(tally, event, goal)
        is_old = tally.num_before > before.num_before
        if isinstance(event, Failed) and tally != before and not is_old:
            live.console.print(Text(_told(event, goal), style="red"))

    # The picture is drawn by rich's own thread, four times a second, whatever the driver does.
    console = Console(file=stream)
    with Live(get_renderable=picture, console=console, refresh_per_second=4) as live:
        yield listen


def _told(event: Event, goal: Goal) -> str:
    if isinstance(event, Finished):
        told = f"trial {event.trial}: {goal.objective.key} {_short(event.value)}"
        return told if event.is_feasible else f"{told}, breaks {exceeded(event.excess)}"
    if isinstance(event, Pruned):
        if not event.is_feasible:
            return f"trial {event.trial}: not trained, breaks {exceeded(event.excess)}"
        return f"trial {event.trial}: pruned after epoch {event.epoch}"
    return f"trial {event.trial}: failed: {event.error}" if isinstance(event, Failed) else ""


def _short(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
