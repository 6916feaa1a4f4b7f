"""Live progress, as lines in a file and as a bar on a terminal."""

import io
import re

from nnsearch.events import Asked, Epoch, Event, Failed, Finished, Pruned, Scalar, Started
from nnsearch.study.spec import Objective
from nnsearch.tracking.console import Goal, Tally, best_so_far, console_listener, count, how_far

OBJECTIVE = Objective("accuracy", "maximize")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Whether colours and cursor movements are understood."""
        return True


def finished(trial: int, value: float, at: float = 100.0) -> list[Event]:
    return [
        Asked(trial, f"u{trial}", 0, {"optimizer.lr": 0.012345, "model.mlp.width": 64}, {}),
        Started(trial, f"u{trial}", at),
        Epoch(trial, 1, at, 1.0, {"valid/accuracy": value}),
        Finished(trial, at, value, 1, 1.0, {}),
    ]


def lines_of(events: list[Event], *, seconds_each: float = 0.0) -> list[str]:
    stream, now = io.StringIO(), 100.0

    def clock() -> float:
        return now

    with console_listener(OBJECTIVE, 40, stream, clock) as listen:
        for event in events:
            now += seconds_each
            listen(event)
    return stream.getvalue().splitlines()


def test_a_line_names_the_trial_the_best_and_how_far_it_is() -> None:
    (line,) = lines_of(finished(7, 0.98123), seconds_each=1.0)
    assert line == (
        "trial 7: valid/accuracy 0.9812; best valid/accuracy 0.9812 (trial 7: lr=0.01235 width=64);"
        " 1 of 40 done, 15 trials/min, 2:36 left"
    )


def test_quick_trials_share_a_line_unless_they_are_news() -> None:
    events = [event for trial in range(20) for event in finished(trial, 0.9 - trial / 100)]
    assert len(lines_of(events)) == 1
    assert (
        len(lines_of([*events, Failed(0, 100.0, "again"), Failed(30, 100.0, "out of memory")])) == 2
    )
    assert len(lines_of([*events, *finished(21, 0.99)])) == 2
    assert len(lines_of(events, seconds_each=0.25)) == 20


def test_trials_of_an_earlier_session_are_counted_and_not_told() -> None:
    old = [event for trial in range(10) for event in finished(trial, 0.5 + trial / 100, at=50.0)]
    (line,) = lines_of([*old, *finished(10, 0.1)], seconds_each=1.0)
    assert line.startswith("trial 10: valid/accuracy 0.1; best valid/accuracy 0.59 (trial 9")
    assert "11 of 40 done" in line


def test_repeated_events_change_nothing() -> None:
    goal = Goal(Objective("loss", "minimize"), None, 0.0)
    before = [*finished(0, 0.5, at=0.0), *finished(1, 0.2, at=0.0)]
    events = [*before, Pruned(2, 1.0, 3, 0.0), Started(3, "u3", 1.0)]
    tally = Tally()
    for event in [*events, *events, Failed(1, 9.0, "late")]:
        tally = count(tally, event, goal)
    assert (tally.best, tally.best_trial) == (0.2, 1)
    assert how_far(tally, goal, 60.0) == "3 done, 1 running, 1 pruned, 3 trials/min"


def test_many_params_are_cut_short() -> None:
    goal = Goal(OBJECTIVE, 5, 0.0)
    tally = Tally(params={0: {f"a.p{n}": n for n in range(9)}}, best=1.0, best_trial=0)
    assert best_so_far(tally, goal) == "best valid/accuracy 1 (trial 0: p0=0 p1=1 p2=2 p3=3 ...)"


def test_a_terminal_shows_a_bar_and_each_failure() -> None:
    stream = Terminal()
    with console_listener(OBJECTIVE, 2, stream, lambda: 100.0) as listen:
        for event in [*finished(0, 0.75), Failed(1, 100.0, "ValueError: [bold]no[/bold]")]:
            listen(event)
    shown = stream.getvalue()
    assert "\x1b[" in shown
    assert "2 of 2 done, 1 failed" in shown
    assert "best valid/accuracy 0.75 (trial 0: lr=0.01235 width=64)" in shown
    assert "trial 1: failed: ValueError: [bold]no[/bold]" in shown


def test_a_choice_of_component_is_told_by_what_is_chosen() -> None:
    params: dict[str, Scalar] = {"model.name": "cnn", "model.cnn.depth": 2, "optimizer.name": "sgd"}
    told = best_so_far(Tally(params={0: params}, best=1.0, best_trial=0), Goal(OBJECTIVE, 5, 0.0))
    assert told == "best valid/accuracy 1 (trial 0: model=cnn depth=2 optimizer=sgd)"


def test_workers_that_start_are_told_of() -> None:
    goal = Goal(OBJECTIVE, 5, 100.0)
    assert how_far(Tally(), goal, 103.0) == "0 of 5 done, starting"
    assert how_far(count(Tally(), Started(0, "u0", 101.0), goal), goal, 103.0).endswith("1 running")
    old = Tally(ended=frozenset(range(5)), num_before=5)
    assert how_far(old, goal, 103.0) == "5 of 5 done"


def test_the_bar_has_a_line_of_its_own() -> None:
    stream = Terminal()
    with console_listener(OBJECTIVE, 2, stream, lambda: 100.0) as listen:
        for event in finished(0, 0.75):
            listen(event)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).splitlines()
    assert any(line.startswith("1 of 2 done") for line in lines)


def test_the_time_until_the_first_trial_begins_is_no_part_of_the_rate() -> None:
    goal, tally = Goal(OBJECTIVE, 10, 100.0), Tally()
    for event in [Started(0, "u0", 50.0), Started(0, "u0", 120.0), Started(1, "u1", 120.5)]:
        tally = count(tally, event, goal)
    for trial in (0, 1):
        tally = count(tally, Finished(trial, 130.0, 0.5, 1, 10.0, {}), goal)
    # Two trials in the ten seconds since 120, and not in the thirty since the session began.
    assert how_far(tally, goal, 130.0) == "2 of 10 done, 12 trials/min, 0:40 left"
    assert "2400 trials/min" in how_far(tally, goal, 120.05)
