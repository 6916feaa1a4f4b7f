"""The end of a study: the baseline, the winner's one look at the test split, its export."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from nnsearch.commands import errands
from nnsearch.commands.attempts import attempt
from nnsearch.commands.export import facts, recorded_look
from nnsearch.commands.opening import Opened, first_literals, plain_training
from nnsearch.commands.result import Conclusion, Listen
from nnsearch.data.sealed import reads, refuse_reopening
from nnsearch.errors import UsageError
from nnsearch.events import Confirmed, Finished, Tested
from nnsearch.executors.processes import Processes
from nnsearch.exporting.standalone import MANIFEST
from nnsearch.study.fingerprint import to_json
from nnsearch.study.folder import JobFolder, read_json, write_json
from nnsearch.study.spec import Component, TrialSpec, derived_seed
from nnsearch.training.jobfile import Job, recorded, write_job

BASELINE = "baseline"
BASELINE_RATE = 0.01


@dataclass(frozen=True, slots=True)
class Finishers:
    """Two workers for the end, each with what its part takes imported beforehand.

    `reporter` works out intervals and writes the report, `exporter` writes the export.
    """

    reporter: Processes
    exporter: Processes


def start_baseline(opened: Opened, executor: Processes) -> Callable[[], None]:
    """Submit the plain model that the search is compared with; what returns waits for it.

    It costs one small trial.
    """
    folder = opened.folder.job(BASELINE)
    if not folder.spec.exists():
        spec = TrialSpec(
            number=0,
            seed=derived_seed(opened.study.seed, BASELINE),
            params={},
            task=first_literals(opened.study.task),
            model=Component(opened.prepared.baseline),
            optimizer=Component("adam", {"lr": BASELINE_RATE}),
            schedule=Component("constant"),
            training=plain_training(opened.study),
            transforms=tuple(first_literals(space) for space in opened.study.transforms),
            uid=BASELINE,
        )
        data, code = opened.prepared.folder, opened.study.root.resolve()
        write_job(folder, Job((spec,), data, code, opened.objective, folds=opened.prepared.folds))
    root, seconds = str(folder.root), opened.study.search.stall_timeout
    begun = executor.submit(errands.train, root)
    return lambda: attempt(executor, errands.train, root, stall_seconds=seconds, begun=begun)


def baseline_value(folder: JobFolder) -> float | None:
    """The baseline's validation value, or None where it failed."""
    endings = [each for each in recorded(folder) if isinstance(each, Finished)]
    return endings[0].value if endings else None


def conclude(
    opened: Opened,
    executor: Processes,
    best: Finished,
    confirmed: Confirmed | None = None,
    *,
    finishers: Finishers,
    listen: Listen,
    may_reopen: bool = False,
) -> Conclusion:
    """Look at the test split once, with the winner, and export it.

    `best` is the winner, and `confirmed` how it was chosen, if it was confirmed. `listen` is told
    of the look before the export, so that MLflow has it while the model is being exported.

    A study that went on and found another winner looks again only where `may_reopen` says so, and
    says how often it did; else it raises UsageError.
    """
    job = opened.folder.job(opened.ledger.jobs[best.trial])
    looks = read_json(opened.folder.looks) or []
    tested = recorded_look(opened.folder, best.trial)
    if tested is None:
        before = {each["trial"] for each in looks} | {
            each.trial for each in reads(opened.folder.test_reads)
        }
        refuse_reopening(sorted(before - {best.trial}), best.trial, may_reopen=may_reopen)
        tested = _look(opened, job, best, looker=executor, weigher=finishers.reporter)
        looks.append(asdict(tested))
        write_json(opened.folder.looks, looks)
    listen(tested)
    told = facts(to_json(opened.study), best.trial, best.metrics, tested)
    export, problem = _export(opened, finishers.exporter, job, told)
    baseline = baseline_value(opened.folder.job(BASELINE))
    rival = opened.prepared.baseline
    return Conclusion(best, tested, len(looks), baseline, export, problem, rival, confirmed)


def _look(
    opened: Opened, job: JobFolder, best: Finished, *, looker: Processes, weigher: Processes
) -> Tested:
    path = opened.folder.test_predictions(best.trial)
    seconds = opened.study.search.stall_timeout
    asked = (str(job.root), best.trial, str(path), str(opened.folder.test_reads))
    metrics = attempt(looker, errands.look, *asked, stall_seconds=seconds)
    trial = opened.ledger.specs[best.trial]
    weighed = (opened.study, opened.prepared.folder, trial, str(path))
    ends, notes = attempt(weigher, errands.weigh_test, *weighed, stall_seconds=seconds)
    num_rows = opened.prepared.num_rows["test"]
    return Tested(best.trial, time.time(), metrics, ends, num_rows, notes)


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
        return attempt(executor, errands.export, *asked, stall_seconds=seconds), ""
    except UsageError as error:
        return "", str(error)
