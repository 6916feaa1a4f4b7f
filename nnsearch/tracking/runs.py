"""What is written to MLflow for one trial and for the study. Knows no thread and no retry.

Each step may be repeated after it failed or was killed, and the store ends the same: runs are
found by uid, epochs that are there are left out, and values are resent with the events' own times,
which MLflow stores once.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from nnsearch.crashes import crash_point
from nnsearch.events import Epoch, Failed, Finished
from nnsearch.study.folder import TrialFolder
from nnsearch.study.spec import Objective, Study
from nnsearch.tracking.artifacts import Content, write_artifacts
from nnsearch.tracking.store import PARENT, Run, Store, find
from nnsearch.tracking.trials import (
    STATES,
    Trial,
    closing_metrics,
    closing_tags,
    params,
    renamed,
)
from nnsearch.tracking.values import (
    BATCH,
    as_metrics,
    described,
    history,
    milliseconds,
    whole_epochs,
)

Picture = Callable[[TrialFolder, list[Epoch]], Mapping[str, bytes | str | dict[str, object]]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tracked: the study, and where the files and pictures of its trials come from.

    `uid` is the study's: two studies of one name that share an experiment have two.
    """

    study: Study
    uid: str
    objective: Objective
    facts: Mapping[str, str]
    dataset: Mapping[str, object]
    locate: Callable[[int], TrialFolder]
    picture: Picture
    warn: Callable[[str], None]


def write_trial(store: Store, subject: Subject, trial: Trial) -> None:
    """Bring the run of a trial up to what is known of it; one that is over is left alone."""
    run = store.runs.get(trial.asked.uid)
    if run is not None and run.is_over:
        return
    parent = open_parent(store, subject, at=trial.at)
    run = _open_run(store, subject, trial, parent)
    if trial.ending is not None:
        _write_files(store, subject, trial, run)
    _write_values(store, trial, run)
    if trial.ending is not None:
        crash_point("C3")
        state, status = STATES[type(trial.ending)]
        _terminate(store, trial.asked.uid, status, at=trial.ending.at, state=state)
        crash_point("C4")


def interrupt_run(store: Store, uid: str, *, at: float) -> None:
    """Mark the run of a trial that has not ended as KILLED; it goes on when the study does."""
    with store.calling() as backend:
        backend.write(store.runs[uid].id, tags={"nnsearch.state": "interrupted"})
    _terminate(store, uid, "KILLED", at=at, state="interrupted")


def open_parent(store: Store, subject: Subject, *, at: float) -> Run:
    """The study's own run, made or set RUNNING again."""
    study = subject.study
    run = store.runs.get(PARENT)
    if run is not None and run.status == "RUNNING" and run.is_described:
        return run
    tags = _study_tags(subject)
    if run is None:
        run = _create(store, subject, PARENT, tags=tags, name=study.name, at=at)
    else:
        with store.calling() as backend:
            backend.write(run.id, tags=tags)
    if run.status != "RUNNING":
        _reopen(store, PARENT)
    if subject.dataset:
        with store.calling() as backend:
            backend.log_dataset(run.id, described(subject.dataset))
    store.runs[PARENT] = replace(store.runs[PARENT], is_described=True)
    return store.runs[PARENT]


def close_parent(store: Store, status: str, *, at: float) -> None:
    """End the study's run, where there is one, unless this session had nothing to add to it."""
    run = store.runs.get(PARENT)
    if run is None or run.status == status or (status != "FINISHED" and run.status != "RUNNING"):
        return
    _terminate(store, PARENT, status, at=at)


def _study_tags(subject: Subject) -> dict[str, str]:
    study, facts = subject.study, subject.facts
    tags = {key if "." in key else f"nnsearch.{key}": str(each) for key, each in facts.items()}
    if "git_commit" in facts:
        tags["mlflow.source.git.commit"] = facts["git_commit"]
    return tags | {
        "nnsearch.study": study.name,
        "nnsearch.study_uid": subject.uid,
        "nnsearch.objective": subject.objective.key,
        "mlflow.source.name": f"nnsearch run {study.name}",
        "mlflow.note.content": study.description or f"The nnsearch study {study.name}.",
    }


def _open_run(store: Store, subject: Subject, trial: Trial, parent: Run) -> Run:
    asked = trial.asked
    run = store.runs.get(asked.uid)
    if run is None:
        tags = {
            "mlflow.parentRunId": parent.id,
            "nnsearch.study": subject.study.name,
            "nnsearch.study_uid": subject.uid,
            "nnsearch.trial": str(asked.trial),
            "nnsearch.trial_uid": asked.uid,
            "nnsearch.seed": str(asked.seed),
            "nnsearch.searched": ",".join(asked.params),
            "nnsearch.state": "running",
        }
        if trial.started:
            tags["nnsearch.device"] = trial.started.device
        name = f"trial-{asked.trial:04d}"
        run = _create(store, subject, asked.uid, tags=tags, name=name, at=trial.at)
    if run.status != "RUNNING":
        with store.calling() as backend:
            backend.write(run.id, tags={"nnsearch.state": "running"})
        _reopen(store, asked.uid)
    return store.runs[asked.uid]


def _create(
    store: Store, subject: Subject, uid: str, *, tags: dict[str, str], name: str, at: float
) -> Run:
    run = None
    if uid in store.doubtful:
        run = find(store, uid, subject.uid, subject.objective)
        store.twice.update([uid] if run is None else [])
    if run is None:
        store.doubtful.add(uid)
        with store.calling() as backend:
            made = backend.create_run(
                store.experiment_id, name=name, tags=tags, start_ms=milliseconds(at)
            )
        run = Run(*made, state=tags.get("nnsearch.state", ""))
        crash_point("A3")
    store.runs[uid] = run
    store.doubtful.discard(uid)
    return run


def _reopen(store: Store, uid: str) -> None:
    run = store.runs[uid]
    with store.calling() as backend:
        backend.reopen_run(run.id)
    store.runs[uid] = replace(run, status="RUNNING", state="")


def _terminate(store: Store, uid: str, status: str, *, at: float, state: str = "") -> None:
    run = store.runs[uid]
    with store.calling() as backend:
        backend.end_run(run.id, status, end_ms=milliseconds(at))
    store.runs[uid] = replace(run, status=status, state=state)


def _write_values(store: Store, trial: Trial, run: Run) -> None:
    """Params, the epochs that are not there, and what ends the trial: one batch where it fits."""
    if trial.ending is None and not trial.epochs:
        return  # params go with the first batch: each batch costs 5 ms, however small
    fresh = [each for number, each in sorted(trial.epochs.items()) if number not in run.steps]
    wanted = {} if run.is_described else params(trial.asked)
    tags = closing_tags(trial)
    last = as_metrics(closing_metrics(trial), at=trial.ending.at) if trial.ending else []
    *full, rest = whole_epochs(fresh, room=BATCH - len(last))
    for epochs in full:
        with store.calling() as backend:
            backend.write(run.id, metrics=history(epochs))
        run.steps.update(each.epoch for each in epochs)
    changed = renamed({*wanted, *(name for each in fresh for name in each.metrics)})
    if changed:
        tags["nnsearch.names"] = json.dumps(changed)[:8000]
    metrics = [*history(rest), *last]
    if metrics or wanted or tags:
        with store.calling() as backend:
            backend.write(run.id, metrics=metrics, params=wanted, tags=tags)
    run.steps.update(each.epoch for each in rest)
    store.runs[trial.asked.uid] = replace(run, is_described=True)


def _write_files(store: Store, subject: Subject, trial: Trial, run: Run) -> None:
    contents: dict[str, Content] = {}
    if isinstance(trial.ending, Failed) and trial.ending.details:
        contents["error.txt"] = trial.ending.details
    if isinstance(trial.ending, Finished):
        folder = subject.locate(trial.asked.trial)
        for name in trial.ending.files or {folder.weights.name: ""}:
            if (folder.root / name).is_file():
                contents[name] = folder.root / name
        contents |= _pictures(subject, trial, folder)
    if contents:
        # Not `calling`: large files take their time on a slow line.
        write_artifacts(
            run.artifact_uri,
            contents,
            upload=lambda filled: store.backend.upload(run.id, filled),
            there=lambda: store.backend.artifacts(run.id),
        )


def _pictures(subject: Subject, trial: Trial, folder: TrialFolder) -> Mapping[str, Content]:
    try:
        return subject.picture(folder, [each for _, each in sorted(trial.epochs.items())])
    except Exception as error:  # noqa: BLE001 - drawing is not ours, and a trial counts without it
        subject.warn(f"trial {trial.asked.trial} has no pictures: {type(error).__name__}: {error}")
        return {}
