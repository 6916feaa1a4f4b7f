"""The end of a study: the baseline, the winner's one look at the test split, its export."""

import time
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

import numpy as np

from nnsearch.commands.export import export_trial
from nnsearch.commands.opening import Opened, first_literals
from nnsearch.commands.result import Conclusion, tested_from_json
from nnsearch.errors import UsageError
from nnsearch.events import Finished, Tested
from nnsearch.executors.executor import Executor
from nnsearch.reports.statistics import bootstrap_interval, share_interval
from nnsearch.study.folder import JobFolder, read_json, write_json
from nnsearch.study.spec import Component, TrialSpec, derived_seed
from nnsearch.training.examine import look_at_test
from nnsearch.training.job import Job, recorded, run_job, write_job

BASELINE = "baseline"
BASELINE_RATE = 0.01


def start_baseline(opened: Opened, executor: Executor) -> "Future[None]":
    """Submit the linear model that the search is compared with; it costs one small trial."""
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
    return executor.submit(run_job, str(folder.root))


def baseline_value(folder: JobFolder) -> float | None:
    """The baseline's validation value, or None where it failed."""
    endings = [each for each in recorded(folder) if isinstance(each, Finished)]
    return endings[0].value if endings else None


def conclude(opened: Opened, executor: Executor, best: Finished) -> Conclusion:
    """Look at the test split once, with the best trial, and export it.

    A study that went on and found another winner looks again, and says how often it did.
    """
    job = opened.folder.job(opened.ledger.jobs[best.trial])
    looks = read_json(opened.folder.root / "test.json") or []
    tested = next((look for look in map(tested_from_json, looks) if look.trial == best.trial), None)
    if tested is None:
        tested = _look(opened, executor, job, best)
        looks.append(asdict(tested))
        write_json(opened.folder.root / "test.json", looks)
    export, problem = _export(opened, executor, job, tested)
    baseline = baseline_value(opened.folder.job(BASELINE))
    return Conclusion(best, tested, len(looks), baseline, export, problem)


def _look(opened: Opened, executor: Executor, job: JobFolder, best: Finished) -> Tested:
    path = opened.folder.root / f"test-{best.trial:05d}.npz"
    metrics = executor.submit(look_at_test, str(job.root), best.trial, str(path)).result()
    with np.load(path) as stored:
        predictions, targets = stored["predictions"], stored["targets"]
    intervals = _intervals(metrics, predictions, targets, opened.study.seed)
    return Tested(best.trial, time.time(), metrics, intervals, len(targets))


def _intervals(
    metrics: dict[str, float], predictions: Any, targets: Any, seed: int
) -> dict[str, tuple[float, float]]:
    """An exact interval for the accuracy, a bootstrap one for the errors of a regression."""
    if "accuracy" in metrics:
        correct = int((predictions.argmax(1) == targets).sum())
        return {"accuracy": share_interval(correct, len(targets))}
    errors = {
        "rmse": lambda p, t: float(np.sqrt(np.mean((p[:, 0] - t) ** 2))),
        "mae": lambda p, t: float(np.mean(np.abs(p[:, 0] - t))),
        "r2": lambda p, t: float(1 - np.sum((p[:, 0] - t) ** 2) / np.sum((t - t.mean()) ** 2)),
    }
    return {
        name: bootstrap_interval(metric, predictions, targets, seed=seed)
        for name, metric in errors.items()
        if name in metrics
    }


def _export(opened: Opened, executor: Executor, job: JobFolder, tested: Tested) -> tuple[str, str]:
    """The folder of the winner's export and, where there is none, why."""
    folder = opened.folder.exports / f"trial-{tested.trial:05d}"
    if (folder / "manifest.json").exists():
        return str(folder), ""
    told = {"study": opened.study.name, "trial": tested.trial, "metrics": _test_metrics(tested)}
    task = next(iter(opened.study.task.alternatives))
    try:
        done = executor.submit(
            export_trial, str(job.root), tested.trial, str(folder), told | {"task": task}
        )
        return str(done.result()), ""
    except UsageError as error:
        return "", str(error)


def _test_metrics(tested: Tested) -> dict[str, Any]:
    return {f"test/{name}": value for name, value in tested.metrics.items()} | {
        "intervals": {name: list(ends) for name, ends in tested.intervals.items()},
        "num_test_rows": tested.num_rows,
    }
