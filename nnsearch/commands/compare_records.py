"""What a comparison reads of a study's records. Knows no text, no test and no picture."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnsearch.commands.chosen import confirmed_of
from nnsearch.commands.result import tested_from_json
from nnsearch.events import Confirmed, Ending, Failed, Finished, Tested, whole_lines
from nnsearch.search.ledger import Ledger, read_ledger
from nnsearch.study.fingerprint import comparable
from nnsearch.study.folder import JobFolder, StudyFolder, read_json
from nnsearch.study.spec import Objective, TrialSpec, digest
from nnsearch.tasks.metrics import has_single_answers

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Compared:
    """A study's records. `best` is its best complete trial, `tested` that trial's look at test.

    `cpu_seconds` is what its workers computed, all cores together; None for older records.
    """

    name: str
    folder: StudyFolder
    record: dict[str, Any]
    objective: Objective
    ledger: Ledger
    best: Finished | None
    tested: Tested | None
    confirmed: Confirmed | None
    num_looks: int
    baseline: float | None
    cpu_seconds: float | None = None

    @property
    def spec(self) -> TrialSpec:
        """The best trial; only to be asked for where there is one."""
        assert self.best is not None  # noqa: S101 - our own mistake
        return self.ledger.specs[self.best.trial]

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, empty for numbers."""
        return tuple(self.record["signature"]["labels"])

    @property
    def seconds(self) -> float:
        """What its trials took together."""
        return sum(map(seconds_of, self.ledger.in_order()))

    @property
    def gpu_seconds(self) -> float:
        """What of that was spent on a GPU."""
        started = self.ledger.started
        return sum(
            seconds_of(each)
            for each in self.ledger.in_order()
            if each.trial in started and not started[each.trial].device.startswith("cpu")
        )

    @property
    def family(self) -> str:
        """Equal for studies that differ in their seed only, and in what they are called."""
        told = comparable(self.record["study"])
        return digest({key: each for key, each in told.items() if key != "seed"})

    @property
    def num_parameters(self) -> int | None:
        """The best trial's weights."""
        started = None if self.best is None else self.ledger.started.get(self.best.trial)
        return None if started is None else started.num_parameters


def seconds_of(ending: Ending) -> float:
    """What a trial took; of one that failed it is not known."""
    return 0.0 if isinstance(ending, Failed) else ending.seconds


def load(folder: StudyFolder) -> Compared:
    """The records of one study."""
    record, ledger = read_json(folder.spec), read_ledger(folder)
    objective = Objective(**record["objective"])
    result = read_json(folder.result) or {"conclusion": {}, "counts": {}}
    best = _winner(ledger, objective, result)
    looks = read_json(folder.looks) or []
    tested = [look for look in map(tested_from_json, looks) if best and look.trial == best.trial]
    return Compared(
        name=folder.root.name,
        folder=folder,
        record=record,
        objective=objective,
        ledger=ledger,
        best=best,
        tested=tested[0] if tested else None,
        confirmed=confirmed_of(folder),
        num_looks=len(looks),
        baseline=result["conclusion"].get("baseline"),
        cpu_seconds=_cpu_seconds(folder),
    )


def _winner(ledger: Ledger, objective: Objective, result: dict[str, Any]) -> Finished | None:
    """The trial that the study chose, or the best so far where it goes on."""
    chosen = result["conclusion"].get("best")
    is_whole = sum(result["counts"].values()) == len(ledger.endings)
    if chosen is not None and is_whole:
        ending = ledger.endings.get(chosen["trial"])
        if isinstance(ending, Finished):
            return ending
    return ledger.best(objective)


def predictions_of(study: Compared, *, of_test: bool) -> tuple[Array, Array] | None:
    """Predictions [N, P] and targets [N] of the best trial, on test or on validation rows.

    None where there are none on the disk, or where an answer is neither one class nor one number.
    """
    if study.best is None:
        return None
    number = study.best.trial
    path = study.folder.test_predictions(number)
    if not of_test:
        path = study.ledger.folder(study.folder, number).predictions
    if not path.exists():
        return None
    with np.load(path) as stored:
        predictions, targets = stored["predictions"], stored["targets"]
    return (
        (predictions, targets) if has_single_answers(predictions, targets, study.labels) else None
    )


def have_same_test(first: Compared, second: Compared) -> bool:
    """Whether the chosen trials of both were looked at on the same rows, with the same labels.

    Columns may have been left out of one: the rows are the same where their places in the source
    and their targets are.
    """
    if first.tested is None or second.tested is None or first.labels != second.labels:
        return False
    hashes = [_test_hashes(each) for each in (first, second)]
    return hashes[0] is not None and hashes[0] == hashes[1]


def groups_of_test(study: Compared) -> Array | None:
    """The group of each test row [N] of a study that has been tested; None where rows stand alone.

    They were kept with the predictions: the test split itself stays closed, but for studies of
    before that was so.
    """
    assert study.best is not None  # noqa: S101 - our own mistake
    path = study.folder.test_predictions(study.best.trial)
    with np.load(path) as stored:
        if "groups" in stored:
            return np.asarray(stored["groups"])
    older = study.folder.prepared(study.record["data"]).array("test", "groups")
    return np.load(older) if older.exists() and not study.folder.test_reads.exists() else None


def _test_hashes(study: Compared) -> tuple[str, str] | None:
    folder = study.folder.prepared(study.record["data"])
    prepared = read_json(folder.record)
    if prepared is None:
        return None
    hashes = prepared["sha256"]
    return hashes[folder.name_of("test", "rows")], hashes[folder.name_of("test", "targets")]


def _cpu_seconds(folder: StudyFolder) -> float | None:
    """What the jobs' processes say that they computed; None where none says anything."""
    told = [
        float(json.loads(line)["cpu_seconds"])
        for job in sorted(folder.jobs.glob("*"))
        for line, _ in whole_lines(JobFolder(job).cost)
    ]
    return sum(told) if told else None
