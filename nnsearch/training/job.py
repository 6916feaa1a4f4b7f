"""One job in a worker: train its trials and append what happens to the job's event file.

Knows no Optuna and no MLflow. The pruner's verdicts come back through the job's verdict file, so
that a job runs the same in a thread, in another process and on another machine.
"""

import json
import math
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from nnsearch import events
from nnsearch.events import Ending, Event, Failed, Finished, Pruned, Started
from nnsearch.study.folder import JobFolder, read_json, write_json, write_whole
from nnsearch.study.spec import Objective, TrialSpec, digest
from nnsearch.training import checkpoint
from nnsearch.training.evaluate import save_predictions
from nnsearch.training.fit import Kept, NonFiniteLossError, Pupil, fit, prepare
from nnsearch.training.material import Material, gather

POLL_SECONDS = 0.002
VERDICT_SECONDS = 600.0
MATERIALS_KEPT = 4

_MATERIALS: dict[str, Material] = {}


@dataclass(frozen=True, slots=True)
class Job:
    """What a job's file says: 1..K trials on one data set.

    `rungs` are the epochs after which a trial waits for the pruner's verdict; `code` is the folder
    of the study file.
    """

    trials: tuple[TrialSpec, ...]
    data: Path
    code: Path
    objective: Objective
    rungs: tuple[int, ...] = ()


def write_job(folder: JobFolder, job: Job) -> None:
    """Put a job into its folder, where `run_job` finds it."""
    fields = asdict(job) | {"data": str(job.data), "code": str(job.code)}
    write_json(folder.spec, fields)


def read_job(folder: JobFolder) -> Job:
    """The job that `write_job` wrote."""
    fields = read_json(folder.spec)
    return Job(
        trials=tuple(TrialSpec.from_json(each) for each in fields["trials"]),
        data=Path(fields["data"]),
        code=Path(fields["code"]),
        objective=Objective(**fields["objective"]),
        rungs=tuple(fields["rungs"]),
    )


def run_job(root: str) -> None:
    """Train each trial of the job in folder `root` that has not ended, and record its ending.

    Only what stops the job as a whole raises; what goes wrong in a trial is its `Failed` event.
    """
    folder = JobFolder(Path(root))
    job = read_job(folder)
    events.cut_torn_line(folder.events)
    ended = {each.trial for each in recorded(folder) if isinstance(each, Ending)}
    for trial in job.trials:
        if trial.number not in ended:
            _record(folder, _run_trial(trial, job, folder))


def recorded(folder: JobFolder) -> Iterator[Event]:
    """Every event that the job's file holds."""
    for line, _ in events.whole_lines(folder.events):
        yield events.from_line(line)


def _run_trial(trial: TrialSpec, job: Job, folder: JobFolder) -> Ending:
    try:
        return _train(trial, job, folder)
    except NonFiniteLossError as error:
        return Failed(trial.number, time.time(), str(error))
    except Exception as error:  # noqa: BLE001 - a trial's error is a result: recorded, not raised
        return Failed(trial.number, time.time(), one_line(error), traceback.format_exc())


@dataclass(frozen=True, slots=True)
class _Lesson:
    """One trial under way in this worker; `began` is on the monotonic clock."""

    trial: TrialSpec
    job: Job
    folder: JobFolder
    pupil: Pupil
    began: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


def _train(trial: TrialSpec, job: Job, folder: JobFolder) -> Ending:
    began = time.monotonic()
    material = material_of(trial, job)
    lesson = _Lesson(trial, job, folder, prepare(trial, material, job.code), began)
    past = checkpoint.load(folder.trial(trial.number).checkpoint)
    _record(folder, _started(lesson, 1 if past is None else len(past["losses"]) + 1))
    run = fit(lesson.pupil, job.objective, trial.number, past)
    saved = began
    keep: bool | None = None
    while True:
        try:
            step = next(run) if keep is None else run.send(keep)
        except StopIteration as stop:
            return _finish(lesson, stop.value)
        _record(folder, step.event)
        if time.monotonic() - saved >= lesson.pupil.recipe.checkpoint_seconds:
            checkpoint.save(folder.trial(trial.number).checkpoint, step.snapshot())
            saved = time.monotonic()
        keep = _may_go_on(lesson, step.event.epoch)
        if not keep:
            checkpoint.remove(folder.trial(trial.number).checkpoint)
            value = step.event.metrics[job.objective.key]
            return Pruned(trial.number, time.time(), step.event.epoch, value, lesson.seconds)


def _may_go_on(lesson: _Lesson, epoch: int) -> bool:
    if epoch not in lesson.job.rungs or epoch >= lesson.pupil.recipe.epochs:
        return True
    return _verdict(lesson.folder, lesson.trial.number, epoch)


def _finish(lesson: _Lesson, kept: Kept) -> Ending:
    """Write the trial's files and, last, say that it is complete."""
    number, key = lesson.trial.number, lesson.job.objective.key
    value = kept.metrics[key]
    if not math.isfinite(value):
        return Failed(number, time.time(), f"non-finite {key}: {value}")
    files, material = lesson.folder.trial(number), lesson.pupil.material
    weights = {
        "transforms": material.transforms.state_dict(),
        "model": {name: each.cpu() for name, each in kept.weights.items()},
    }
    hashes = {
        files.weights.name: checkpoint.write_tensors(files.weights, weights),
        files.predictions.name: write_whole(
            files.predictions,
            lambda path: save_predictions(path, kept.predictions, material.valid_raw),
        ),
    }
    checkpoint.remove(files.checkpoint)
    seconds = lesson.seconds
    return Finished(number, time.time(), value, kept.epoch, seconds, kept.metrics, hashes)


def material_of(trial: TrialSpec, job: Job) -> Material:
    """The trial's material; trials of equal task and transforms share one in a worker."""
    device = _device(trial)
    key = digest([str(job.data), device, *map(asdict, (trial.task, *trial.transforms))])
    if key not in _MATERIALS:
        while len(_MATERIALS) >= MATERIALS_KEPT:
            del _MATERIALS[next(iter(_MATERIALS))]
        _MATERIALS[key] = gather(trial, job.data, job.code, torch.device(device))
    return _MATERIALS[key]


def _device(trial: TrialSpec) -> str:
    wanted = str(trial.training.options.get("device", "auto"))
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


def _started(lesson: _Lesson, epoch: int) -> Started:
    trial, pupil = lesson.trial, lesson.pupil
    count = sum(each.numel() for each in pupil.model.parameters())
    device = str(pupil.material.train.device)
    return Started(trial.number, trial.uid, time.time(), epoch, device, count)


def _record(folder: JobFolder, event: Event) -> None:
    events.append_lines(folder.events, [events.to_line(event)], sync=isinstance(event, Ending))


def _verdict(folder: JobFolder, number: int, epoch: int) -> bool:
    deadline = time.monotonic() + VERDICT_SECONDS
    while time.monotonic() < deadline:
        for line, _ in events.whole_lines(folder.verdicts):
            verdict: dict[str, Any] = json.loads(line)
            if verdict["trial"] == number and verdict["epoch"] == epoch:
                return bool(verdict["keep"])
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"no verdict on trial {number} after epoch {epoch}")


def one_line(error: BaseException) -> str:
    """An error as one line: its type and the first line of what it says."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:500]
