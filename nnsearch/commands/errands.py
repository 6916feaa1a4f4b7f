"""What the driver has its workers do, as functions that are found by name.

Each loads what it needs when it runs, in a worker, where torch is loaded already: so the driver
itself gets by without, and is at work a second sooner.
"""

import importlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from nnsearch.commands.opening import Inspected
from nnsearch.study.folder import StudyFolder
from nnsearch.study.spec import Study, TrialSpec, derived_seed

# What an export takes besides, in the order of its need; two are packages of an extra.
EXPORTING = ("nnsearch.exporting.folder", "torch.onnx.utils", "onnx", "onnxruntime")

# The ends of the 95 % interval of each metric that has one, and notes on the others.
Weighed = tuple[dict[str, tuple[float, float]], tuple[str, ...]]


def load(path: Path, overrides: Sequence[str], allow_code: bool) -> Study:  # noqa: FBT001 - by name
    """The study in a file, checked; raises what `load_study` does."""
    from nnsearch.study.load import load_study

    return load_study(path, overrides=overrides, allow_code=allow_code)


def inspect(study: Study, folder: StudyFolder) -> Inspected:
    """Prepare the study's data; raises what `opening.inspect` does."""
    from nnsearch.commands import opening

    return opening.inspect(study, folder)


def redivide(study: Study, data: Path) -> list[Path]:
    """As many other divisions of a study's train and valid as its confirmation has seeds."""
    from nnsearch.data.redivided import redivide as redivide_rows

    count = study.confirmation.seeds
    return redivide_rows(data, study.split, seed=study.seed, count=count)


def train(root: str) -> None:
    """Run the job in the folder `root`."""
    from nnsearch.training.job import run_job

    run_job(root)


def look(root: str, trial: int, path: str, record: str) -> dict[str, float]:
    """Look at the test split with a trial of the job in `root`; whether it may was asked before."""
    from nnsearch.training.examine import look_at_test

    return look_at_test(root, trial, path, record, may_reopen=True)


def weigh_test(study: Study, data: Path, trial: TrialSpec, path: str) -> Weighed:
    """How sure each metric of a trial's task is of the test predictions in `path`."""
    with np.load(path) as stored:
        arrays = tuple(stored.get(name) for name in ("predictions", "targets", "groups"))
    return _weighed(study, data, trial, arrays)


def weigh_valid(study: Study, data: Path, trial: TrialSpec, path: str) -> Weighed:
    """The same of predictions of the validation split of `data`."""
    from nnsearch.data.prepare import open_part

    with np.load(path) as stored:
        arrays = stored["predictions"], stored["targets"], open_part(data, "valid").groups
    return _weighed(study, data, trial, arrays)


def _weighed(study: Study, data: Path, trial: TrialSpec, arrays: tuple[Any, ...]) -> Weighed:
    from nnsearch.commands.opening import study_task
    from nnsearch.reports.intervals import metric_intervals

    predictions, targets, groups = arrays
    seed = derived_seed(study.seed, "intervals", trial.number)
    metrics = study_task(study, data, trial.task).metrics
    found = metric_intervals(metrics, predictions, targets, seed=seed, groups=groups)
    return dict(found.ends), found.notes


def export(job: str, trial: int, folder: str, told: dict[str, Any]) -> str:
    """Write the export of a finished trial into `folder`."""
    from nnsearch.commands.export import export_trial

    return export_trial(job, trial, folder, told)


def get_ready_to_export() -> None:
    """Load what an export takes."""
    for name in EXPORTING:
        with suppress(ImportError):  # packages of an extra: the export says what it lacks
            importlib.import_module(name)


def get_ready_to_report() -> None:
    """Load what intervals and a report take."""
    importlib.import_module("nnsearch.commands.report")


def report(name: str, home: Path) -> Path:
    """Write the report of a study."""
    from nnsearch.commands.report import report as write_report

    return write_report(name, home)
