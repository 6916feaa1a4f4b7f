"""One job in a worker: train its trials and append what happens to the job's event file.

Knows no Optuna and no MLflow. The pruner's verdicts come back through the job's verdict file, so
that a job runs the same in a thread, in another process and on another machine.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from nnsearch import events
from nnsearch.study.folder import JobFolder, read_json, write_json
from nnsearch.study.spec import Objective, TrialSpec, digest
from nnsearch.training.account import Account, recorded
from nnsearch.training.alone import train_alone
from nnsearch.training.fuse import can_fuse
from nnsearch.training.material import Material, gather, with_task
from nnsearch.training.together import train_together

__all__ = ["Job", "material_of", "read_job", "recorded", "run_job", "write_job"]

MATERIALS_KEPT = 4
TASKS_KEPT = 64

_MATERIALS: dict[str, dict[str, Material]] = {}


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
    account = Account(folder, job.objective, job.rungs, job.code)
    ended = account.ended()
    left = [trial for trial in job.trials if trial.number not in ended]
    supply = partial(material_of, job=job)
    together = [trial for trial in left if can_fuse(trial)]
    if together:
        train_together(together, supply, account)
    for trial in left:
        if not can_fuse(trial):
            train_alone(trial, supply, account)


def material_of(trial: TrialSpec, job: Job) -> Material:
    """The trial's material; trials of equal transforms share the arrays of one in a worker."""
    device = _device(trial)
    key = digest([str(job.data), device, *map(asdict, trial.transforms)])
    tasks = _MATERIALS.setdefault(key, {})
    while len(_MATERIALS) > MATERIALS_KEPT:
        del _MATERIALS[next(iter(_MATERIALS))]
    task = digest(asdict(trial.task))
    if task not in tasks:
        while len(tasks) >= TASKS_KEPT:
            del tasks[next(iter(tasks))]
        like = next(iter(tasks.values()), None)
        if like is None:
            tasks[task] = gather(trial, job.data, job.code, torch.device(device))
        else:
            tasks[task] = with_task(like, trial, job.data, job.code)
    return tasks[task]


def _device(trial: TrialSpec) -> str:
    wanted = str(trial.training.options.get("device", "auto"))
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted
