"""One study or one trial in full, from the records. Knows neither Optuna's store nor MLflow's."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nnsearch.commands.listing import State, count, state_of, when
from nnsearch.commands.places import MLRUNS, find_study_folder
from nnsearch.errors import UsageError
from nnsearch.events import Ending, Failed, Finished, Scalar
from nnsearch.reports.tables import duration, number, table, with_interval
from nnsearch.search.ledger import Ledger, read_ledger
from nnsearch.study.folder import StudyFolder, read_json
from nnsearch.study.limits import countable, exceeded, heading
from nnsearch.study.recorded import recorded_limits, recorded_objectives
from nnsearch.study.spec import Objective


@dataclass(frozen=True, slots=True)
class Row:
    """One trial: `state` is complete, pruned, failed, infeasible, or open where it has not ended.

    `measured` holds what other objectives and constraints are about, and `breaks` the constraints
    that it breaks.
    """

    trial: int
    state: str
    value: float | None
    epochs: int
    seconds: float | None
    params: dict[str, Scalar]
    error: str = ""
    measured: dict[str, float] = field(default_factory=dict)
    breaks: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A study with its trials, the best first; `result` is what `run` ended with, if it did.

    Where there are several objectives, `front` has the trials that no other beats in all of them.
    """

    study: str
    folder: str
    state: State
    objective: Objective
    counts: dict[str, int]
    trials: tuple[Row, ...]
    result: dict[str, Any] | None
    others: tuple[Objective, ...] = ()
    constraints: tuple[str, ...] = ()
    front: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownTrial:
    """One trial: every option, its last metrics, and its files with their sizes."""

    study: str
    row: Row
    seed: int
    uid: str
    job: str
    config: dict[str, Scalar]
    metrics: dict[str, float]
    history: tuple[dict[str, float], ...]
    files: dict[str, int]
    details: str = ""
    replicate_of: int | None = field(default=None)


def show(name: str, home: Path = MLRUNS) -> Shown:
    """What the study called `name` came to so far. Raises UsageError where there is none."""
    folder = find_study_folder(name, home)
    return shown_of(folder, read_json(folder.spec), read_ledger(folder))


def shown_of(folder: StudyFolder, recorded: dict[str, Any], ledger: Ledger) -> Shown:
    """The same of records that were read already."""
    objective, *others = recorded_objectives(recorded)
    limits = recorded_limits(recorded)
    keys = tuple(dict.fromkeys([*(each.key for each in others), *(each.key for each in limits)]))
    rows = sorted(
        (_row(ledger, each, keys) for each in ledger.specs), key=lambda row: _rank(row, objective)
    )
    front = ledger.front([objective, *others]) if others else []
    return Shown(
        study=folder.root.name,
        folder=str(folder.root),
        state=state_of(folder, ledger),
        objective=objective,
        counts=count(ledger),
        trials=tuple(rows),
        result=read_json(folder.result),
        others=tuple(others),
        constraints=tuple(map(str, limits)),
        front=tuple(each.trial for each in front),
    )


def show_trial(name: str, trial: int, home: Path = MLRUNS) -> ShownTrial:
    """Everything recorded of one trial. Raises UsageError where the study has no such trial."""
    folder = find_study_folder(name, home)
    recorded, ledger = read_json(folder.spec), read_ledger(folder)
    if trial not in ledger.specs:
        known = f"It has the trials 0 to {len(ledger.specs) - 1}." if ledger.specs else ""
        raise UsageError(f"study '{folder.root.name}' has no trial {trial}.", known)
    spec, ending = ledger.specs[trial], ledger.endings.get(trial)
    epochs = [each for _, each in sorted(ledger.epochs[trial].items())]
    last = epochs[-1].metrics if epochs else {}
    return ShownTrial(
        study=folder.root.name,
        row=_row(ledger, trial, [each.key for each in recorded_limits(recorded)]),
        seed=spec.seed,
        uid=spec.uid,
        job=ledger.jobs.get(trial, ""),
        config=spec.config(),
        metrics=ending.metrics if isinstance(ending, Finished) else last,
        history=tuple({"epoch": each.epoch, **each.metrics} for each in epochs),
        files=_files(folder, ledger, trial),
        details=ending.details if isinstance(ending, Failed) else "",
        replicate_of=spec.replicate_of,
    )


def as_document(shown: Shown | ShownTrial) -> dict[str, Any]:
    """The same as JSON values."""
    return asdict(shown)


def as_text(shown: Shown | ShownTrial) -> str:
    """The same for a person."""
    return _study_text(shown) if isinstance(shown, Shown) else _trial_text(shown)


def _study_text(shown: Shown) -> str:
    """The trials as a table, the errors of those that failed, then the result."""
    counts = ", ".join(f"{each} {name}" for name, each in shown.counts.items() if each)
    num_infeasible = sum(row.state == "infeasible" for row in shown.trials)
    counts += f" ({num_infeasible} of them infeasible)" if num_infeasible else ""
    key, direction = shown.objective.key, shown.objective.direction
    rows = [
        {
            "trial": row.trial,
            "state": row.state,
            shown.objective.metric: row.value,
            **{heading(key): countable(key, each) for key, each in row.measured.items()},
            "epochs": row.epochs,
            "time": "" if row.seconds is None else duration(row.seconds),
            **row.params,
        }
        for row in shown.trials
    ]
    lines = [
        f"{shown.study}: {shown.state}; {counts or 'no trial has ended'}; {key}, to {direction}",
        *(["", table(rows)] if rows else []),
        *(f"trial {row.trial} failed: {row.error}" for row in shown.trials if row.error),
        "",
        *_result(shown),
        *_compromises(shown),
        f"records      {shown.folder}",
        f"one trial    nnsearch show {shown.study} --trial N",
    ]
    return "\n".join(lines)


def _trial_text(shown: ShownTrial) -> str:
    """One trial: what it was, what it reached, what lies where."""
    row = shown.row
    value = "" if row.value is None else f", {number(row.value)}"
    seconds = "" if row.seconds is None else f", {duration(row.seconds)}"
    lines = [
        f"{shown.study} trial {row.trial}: {row.state}{value}; {row.epochs} epochs{seconds}",
        *([f"error: {row.error}"] if row.error else []),
        *([f"breaks {row.breaks}"] if row.breaks else []),
        *([f"a replicate of trial {shown.replicate_of}"] if shown.replicate_of is not None else []),
        "",
        "config (* searched)",
        *_config(shown),
        f"  seed = {shown.seed}",
        "",
        f"metrics of the {'kept' if row.state in {'complete', 'infeasible'} else 'last'} epoch",
        *(f"  {key} = {number(each)}" for key, each in shown.metrics.items()),
        "",
        f"files of job {shown.job}",
        *(f"  {path}  {size} bytes" for path, size in shown.files.items()),
        *(["", shown.details.rstrip()] if shown.details else []),
    ]
    return "\n".join(lines)


def _row(ledger: Ledger, trial: int, keys: Sequence[str]) -> Row:
    ending = ledger.endings.get(trial)
    epochs = ledger.epochs[trial]
    known = ledger.measured(trial)
    return Row(
        trial=trial,
        state=_state(ending),
        value=None if ending is None or isinstance(ending, Failed) else ending.value,
        epochs=max(epochs, default=0),
        seconds=_seconds(ledger, trial),
        params=dict(ledger.specs[trial].params),
        error=ending.error if isinstance(ending, Failed) else "",
        measured={key: known[key] for key in keys if key in known},
        breaks="" if ending is None or isinstance(ending, Failed) else exceeded(ending.excess),
    )


def _compromises(shown: Shown) -> Iterator[str]:
    """What the constraints bar, what several objectives leave to choose, and what was chosen."""
    for each in shown.constraints:
        count = sum(f"{each} by" in row.breaks for row in shown.trials)
        how = f"broken by {count} of {len(shown.trials)} trials" if count else "broken by none"
        yield f"constraint   {each}: {how}"
    if shown.others:
        number = len(shown.front)
        which = f"{number} trial{'' if number == 1 else 's'} that no other beats in everything"
        yield f"front        {which}: nnsearch show {shown.study} --front"
        yield f"             the winner is chosen by {shown.objective.metric}, the first of them"


def _state(ending: Ending | None) -> str:
    if ending is None:
        return "open"
    if not isinstance(ending, Failed) and not ending.is_feasible:
        return "infeasible"
    return "complete" if isinstance(ending, Finished) else type(ending).__name__.lower()


def _seconds(ledger: Ledger, trial: int) -> float | None:
    ending, started = ledger.endings.get(trial), ledger.started.get(trial)
    if isinstance(ending, Failed):
        return None if started is None else ending.at - started.at
    return None if ending is None else ending.seconds


def _rank(row: Row, objective: Objective) -> tuple[int, float, int]:
    """Complete trials by value, then infeasible, then pruned ones, then failed, then open ones."""
    places = {"complete": 0, "infeasible": 1, "pruned": 2, "failed": 3, "open": 4}
    sign = -1 if objective.direction == "maximize" else 1
    return places[row.state], 0.0 if row.value is None else sign * row.value, row.trial


def _files(folder: StudyFolder, ledger: Ledger, trial: int) -> dict[str, int]:
    if trial not in ledger.jobs:
        return {}
    root = ledger.folder(folder, trial).root
    return {str(path): path.stat().st_size for path in sorted(root.rglob("*")) if path.is_file()}


def _result(shown: Shown) -> Iterator[str]:
    if shown.result is None:
        yield f"no result    nnsearch run {shown.study} goes on where it stopped"
        return
    conclusion = shown.result["conclusion"]
    best, tested = conclusion["best"], conclusion["tested"]
    baseline = conclusion["baseline"]
    rival = conclusion.get("rival", "linear")
    against = "" if baseline is None else f" ({rival} baseline {number(baseline)})"
    yield f"best trial   {best['trial']}: {shown.objective.key} {number(best['value'])}{against}"
    if conclusion.get("confirmed"):
        first = conclusion["confirmed"]["candidates"][0]
        value = with_interval(first["estimate"], (first["low"], first["high"]))
        yield f"expected     {value}, by {len(first['values'])} trainings on fresh seeds"
    metric = shown.objective.metric
    if metric in tested["metrics"]:
        ends = tested["intervals"].get(metric)
        value = with_interval(tested["metrics"][metric], None if ends is None else tuple(ends))
        what = "95 % interval, " if ends else ""
        yield f"test split   {metric} {value} ({what}{tested['num_rows']} rows,"
        yield f"             looked at {when(tested['at'])})"
    yield from (f"             {note}" for note in tested.get("notes", ()))
    yield f"exported     {conclusion['export'] or conclusion['export_problem']}"


def _config(shown: ShownTrial) -> Iterator[str]:
    """Every option; a searched one of a branch, such as model.mlp.width, is model.width here."""
    parts = [name.split(".") for name in shown.row.params]
    searched = {f"{each[0]}.{each[-1]}" for each in parts} | set(shown.row.params)
    for key, value in shown.config.items():
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        text = text.lower() if isinstance(value, bool) else text
        yield f"{'*' if key in searched else ' '} {key} = {text}"
