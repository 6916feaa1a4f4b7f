"""What tests of faults share: a small study, commands that run it, and what may be lost of it.

What `lost` finds is the same for both adapters, so that each fault can be shown to do harm where
nothing protects from it.
"""

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from adapters import OURS, Adapter, complete
from test_tracking_mlflow import template

from nnsearch.errors import IntegrityError
from nnsearch.events import Ending
from nnsearch.search.ledger import read_ledger
from nnsearch.study.folder import Home, read_json
from nnsearch.testing import check_integrity

NUM_TRIALS = 5
STUDY = """
name = "small"
[data]
source = "iris"
[task]
name = "classification"
[model]
name = "{model}"
width = {{ choice = [4, 8, 16, 32] }}
{fault}
[optimizer]
name = "adam"
lr = {rate}
[training]
epochs = {epochs}
checkpoint_seconds = 0
{training}
[search]
trials = {trials}
batch = 2
{search}
"""
RATE = "{ float = [1e-3, 1e-1], log = true }"
# Beside each study, which runs with --allow-code.
FAULTS = "from nnsearch.testing.faults import failing, hanging, hungry\n"


def make_home(
    folder: Path,
    base: Path,
    *,
    model: str = "mlp",
    fault: str = "",
    training: str = "",
    search: str = "",
    rate: str = RATE,
    **options: int,
) -> Path:
    """A fresh mlruns/ with MLflow's schema and nothing else, and the study file beside it.

    `model` may be one of `nnsearch.testing.faults`, as `faults.py:failing`, and `fault` its
    options, line by line, as `training` and `search` are lines of their tables.
    """
    given: dict[str, object] = {"epochs": 3, "trials": NUM_TRIALS, **options}
    lines = {"fault": fault, "training": training, "search": search}
    text = STUDY.format(model=model, rate=rate, **lines, **given)
    (folder / "small.toml").write_text(text)
    (folder / "faults.py").write_text(FAULTS)
    home = folder / "mlruns"
    home.mkdir()
    shutil.copyfile(template(base), home / "mlflow.db")
    return home


def make_slow(
    folder: Path, base: Path, *, epochs: int, trials: int = NUM_TRIALS, search: str = ""
) -> Path:
    """The same, of which each batch takes a tenth of a second, whoever trains it."""
    model, fault = "faults.py:hanging", "seconds = 0.1"
    return make_home(
        folder, base, model=model, fault=fault, search=search, epochs=epochs, trials=trials
    )


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which what is made once in a session lies."""
    return tmp_path_factory.getbasetemp()


@pytest.fixture
def home(own_folder: Path, base: Path) -> Path:
    """A fresh mlruns/ for the small study."""
    return make_home(own_folder, base)


# How trials are trained: two at a time in one program, or each by itself.
FORMS = {"fused": "", "alone": "fuse = false"}


@cache
def reference(base: Path, form: str = "fused") -> Path:
    """The home of a run without any fault."""
    folder = base / f"reference-{form}"
    folder.mkdir()
    home = make_home(folder, base, training=FORMS[form])
    complete(OURS, home)
    sizes = [len(read_json(path)["trials"]) for path in job_files(home)]
    assert max(sizes) == (2 if form == "fused" else 1), sizes
    return home


def job_files(home: Path) -> list[Path]:
    """What each job of the search was told."""
    return sorted(Home(home).study("small").jobs.glob("[0-9]*/job.json"))


def table(home: Path, name: str = "small") -> dict[int, tuple[Any, ...]]:
    """The records' final table: params, states, values, hashes and the metrics of each epoch."""
    ledger = read_ledger(Home(home).study(name))
    return {
        number: (
            sorted(ledger.specs[number].params.items()),
            type(ending).__name__,
            getattr(ending, "value", None),
            sorted(getattr(ending, "files", {}).items()),
            [sorted(each.metrics.items()) for _, each in sorted(ledger.epochs[number].items())],
        )
        for number, ending in sorted(ledger.endings.items())
    }


def num_ended(home: Path) -> int:
    """How many trials have ended, by the records."""
    return sum(
        isinstance(each, Ending) for each in read_ledger(Home(home).study("small")).endings.values()
    )


def strict(home: Path, storage: str = "") -> str:
    """What `nnsearch doctor --strict` would exit 6 for, as text; empty where it would exit 0."""
    try:
        check_integrity(home, storage=storage, environ={})
    except IntegrityError as error:
        return str(error)
    return ""


def lost(adapter: Adapter, home: Path, budget: int = NUM_TRIALS) -> list[str]:
    """N1, N2, N4 and N5, read from the two stores alone."""
    import optuna

    storage = adapter.storage(home)
    if isinstance(storage, str):
        storage = optuna.storages.RDBStorage(storage)
    trials = optuna.load_study(study_name="small", storage=storage).trials
    storage.remove_session()
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.engine.dispose()
    states = Counter(each.state.name for each in trials)
    found = [] if len(trials) == budget else [f"{len(trials)} trials, not {budget}"]
    found += [f"{states[name]} {name} trials" for name in ("RUNNING", "WAITING") if states[name]]
    runs = tracked(home)
    parents = [run for run in runs if run["trial"] is None]
    found += [] if len(parents) == 1 else [f"{len(parents)} runs of the study itself"]
    found += [f"run of {run['trial']} is RUNNING" for run in runs if run["status"] == "RUNNING"]
    complete = {each.number: each.value for each in trials if each.state.name == "COMPLETE"}
    logged = Counter(run["trial"] for run in runs if run["status"] == "FINISHED")
    for number, value in complete.items():
        found += [] if logged[number] == 1 else [f"trial {number} has {logged[number]} runs"]
        values = [
            run["value"] for run in runs if run["trial"] == number and run["value"] is not None
        ]
        found += [] if values == [value] else [f"trial {number}: {value} is logged as {values}"]
    for run in runs:
        if run["trial"] is None or run["status"] != "FINISHED":
            continue
        found += [] if run["trial"] in complete else [f"{run['trial']} is logged, not complete"]
        if run["steps"] != list(range(1, len(run["steps"]) + 1)):
            found.append(f"trial {run['trial']} has the steps {run['steps']}")
    return found


def tracked(home: Path) -> list[dict[str, Any]]:
    """Every run of MLflow's store that was not deleted: trial, status, objective and steps."""
    with closing(sqlite3.connect(f"file:{home / 'mlflow.db'}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT run_uuid, status, (SELECT value FROM tags WHERE tags.run_uuid = runs.run_uuid"
            " AND key = 'nnsearch.trial'), (SELECT value FROM latest_metrics WHERE"
            " latest_metrics.run_uuid = runs.run_uuid AND key = 'objective') FROM runs"
            " WHERE lifecycle_stage = 'active'"
        ).fetchall()
        return [
            {
                "trial": None if trial is None else int(trial),
                "status": status,
                "value": value,
                "steps": [
                    step
                    for (step,) in database.execute(
                        "SELECT step FROM metrics WHERE run_uuid = ? AND key = 'valid/loss'"
                        " ORDER BY step",
                        (run,),
                    )
                ],
            }
            for run, status, trial, value in rows
        ]


def assert_nothing_lost(
    home: Path, base: Path | None = None, *, budget: int = NUM_TRIALS, form: str = "fused"
) -> None:
    """The stores are whole, doctor agrees, and the table is that of a run without a fault."""
    found = lost(OURS, home, budget)
    assert found == [], found
    said = strict(home)
    assert said == "", said
    if base is not None:
        ours, wanted = table(home), table(reference(base, form))
        differing = {number for number in ours | wanted if ours.get(number) != wanted.get(number)}
        assert not differing, [(ours.get(each), wanted.get(each)) for each in differing]


def events_of(home: Path, kind: str) -> list[dict[str, Any]]:
    """Every recorded event of one kind, of the trials that are searched."""
    found: list[dict[str, Any]] = []
    for path in sorted(Home(home).study("small").jobs.glob("[0-9]*/events.jsonl")):
        lines = path.read_text().splitlines(keepends=True)
        read = [json.loads(line) for line in lines if line.endswith("\n")]
        found += [each for each in read if each["event"] == kind]
    return found
