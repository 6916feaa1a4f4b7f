"""Cross-validation: the trials of a job on further divisions of their rows. Divides none itself.

Each division has a folder of its own below the job's, kept like a job's: so what was trained there
is not trained again, and trials of one shape train together there too.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from nnsearch.events import Ending, Failed, Finished
from nnsearch.study.folder import JobFolder
from nnsearch.study.spec import FOLDS
from nnsearch.training.account import Account, held, record
from nnsearch.training.jobfile import Job, recorded, write_job


def train_on_folds(job: Job, account: Account, run: Callable[[JobFolder], None]) -> None:
    """Train what the job has finished on each further division; record the means as its values.

    `run` trains the job of a folder. A trial that fails on one division has failed.
    """
    told = {each.trial for each in recorded(account.folder) if isinstance(each, Ending)}
    waiting = {number: each for number, each in held(account.folder).items() if number not in told}
    trials = tuple(each for each in job.trials if each.number in waiting)
    found: dict[int, list[Ending]] = {number: [each] for number, each in waiting.items()}
    for place, data in enumerate(job.folds, start=1):
        folder = account.folder.fold(place)
        if trials and not folder.spec.exists():
            write_job(folder, Job(trials, data, job.code, job.objective))
        if trials:
            run(folder)
        for each in recorded(folder):
            if isinstance(each, Ending) and each.trial in found:
                found[each.trial].append(each)
    endings = [_mean(waiting[number], found[number]) for number in sorted(found)]
    if endings:
        record(replace(account, holds=False), *endings)


def _mean(first: Finished, found: Sequence[Ending]) -> Ending:
    """The ending of a trial whose divisions ended like this."""
    for place, each in enumerate(found, start=1):
        if not isinstance(each, Finished):
            error = each.error if isinstance(each, Failed) else "it was not trained to its end"
            return Failed(first.trial, time.time(), f"on division {place} of the rows: {error}")
    values = [each.value for each in found if isinstance(each, Finished)]
    metrics = {f"{FOLDS}{place}": value for place, value in enumerate(values, start=1)}
    metrics[f"{FOLDS}deviation"] = statistics.stdev(values)
    value = math.fsum(values) / len(values)
    seconds = sum(each.seconds for each in found if isinstance(each, Finished))
    return replace(
        first, at=time.time(), value=value, seconds=seconds, metrics=first.metrics | metrics
    )
