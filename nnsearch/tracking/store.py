"""Open an MLflow store for one study and find the runs it has. Writes no trial.

MLflow is imported here and in `runs`, within functions, so that it loads in the writer's thread.
"""

import contextlib
import fcntl
import gc
import importlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nnsearch.errors import UsageError
from nnsearch.study.folder import Home
from nnsearch.study.spec import Objective, Study
from nnsearch.tracking.schema import make_tables, write_ahead
from nnsearch.tracking.trials import slug

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

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

    client: "MlflowClient"
    experiment_id: str
    runs: dict[str, Run]
    doubtful: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    waiting_since: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def calling(self) -> Iterator["MlflowClient"]:
        """The client for one call, whose answer is waited for meanwhile."""
        self.waiting_since.append(time.monotonic())
        try:
            yield self.client
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


def open_store(
    uri: str, artifacts: str, study: Study, objective: Objective, *, study_uid: str
) -> Store:
    """Make what is missing of schema and experiment, and find the study's runs."""
    import_mlflow()
    from mlflow import MlflowClient

    path = sqlite_path(uri)
    with _alone_in(path.parent if path else None):
        if path and not path.exists():
            make_tables(path)
        client = MlflowClient(tracking_uri=uri)
        experiment_id = _experiment(client, artifacts, study, objective)
        if path:
            write_ahead(path)
    runs: dict[str, Run] = {}
    for found in _tagged(client, experiment_id, f"tags.`nnsearch.study_uid` = '{study_uid}'"):
        uid = found.data.tags.get("nnsearch.trial_uid", PARENT)
        run = _as_run(client, found, objective)
        runs[uid] = _one_of(client, runs[uid], run) if uid in runs else run
    return Store(client, experiment_id, runs)


def find(store: Store, uid: str, study_uid: str, objective: Objective) -> Run | None:
    """The run of one trial (or the study's own) by its tag, or None."""
    which = f" AND tags.`nnsearch.trial_uid` = '{uid}'" if uid else ""
    query = f"tags.`nnsearch.study_uid` = '{study_uid}'{which}"
    for found in _tagged(store.client, store.experiment_id, query):
        if found.data.tags.get("nnsearch.trial_uid", PARENT) == uid:
            return _as_run(store.client, found, objective)
    return None


def delete_copies(store: Store, study_uid: str) -> None:
    """Delete the runs that were made by a request which nobody waited for any longer."""
    if not store.twice:
        return
    query = f"tags.`nnsearch.study_uid` = '{study_uid}'"
    for found in _tagged(store.client, store.experiment_id, query):
        uid = found.data.tags.get("nnsearch.trial_uid", PARENT)
        if uid in store.twice and uid in store.runs and found.info.run_id != store.runs[uid].id:
            store.client.delete_run(found.info.run_id)
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


def _experiment(client: "MlflowClient", artifacts: str, study: Study, objective: Objective) -> str:
    found = client.get_experiment_by_name(study.name)
    shared = view(study, objective)
    if found is not None:
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        if found.tags.get(VIEW_TAG) != shared:
            client.set_experiment_tag(found.experiment_id, VIEW_TAG, shared)
        return str(found.experiment_id)
    tags = {
        VIEW_TAG: shared,
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": slug(objective.key),
        "mlflow.experiment.primaryMetric.greaterIsBetter": str(objective.direction == "maximize"),
        "mlflow.note.content": study.description or f"The nnsearch study {study.name}.",
    }
    place = f"{artifacts.rstrip('/')}/{study.name}" if artifacts else None
    return str(client.create_experiment(study.name, artifact_location=place, tags=tags))


def _tagged(client: "MlflowClient", experiment_id: str, query: str) -> Iterator["MlflowRun"]:
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id], query, max_results=1000, page_token=token, order_by=["start_time ASC"]
        )
        yield from page
        token = page.token
        if not token:
            return


def _as_run(client: "MlflowClient", found: "MlflowRun", objective: Objective) -> Run:
    tags, metrics = found.data.tags, found.data.metrics
    run = Run(
        id=found.info.run_id,
        artifact_uri=found.info.artifact_uri,
        status=found.info.status,
        state=tags.get("nnsearch.state", ""),
        is_described=bool(found.data.params),
        tested_at=tags.get("nnsearch.tested_at", ""),
        confirmed_at=tags.get("nnsearch.confirmed_at", ""),
    )
    if metrics and not run.is_over and "nnsearch.trial_uid" in tags:
        # The steps of one metric stand for all: an epoch is stored whole or not at all.
        key = slug(objective.key)
        key = key if key in metrics else next(iter(metrics))
        run.steps.update(each.step for each in client.get_metric_history(run.id, key))
    return run


def _one_of(client: "MlflowClient", first: Run, second: Run) -> Run:
    """Of two runs of one trial keep the one that is over, else the older; delete the other."""
    kept, other = (second, first) if second.is_over and not first.is_over else (first, second)
    client.delete_run(other.id)
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
