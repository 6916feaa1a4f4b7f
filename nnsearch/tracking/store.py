"""Open a store of runs for one study and find the runs it has. Writes no trial.

MLflow is imported within functions, so that it loads where it is needed, and only then.
"""

import contextlib
import fcntl
import gc
import importlib
import json
import logging
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nnsearch.errors import UsageError
from nnsearch.study.folder import Home
from nnsearch.study.spec import Objective, Study
from nnsearch.tracking.artifacts import local_folder
from nnsearch.tracking.backend import Backend, Found, RefusedError
from nnsearch.tracking.client import Client, failures
from nnsearch.tracking.layout import is_known
from nnsearch.tracking.schema import kept_tables, make_tables, write_ahead
from nnsearch.tracking.tables import open_tables
from nnsearch.tracking.trials import slug

PARENT = ""
FINAL_STATES = frozenset({"complete", "pruned", "failed"})
# The view of an experiment's runs that MLflow's page opens with; a link names it as `SHARED_VIEW`.
SHARED_VIEW = "nnsearch"
VIEW_TAG = f"mlflow.sharedViewState.{SHARED_VIEW}"
MAX_TAG = 5000  # of MLflow 2; later ones take more
# What opening a database imports besides; most of it belongs to parts that are not used here.
_OF_A_DATABASE = ("mlflow.store.tracking.sqlalchemy_store",)
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow would repeat a POST that the server had committed before it answered 500, and so make
    # a run twice; and it would wait up to 244 s. We look first, then repeat, and wait ourselves.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the store has it.

    `is_described`: its params, or for the study's own run its tags and dataset, are there.
    `steps` are the epochs whose metrics are there.
    """

    id: str
    artifact_uri: str
    status: str = "RUNNING"
    state: str = ""
    is_described: bool = False
    tested_at: str = ""
    confirmed_at: str = ""
    steps: set[int] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be written; an interrupted run goes on."""
        return self.status in {"FINISHED", "KILLED", "FAILED"} and self.state in FINAL_STATES


@dataclass(frozen=True, slots=True)
class Store:
    """An open store: the study's experiment, and its runs by trial uid (`PARENT`: the study's).

    `doubtful` are uids whose run was asked for without an answer: look before asking again. Of the
    `twice` asked the first request may have been carried out after all, and late.
    `waiting_since` holds when the call under way began, on the monotonic clock.
    """

    backend: Backend
    experiment_id: str
    runs: dict[str, Run]
    doubtful: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    waiting_since: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def calling(self) -> Iterator[Backend]:
        """The backend for one call, whose answer is waited for meanwhile."""
        self.waiting_since.append(time.monotonic())
        try:
            yield self.backend
        finally:
            self.waiting_since.clear()


def destination(home: Home, environ: Mapping[str, str]) -> tuple[str, str]:
    """The tracking URI and the artifacts' URI: those of `home`, or MLFLOW_TRACKING_URI's server.

    With a server the second is empty: it decides itself. Raises UsageError for a folder, for
    MLflow has given up its file store.
    """
    uri = environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        return home.mlflow_uri, home.artifacts.as_uri()
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///")).absolute()
        return f"sqlite:///{path}", (path.parent / "artifacts").as_uri()
    if "://" not in uri or uri.startswith("file:"):
        raise UsageError(
            f"MLFLOW_TRACKING_URI={uri} is a folder, which MLflow no longer writes to.",
            "Give sqlite:////an/absolute/path.db or http://host:port.",
        )
    return uri, ""


def shown(uri: str) -> str:
    """A URI without its password, for messages."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", uri)


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite store; None for any other."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def import_mlflow(uri: str = "") -> None:
    """Import MLflow, which takes seconds, as we want it: silent, and without retries of its own.

    Where `uri` is a database, what MLflow needs to open it as well.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)

    is_database = uri and not uri.startswith(("http", "file"))
    gc.disable()  # nothing of what is imported is garbage, and searching it takes a fifth longer
    try:
        for name in ("mlflow", *(_OF_A_DATABASE if is_database else ())):
            importlib.import_module(name)
        gc.freeze()  # nor will it be
    finally:
        gc.enable()
    # It prints a traceback for each locked database, which we report in one line ourselves.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL + 1)


def is_direct(uri: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the store is, or will be, an SQLite file that is written without MLflow."""
    path, empty = sqlite_path(uri), kept_tables(environ)
    if path is None or empty is None or not empty.exists():
        return False
    return is_known(path if path.exists() else empty, empty)


def open_backend(uri: str) -> Backend:
    """The store at `uri`, for the thread that calls."""
    path = sqlite_path(uri)
    if path is not None and path.exists() and is_direct(uri):
        return open_tables(path)
    return _client(uri)


def is_trouble(error: Exception) -> bool:
    """Whether a store that is gone, locked or unwilling is to blame, and not a bug."""
    return isinstance(error, (sqlite3.Error, OSError, RefusedError, *failures()))


def open_store(
    uri: str, artifacts: str, study: Study, objective: Objective, *, study_uid: str
) -> Store:
    """Make what is missing of schema and experiment, and find the study's runs."""
    path = sqlite_path(uri)
    with _alone_in(path.parent if path else None):
        if path and not path.exists():
            make_tables(path)
        if path:
            write_ahead(path)
        backend = open_backend(uri)
        experiment_id, place = _experiment(backend, artifacts, study, objective)
    if place and local_folder(place) is None and is_direct(uri):
        backend.close()
        backend = _client(uri)  # for its artifacts do not lie in a folder
    runs: dict[str, Run] = {}
    for found in backend.runs(experiment_id, {"nnsearch.study_uid": study_uid}):
        uid = found.tags.get("nnsearch.trial_uid", PARENT)
        run = _as_run(backend, found, objective)
        runs[uid] = _one_of(backend, runs[uid], run) if uid in runs else run
    return Store(backend, experiment_id, runs)


def find(store: Store, uid: str, study_uid: str, objective: Objective) -> Run | None:
    """The run of one trial (or the study's own) by its tag, or None."""
    wanted = {"nnsearch.study_uid": study_uid} | ({"nnsearch.trial_uid": uid} if uid else {})
    for found in store.backend.runs(store.experiment_id, wanted):
        if found.tags.get("nnsearch.trial_uid", PARENT) == uid:
            return _as_run(store.backend, found, objective)
    return None


def delete_copies(store: Store, study_uid: str) -> None:
    """Delete the runs that were made by a request which nobody waited for any longer."""
    if not store.twice:
        return
    for found in store.backend.runs(store.experiment_id, {"nnsearch.study_uid": study_uid}):
        uid = found.tags.get("nnsearch.trial_uid", PARENT)
        if uid in store.twice and uid in store.runs and found.id != store.runs[uid].id:
            store.backend.delete_run(found.id)
    store.twice.clear()


def view(study: Study, objective: Objective) -> str:
    """The table of runs as MLflow shows it: the best first, with a column a searched parameter.

    Without columns named MLflow shows neither the objective nor what was searched. Only complete
    trials have an `objective`; MLflow puts runs without one last, either way round.
    """
    columns = ["metrics.`objective`", "metrics.`best_epoch`"]
    columns += [f"params.`{slug(name)}`" for name in study.ranges()]
    state = {
        "searchFilter": "",
        "orderByKey": columns[0],
        "orderByAsc": objective.direction == "minimize",
        "selectedColumns": columns,
    }
    while len(written := json.dumps(state)) > MAX_TAG:
        columns.pop()
    return written


def _client(uri: str) -> Client:
    import_mlflow()
    from mlflow import MlflowClient

    return Client(MlflowClient(tracking_uri=uri))


def _experiment(
    backend: Backend, artifacts: str, study: Study, objective: Objective
) -> tuple[str, str]:
    """The study's experiment and where its artifacts lie; empty where its store settles that."""
    found = backend.experiment(study.name)
    shared = view(study, objective)
    if found is not None:
        if found.is_deleted:
            backend.restore_experiment(found.id)
        if found.tags.get(VIEW_TAG) != shared:
            backend.tag_experiment(found.id, VIEW_TAG, shared)
        return found.id, found.place
    tags = {
        VIEW_TAG: shared,
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": slug(objective.key),
        "mlflow.experiment.primaryMetric.greaterIsBetter": str(objective.direction == "maximize"),
        "mlflow.note.content": study.description or f"The nnsearch study {study.name}.",
    }
    place = f"{artifacts.rstrip('/')}/{study.name}" if artifacts else ""
    return backend.create_experiment(study.name, place or None, tags), place


def _as_run(backend: Backend, found: Found, objective: Objective) -> Run:
    tags = found.tags
    run = Run(
        id=found.id,
        artifact_uri=found.artifact_uri,
        status=found.status,
        state=tags.get("nnsearch.state", ""),
        is_described=found.has_params,
        tested_at=tags.get("nnsearch.tested_at", ""),
        confirmed_at=tags.get("nnsearch.confirmed_at", ""),
    )
    if not run.is_over and "nnsearch.trial_uid" in tags:
        # The steps of one metric stand for all: an epoch is stored whole or not at all.
        run.steps.update(backend.steps(run.id, slug(objective.key)))
    return run


def _one_of(backend: Backend, first: Run, second: Run) -> Run:
    """Of two runs of one trial keep the one that is over, else the older; delete the other."""
    kept, other = (second, first) if second.is_over and not first.is_over else (first, second)
    backend.delete_run(other.id)
    return kept


@contextlib.contextmanager
def _alone_in(folder: Path | None) -> Iterator[None]:
    """Two processes that make the schema of one database at once break it; so one waits."""
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
