"""The end of a study: the baseline, the winner's one look at the test split, its export."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from nnsearch import components
from nnsearch.commands.attempts import attempt
from nnsearch.commands.export import export_trial, facts, recorded_look
from nnsearch.commands.opening import Opened, first_literals
from nnsearch.commands.result import Conclusion
from nnsearch.data.prepare import open_part
from nnsearch.errors import UsageError
from nnsearch.events import Finished, Tested
from nnsearch.executors.processes import Processes
from nnsearch.exporting.standalone import MANIFEST
from nnsearch.reports.intervals import Intervals, metric_intervals
from nnsearch.study.fingerprint import to_json
from nnsearch.study.folder import JobFolder, read_json, write_json
from nnsearch.study.spec import Component, TrialSpec, derived_seed
from nnsearch.tasks.task import Task
from nnsearch.training.examine import look_at_test
from nnsearch.training.job import Job, recorded, run_job, write_job

BASELINE = "baseline"
BASELINE_RATE = 0.01


def start_baseline(opened: Opened, executor: Processes) -> Callable[[], None]:
    """Submit the linear model that the search is compared with; what returns waits for it.

    It costs one small trial.
    """
    folder = opened.folder.job(BASELINE)
    if not folder.spec.exists():
        spec = TrialSpec(
            number=0,
            seed=derived_seed(opened.study.seed, BASELINE),
            params={},
            task=first_literals(opened.study.task),
            model=Component("linear"),
            optimizer=Component("adam", {"lr": BASELINE_RATE}),
            schedule=Component("constant"),
            training=first_literals(opened.study.training),
            transforms=tuple(first_literals(space) for space in opened.study.transforms),
            uid=BASELINE,
        )
        data, code = opened.prepared.folder, opened.study.root.resolve()
        write_job(folder, Job((spec,), data, code, opened.objective))
    root, seconds = str(folder.root), opened.study.search.stall_timeout
    begun = executor.submit(run_job, root)
    return lambda: attempt(executor, run_job, root, stall_seconds=seconds, begun=begun)


def baseline_value(folder: JobFolder) -> float | None:
    """The baseline's validation value, or None where it failed."""
    endings = [each for each in recorded(folder) if isinstance(each, Finished)]
    return endings[0].value if endings else None


def conclude(opened: Opened, executor: Processes, best: Finished) -> Conclusion:
    """Look at the test split once, with the best trial, and export it.

    A study that went on and found another winner looks again, and says how often it did.
    """
    job = opened.folder.job(opened.ledger.jobs[best.trial])
    looks = read_json(opened.folder.looks) or []
    tested = recorded_look(opened.folder, best.trial)
    if tested is None:
        tested = _look(opened, executor, job, best)
        looks.append(asdict(tested))
        write_json(opened.folder.looks, looks)
    told = facts(to_json(opened.study), best.trial, best.metrics, tested)
    export, problem = _export(opened, executor, job, told)
    baseline = baseline_value(opened.folder.job(BASELINE))
    return Conclusion(best, tested, len(looks), baseline, export, problem)


def _look(opened: Opened, executor: Processes, job: JobFolder, best: Finished) -> Tested:
    path = opened.folder.test_predictions(best.trial)
    seconds = opened.study.search.stall_timeout
    asked = (str(job.root), best.trial, str(path))
    metrics = attempt(executor, look_at_test, *asked, stall_seconds=seconds)
    with np.load(path) as stored:
        predictions, targets = stored["predictions"], stored["targets"]
    found = _intervals(opened, best.trial, predictions, targets)
    now, num_rows = time.time(), len(targets)
    return Tested(best.trial, now, metrics, found.ends, num_rows, found.notes)


def _intervals(opened: Opened, trial: int, predictions: Any, targets: Any) -> Intervals:
    """How sure each metric of the trial's task is on the test rows."""
    study, chosen = opened.study, opened.ledger.specs[trial].task
    make = components.load("tasks", chosen.name, root=study.root, allow_code=study.allow_code)
    task: Task = make(
        np.asarray(open_part(opened.prepared.folder, "train").targets), **chosen.options
    )
    seed = derived_seed(study.seed, "intervals", trial)
    groups = open_part(opened.prepared.folder, "test").groups
    return metric_intervals(task.metrics, predictions, targets, seed=seed, groups=groups)


def _export(
    opened: Opened, executor: Processes, job: JobFolder, told: dict[str, Any]
) -> tuple[str, str]:
    """The folder of the winner's export and, where there is none, why."""
    folder = opened.folder.export(told["trial"])
    if (folder / MANIFEST).exists():
        return str(folder), ""
    seconds = opened.study.search.stall_timeout
    asked = (str(job.root), told["trial"], str(folder), told)
    try:
        return attempt(executor, export_trial, *asked, stall_seconds=seconds), ""
    except UsageError as error:
        return "", str(error)
