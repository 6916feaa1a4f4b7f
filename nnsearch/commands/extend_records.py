"""Take a study's records over into a new study of a wider space. Changes nothing of the old one.

Large files, which are never changed once they are written, are linked where the file system can.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nnsearch.commands.opening import open_study, prepare_data
from nnsearch.errors import UsageError
from nnsearch.search.ledger import read_ledger
from nnsearch.study.folder import NEVER_CHANGED, JobFolder, StudyFolder, write_whole
from nnsearch.study.limits import limits_of
from nnsearch.study.recorded import recorded_limits, recorded_objective, recorded_objectives
from nnsearch.study.spec import Study, TrialSpec
from nnsearch.training.jobfile import read_job, write_job


def clear(folder: StudyFolder) -> None:
    """Remove what an attempt that was killed left behind; the caller holds the study's lock."""
    shutil.rmtree(folder.jobs, ignore_errors=True)
    for path in (
        folder.trials,
        folder.looks,
        folder.test_reads,
        folder.collected,
        folder.parent_record,
    ):
        path.unlink(missing_ok=True)


def take_over(
    old: StudyFolder,
    new: StudyFolder,
    study: Study,
    *,
    specs: Mapping[int, TrialSpec],
    record: Mapping[str, Any],
) -> None:
    """Fill the folder of the new study: jobs, looks at the test split, trials, then its record.

    Raises UsageError where the data or the objective is not the old study's.
    """
    prepared = prepare_data(study, new)
    if prepared.fingerprint != record["data"]:
        raise UsageError(
            f"the rows or their split are not those that '{old.root.name}' was trained on.",
            "Only the space may change: take the change back, or begin a new study.",
        )
    for job in sorted(old.jobs.glob("[0-9]*")):
        _take_job(JobFolder(job), new.job(job.name), specs, data=prepared.folder, root=study.root)
    for path in (old.looks, old.test_reads, old.collected, *old.all_test_predictions()):
        if path.exists():
            shutil.copy2(path, new.root / path.name)
    batches = read_ledger(old).batches
    lines = [json.dumps([asdict(specs[number]) for number in batch]) + "\n" for batch in batches]
    write_whole(new.trials, lambda draft: draft.write_text("".join(lines), encoding="utf-8"))
    opened = open_study(study, new)
    if opened.objective != recorded_objective(record):
        new.spec.unlink()
        raise UsageError(
            f"the objective is {opened.objective.key}, not that of '{old.root.name}'.",
            "Only the space may change.",
        )
    objectives = (opened.objective, *opened.prepared.others)
    has_other_limits = limits_of(study) != recorded_limits(record)
    if objectives != recorded_objectives(record) or has_other_limits:
        new.spec.unlink()
        raise UsageError(
            f"the objectives or the constraints are not those of '{old.root.name}'.",
            "Only the space may change.",
        )


def _take_job(
    old: JobFolder, new: JobFolder, specs: Mapping[int, TrialSpec], *, data: Path, root: Path
) -> None:
    """A job with all that it left; what it was given is written anew."""
    for path in sorted(old.root.rglob("*")):
        target = new.root / path.relative_to(old.root)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif path != old.spec and not path.name.endswith(".tmp"):
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, target)
    if old.spec.exists():
        job = read_job(old)
        trials = tuple(specs[each.number] for each in job.trials)
        write_job(new, replace(job, trials=trials, data=data, code=root.resolve()))


def _copy(path: Path, target: Path) -> None:
    if path.suffix in NEVER_CHANGED:
        try:
            os.link(path, target)
        except OSError:  # another file system, or one without links
            shutil.copy2(path, target)
    else:
        shutil.copy2(path, target)
