"""Bring both stores up to what the records say, without training anything.

Knows no executor, no data and none of the user's code: the records are enough.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nnsearch.commands.chosen import confirmed_of
from nnsearch.commands.pictures import picture
from nnsearch.commands.places import MLRUNS, find_study_folder, sole_driver
from nnsearch.commands.publishing import publish
from nnsearch.commands.result import tested_from_json
from nnsearch.errors import StoreError
from nnsearch.events import cut_torn_line
from nnsearch.search.ledger import Ledger, read_ledger, replay
from nnsearch.search.storage import Place, projection
from nnsearch.study.folder import Home, StudyFolder, read_json
from nnsearch.study.recorded import recorded_objectives, recorded_study
from nnsearch.tracking.mlflow import mlflow_listener
from nnsearch.tracking.store import destination, shown

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """A study of which everything is in both stores now, and how many of its trials have ended."""

    study: str
    num_trials: int
    tracking_uri: str


def sync(
    name: str | None = None,
    *,
    home: Path = MLRUNS,
    storage: str = "",
    environ: Mapping[str, str] | None = None,
    warn: Callable[[str], None] = print,
    patience_seconds: float = PATIENCE_SECONDS,
) -> list[Delivered]:
    """Deliver to MLflow, and to Optuna's store, what they lack of every study or of one.

    What is there already is not written again. Raises StoreError where a study is being run, or a
    store does not take everything in `patience_seconds`, and UsageError for an unknown study.
    """
    environ = os.environ if environ is None else environ
    folders = study_folders(home) if name is None else [find_study_folder(name, home)]
    done: list[Delivered] = []
    for folder in folders:
        with sole_driver(folder):
            ledger = deliver(
                folder,
                Home(home),
                storage=storage,
                environ=environ,
                warn=warn,
                patience_seconds=patience_seconds,
            )
        uri = shown(destination(Home(home), environ)[0])
        done.append(Delivered(folder.root.name, len(ledger.endings), uri))
    return done


def study_folders(home: Path) -> list[StudyFolder]:
    """The folder of every study that has records."""
    names = sorted(each.name for each in Home(home).studies.glob("*"))
    return [each for each in map(Home(home).study, names) if each.spec.exists()]


def deliver(
    folder: StudyFolder,
    home: Home,
    *,
    storage: str,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
    patience_seconds: float,
) -> Ledger:
    """Project one study onto both stores; the caller holds its lock. What was projected."""
    record = read_json(folder.spec)
    cut_torn_line(folder.trials)
    ledger = read_ledger(folder)
    study, (objective, *others) = recorded_study(record), recorded_objectives(record)
    place = Place(storage, home.optuna_journal, warn, patience_seconds)
    with projection(study, objective, place, others) as project:
        project.check(ledger)
        project(ledger)
    uri, artifacts = destination(home, environ)
    looks = read_json(folder.looks) or []
    is_finished = bool(looks) and ledger.has_ended(list(ledger.specs))
    with mlflow_listener(
        study,
        objective,
        folder,
        uri=uri,
        artifacts=artifacts,
        locate=partial(ledger.folder, folder),
        picture=partial(picture, tuple(record["signature"]["labels"]), objective),
        facts=record["facts"],
        dataset=dataset(record),
        warn=warn,
        uid=record["fingerprint"],
        patience_seconds=patience_seconds,
        ends_as="FINISHED" if is_finished else "KILLED",
    ) as listen:
        for event in replay(ledger):
            listen(event)
        confirmed = confirmed_of(folder)
        if confirmed is not None:
            listen(confirmed)
        for look in looks:
            listen(tested_from_json(look))
    if folder.report.exists():
        _publish(folder, uri)
    return ledger


def _publish(folder: StudyFolder, uri: str) -> None:
    """Deliver the report too, which MLflow may have refused when it was written."""
    try:
        publish(folder, uri)
    except Exception as error:
        reason = shown(str(error).partition("\n")[0])
        raise StoreError(
            f"{folder.report} could not be delivered to MLflow at {shown(uri)} ({reason}).",
            "`nnsearch sync` sends it when MLflow takes it again.",
        ) from error


def dataset(record: Mapping[str, Any]) -> dict[str, object]:
    """What MLflow is told of a study's data."""
    signature = record["signature"]
    return {
        "name": record["study"]["data"]["source"],
        "digest": record["data"][:8],
        "num_rows": record["num_rows"],
        "shape": list(signature["shape"]),
        "labels": list(signature["labels"]),
    }


def as_document(done: list[Delivered]) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        "studies": [
            {"study": each.study, "num_trials": each.num_trials, "tracking_uri": each.tracking_uri}
            for each in done
        ]
    }


def as_text(done: list[Delivered]) -> str:
    """A line a study."""
    if not done:
        return "There is no study to deliver."
    return "\n".join(
        f"{each.study}: all {each.num_trials} trials are in MLflow ({each.tracking_uri})"
        for each in done
    )
