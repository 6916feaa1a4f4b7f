"""One job in a worker: train its trials and append what happens to the job's event file.

Knows no Optuna and no MLflow. The pruner's verdicts come back through the job's verdict file, so
that a job runs the same in a thread, in another process and on another machine.
"""

import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from nnsearch import events
from nnsearch.study.folder import JobFolder
from nnsearch.study.limits import limit_of
from nnsearch.study.spec import TrialSpec, digest
from nnsearch.training.account import Account, record_cost, sole_attempt
from nnsearch.training.alone import train_alone
from nnsearch.training.devices import device_of
from nnsearch.training.folds import train_on_folds
from nnsearch.training.fuse import can_fuse
from nnsearch.training.jobfile import Job, read_job, recorded, write_job
from nnsearch.training.material import Material, gather, with_task
from nnsearch.training.stopping import in_order
from nnsearch.training.together import train_together

__all__ = ["Job", "material_of", "read_job", "recorded", "run_job", "write_job"]

MATERIALS_KEPT = 4
TASKS_KEPT = 64

_MATERIALS: dict[str, dict[str, Material]] = {}


def run_job(root: str) -> None:
    """Train each trial of the job in folder `root` that has not ended, and record its ending.

    Only what stops the job as a whole raises; what goes wrong in a trial is its `Failed` event. At
    SIGTERM the epoch under way is finished, a checkpoint saved, and SystemExit raised.
    """
    folder = JobFolder(Path(root))
    with in_order(), sole_attempt(folder):
        _run(folder)


def _run(folder: JobFolder) -> None:
    begun = time.process_time()
    job = read_job(folder)
    events.cut_torn_line(folder.events)
    limits = tuple(map(limit_of, job.constraints))
    account = Account(
        folder,
        job.objective,
        job.rungs,
        job.code,
        job.others,
        limits,
        holds=bool(job.folds),
        enough=job.enough,
    )
    _train(job, account)
    if job.folds:
        train_on_folds(job, account, _run)
    record_cost(folder, time.process_time() - begun)
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # another worker may have the same GPU


def _train(job: Job, account: Account) -> None:
    ended = account.ended()
    left = [trial for trial in job.trials if trial.number not in ended]
    supply = partial(material_of, job=job)
    together = [trial for trial in job.trials if can_fuse(trial)]
    if any(trial in left for trial in together):
        train_together(together, supply, account)
    for trial in left:
        if not can_fuse(trial):
            train_alone(trial, supply, account)


def material_of(trial: TrialSpec, job: Job) -> Material:
    """The trial's material; trials of equal transforms share the arrays of one in a worker."""
    device = device_of(str(trial.training.options.get("device", "auto")))
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
