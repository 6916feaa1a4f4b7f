"""Several objectives and constraints in the real loop, with jobs that are functions of a width."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from nnsearch import components, events
from nnsearch.errors import NothingCompletedError
from nnsearch.events import Ending, Event, Failed, Finished, Pruned, Started
from nnsearch.search.asking import make_asker
from nnsearch.search.budget import stop_reason
from nnsearch.search.course import Course, Means, Work
from nnsearch.search.front import front
from nnsearch.search.ledger import Ledger, read_ledger
from nnsearch.search.loop import search
from nnsearch.search.storage import Place, open_storage, projection
from nnsearch.search.window import MOST_SEEN, worth_seeing
from nnsearch.study.folder import JobFolder, StudyFolder, read_json, write_json
from nnsearch.study.limits import excess_of, limit_of
from nnsearch.study.load import load_study
from nnsearch.study.spec import Direction, Objective, Study, TrialSpec

ACCURACY = Objective("accuracy", "maximize")
LATENCY = Objective("cost/latency", "minimize")
BOTH = 'search.objectives=["accuracy", "latency"]'
STUDY = """
name = "toy"
[data]
source = "digits"
[task]
name = "classification"
[model]
name = "mlp"
width = { int = [1, 64] }
dropout = { float = [0.0, 0.9] }
[search]
trials = 24
batch = 4
alike = 1
"""


def study_of(*overrides: str) -> Study:
    Path("toy.toml").write_text(STUDY)
    return load_study(Path("toy.toml"), overrides=overrides)


def toy_job(root: str, constraints: Sequence[str]) -> None:
    """A worker: wide networks are good and slow, and have a hundred numbers a unit."""
    folder, limits = JobFolder(Path(root)), list(map(limit_of, constraints))
    for fields in read_json(folder.spec)["trials"]:
        trial = TrialSpec.from_json(fields)
        width, dropout = trial.model.options["width"], trial.model.options["dropout"]
        size = {"cost/parameters": 100.0 * width}
        before = excess_of(limits, size)
        told: list[Event] = [Started(trial.number, trial.uid, 1.0, num_parameters=100 * width)]
        if any(each > 0 for each in before.values()):
            told.append(Pruned(trial.number, 2.0, 0, None, excess=before))
        else:
            value = width / 64 - 0.3 * dropout
            metrics = {"valid/accuracy": value, "cost/latency": float(width), **size}
            excess = excess_of(limits, metrics)
            told.append(Finished(trial.number, 2.0, value, 1, 0.1, metrics, {}, excess))
        events.append_lines(folder.events, map(events.to_line, told), sync=False)


def run(name: str, *overrides: str, **means: Any) -> tuple[Ledger, Study]:
    """The ledger after a session of the study of `overrides` in the folder `name`."""
    study, folder = study_of(*overrides), StudyFolder(Path(name).resolve())
    folder.root.mkdir(exist_ok=True)
    others = [LATENCY] if study.search.objectives else []
    options = study.search.sampler.options
    make_sampler = partial(components.load("samplers", study.search.sampler.name), **options)
    asker = make_asker(study, ACCURACY, make_sampler, others=others)

    def write(job: str, trials: Sequence[TrialSpec]) -> None:
        write_json(folder.job(job).spec, {"trials": [asdict(each) for each in trials]})

    def submit(root: str) -> "Future[None]":
        done: Future[None] = Future()
        toy_job(root, study.search.constraints)
        done.set_result(None)
        return done

    given: dict[str, Any] = {
        "plan": lambda trials: [[each] for each in trials],
        "write": write,
        "submit": submit,
        "slots": 2,
        "listen": lambda _: None,
        "project": lambda _: None,
    }
    work = Work(folder, read_ledger(folder), Means(**(given | means)))
    search(Course(study, ACCURACY, asker, work))
    return work.ledger, study


def widths(ledger: Ledger) -> list[int]:
    return [ledger.specs[number].params["model.width"] for number in sorted(ledger.specs)]


DIRECTIONS = st.sampled_from(["maximize", "minimize"])
POINTS = st.lists(st.tuples(*[st.integers(0, 4).map(float)] * 3), max_size=30)


@given(POINTS, st.tuples(DIRECTIONS, DIRECTIONS, DIRECTIONS))
def test_the_front_is_what_no_point_dominates(
    points: list[tuple[float, ...]], directions: tuple[Direction, ...]
) -> None:
    signs = [1 if each == "minimize" else -1 for each in directions]

    def beats(one: int, other: int) -> bool:
        pairs = [(s * a, s * b) for s, a, b in zip(signs, points[one], points[other], strict=True)]
        is_equal = points[one] == points[other]
        return one < other if is_equal else all(a <= b for a, b in pairs)

    places = range(len(points))
    wanted = [n for n in places if not any(beats(m, n) for m in places if m != n)]
    assert front(points, directions) == wanted


def test_the_best_trial_keeps_every_constraint_and_wide_ones_are_not_trained() -> None:
    ledger, study = run("a", 'search.constraints=["parameters <= 3000", "latency <= 25"]')
    best = ledger.best(ACCURACY)
    assert best is not None
    assert best.is_feasible
    assert ledger.specs[best.trial].params["model.width"] <= 25
    assert ledger.ranking(ACCURACY)[0] == best
    barred = [each for each in ledger.in_order() if isinstance(each, Pruned)]
    assert {each.trial for each in barred} == {n for n, w in enumerate(widths(ledger)) if w > 30}
    assert barred
    assert all(each.value is None and not each.is_feasible for each in barred)
    late = [each for each in ledger.infeasible() if isinstance(each, Finished)]
    assert {each.trial for each in late} == {
        number for number, width in enumerate(widths(ledger)) if 25 < width <= 30
    }
    assert len(ledger.endings) == study.search.trials


def test_the_sampler_learns_from_what_breaks_a_constraint() -> None:
    limit = 'search.constraints=["latency <= 16"]'  # and the wider, the more accurate
    ledger, _ = run("a", limit, "search.trials=60")
    too_wide = [width > 16 for width in widths(ledger)]
    assert sum(too_wide[:10]) >= 5  # drawn at random, three of four are
    assert sum(too_wide[-20:]) <= 6


def test_where_nothing_is_feasible_the_nearest_is_named() -> None:
    limits = 'search.constraints=["parameters <= 10", "latency <= 1"]'
    with pytest.raises(NothingCompletedError) as caught:
        run("a", limits, "search.trials=6")
    ledger = read_ledger(StudyFolder(Path("a").resolve()))
    nearest = min(range(6), key=lambda each: widths(ledger)[each])
    by = 100 * widths(ledger)[nearest] - 10
    assert caught.value.exit_code == 7
    assert f"trial {nearest}, breaks parameters <= 10 by {by:,}" in str(caught.value)


def test_patience_and_target_look_at_feasible_trials_only() -> None:
    def ended(number: int, value: float, excess: float) -> Finished:
        return Finished(number, 0.0, value, 1, 0.1, {}, {}, {"latency <= 1": excess})

    search = study_of("search.patience=2", "search.target=0.9").search
    good, better = ended(0, 0.5, -1.0), ended(1, 0.95, 0.5)
    assert stop_reason(search, ACCURACY, [good, better]) == ""
    assert "2 trials" in stop_reason(search, ACCURACY, [good, better, better])
    assert "target" in stop_reason(search, ACCURACY, [good, ended(1, 0.95, 0.0)])


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random", "qmc"])
def test_a_broken_off_study_of_two_objectives_goes_on_as_if_it_had_not_been(sampler: str) -> None:
    limit, trials = 'search.constraints=["parameters <= 5000"]', 16 if sampler == "gp" else 24
    chosen = (BOTH, f"search.sampler={sampler}", limit, f"search.trials={trials}")
    whole, _ = run("whole", *chosen)

    def break_off(event: Event) -> None:
        if isinstance(event, Ending) and event.trial == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("parts", *chosen, listen=break_off)
    parts, _ = run("parts", *chosen)
    assert [each.params for _, each in sorted(parts.specs.items())] == [
        each.params for _, each in sorted(whole.specs.items())
    ]
    assert parts.endings == whole.endings


def test_a_grid_of_two_objectives_ends() -> None:
    ledger, _ = run(
        "a", BOTH, "search.sampler=grid", "model.dropout=0.5", "model.width={choice=[1, 8, 64]}"
    )
    assert sorted(widths(ledger)) == [1, 8, 64]
    assert len(ledger.front([ACCURACY, LATENCY])) == 3


def test_optunas_store_has_the_values_the_constraints_and_the_same_front() -> None:
    limit = 'search.constraints=["parameters <= 5000", "latency <= 40"]'
    ledger, study = run("a", BOTH, limit)
    place = Place("", Path("optuna.journal").resolve(), print)
    with projection(study, ACCURACY, place, [LATENCY]) as project:
        project(ledger)
    stored = optuna.load_study(study_name="toy", storage=open_storage("", place.journal))
    assert [each.name for each in stored.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert stored.metric_names == ["valid/accuracy", "cost/latency"]
    wanted = {each.trial for each in ledger.front([ACCURACY, LATENCY])}
    assert {each.number for each in stored.best_trials} == wanted
    assert len(wanted) > 2
    states = set()
    for trial, ending in zip(stored.trials, ledger.in_order(), strict=True):
        assert not isinstance(ending, Failed)
        states.add((trial.state, ending.is_feasible))
        assert trial.values == (
            [ending.value, ending.metrics["cost/latency"]] if isinstance(ending, Finished) else None
        )
        broken = {name for name, value in trial.constraints.items() if value > 0}
        assert broken == {name for name, value in ending.excess.items() if value > 0}
        # as shares of the bounds, so that thousands of numbers do not outweigh milliseconds
        bounds = {"parameters <= 5000": 5000, "latency <= 40": 40}
        assert trial.constraints == {
            name: excess / bounds[name] for name, excess in ending.excess.items()
        }
    assert states == {
        (TrialState.COMPLETE, True),
        (TrialState.COMPLETE, False),
        (TrialState.PRUNED, False),
    }


def test_a_long_study_shows_its_front_and_no_infeasible_trial_among_the_best() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    # Trial 55 has the best of both, but breaks a constraint; 132 is the next that has.
    values = [(float(n % 7), float(n % 11)) for n in range(1500)]
    for number, value in enumerate(values):
        broken = 1.0 if number == 55 else -1.0
        study.add_trial(optuna.create_trial(values=value, constraints={"a": broken}))
    shown = worth_seeing(study.get_trials(), "maximize", "minimize")
    assert len(shown) == MOST_SEEN
    assert values[132] == values[55] == (6.0, 0.0)
    assert 132 in shown
    assert 55 not in shown
