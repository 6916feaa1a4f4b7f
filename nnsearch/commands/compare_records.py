"""What a comparison reads of a study, and tests of the difference on shared test rows.

Knows no text and no picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nnsearch.commands.result import tested_from_json
from nnsearch.events import Failed, Finished, Tested
from nnsearch.reports.statistics import holm, mcnemar, paired_difference
from nnsearch.search.ledger import Ledger, read_ledger
from nnsearch.study.folder import StudyFolder, read_json
from nnsearch.study.spec import Objective, TrialSpec
from nnsearch.tasks.metrics import class_metrics, number_metrics

Array = npt.NDArray[Any]
# What McNemar's test is about.
ACCURACY = "accuracy"


@dataclass(frozen=True, slots=True)
class Compared:
    """A study's records. `best` is its best complete trial, `tested` that trial's look at test."""

    name: str
    folder: StudyFolder
    record: dict[str, Any]
    objective: Objective
    ledger: Ledger
    best: Finished | None
    tested: Tested | None
    num_looks: int
    baseline: float | None

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
        endings = self.ledger.in_order()
        return sum(each.seconds for each in endings if not isinstance(each, Failed))

    @property
    def num_parameters(self) -> int | None:
        """The best trial's weights."""
        started = None if self.best is None else self.ledger.started.get(self.best.trial)
        return None if started is None else started.num_parameters


@dataclass(frozen=True, slots=True)
class Verdict:
    """Second minus first on the same test rows, with its 95 % interval and a two-sided p-value.

    The p-value is McNemar's where `kind` says so, with the rows that only one of the two gets
    right; both kinds are corrected for their number. `is_more_better`: a greater value is better.
    """

    first: str
    second: str
    kind: Literal["mcnemar", "bootstrap"]
    metric: str
    is_more_better: bool
    value: float
    low: float
    high: float
    p_value: float
    num_rows: int
    only_first: int = 0
    only_second: int = 0


def load(folder: StudyFolder) -> Compared:
    """The records of one study."""
    record, ledger = read_json(folder.spec), read_ledger(folder)
    objective = Objective(**record["objective"])
    best = ledger.best(objective)
    looks = read_json(folder.looks) or []
    tested = [look for look in map(tested_from_json, looks) if best and look.trial == best.trial]
    result = read_json(folder.result) or {"conclusion": {}}
    return Compared(
        name=folder.root.name,
        folder=folder,
        record=record,
        objective=objective,
        ledger=ledger,
        best=best,
        tested=tested[0] if tested else None,
        num_looks=len(looks),
        baseline=result["conclusion"].get("baseline"),
    )


def predictions_of(study: Compared, *, of_test: bool) -> tuple[Array, Array] | None:
    """Predictions [N, P] and targets [N] of the best trial, on test or on validation rows.

    None where there are none on the disk.
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
        return stored["predictions"], stored["targets"]


def have_same_test(first: Compared, second: Compared) -> bool:
    """Whether the chosen trials of both were looked at on the same rows, with the same labels.

    Columns may have been left out of one: the rows are the same where their places in the source
    and their targets are.
    """
    if first.tested is None or second.tested is None or first.labels != second.labels:
        return False
    hashes = [_test_hashes(each) for each in (first, second)]
    return hashes[0] is not None and hashes[0] == hashes[1]


def judge(studies: Sequence[Compared]) -> list[Verdict]:
    """Each study against the first, where both were tested on the same rows."""
    first = studies[0]
    found = [
        verdict
        for other in studies[1:]
        if have_same_test(first, other)
        for verdict in _verdicts(first, other)
    ]
    known = [place for place, each in enumerate(found) if np.isfinite(each.p_value)]
    for place, p_value in zip(known, holm([found[at].p_value for at in known]), strict=True):
        found[place] = replace(found[place], p_value=p_value)
    return found


def _test_hashes(study: Compared) -> tuple[str, str] | None:
    folder = study.folder.prepared(study.record["data"])
    prepared = read_json(folder.record)
    if prepared is None:
        return None
    hashes = prepared["sha256"]
    return hashes[folder.name_of("test", "rows")], hashes[folder.name_of("test", "targets")]


def _verdicts(first: Compared, second: Compared) -> Iterator[Verdict]:
    """McNemar's test for classes; the bootstrap for any other objective that both have."""
    sides = [predictions_of(each, of_test=True) for each in (first, second)]
    if sides[0] is None or sides[1] is None:
        return
    (ours, targets), (theirs, _) = sides[0], sides[1]
    if first.labels:
        yield _mcnemar(first, second, (ours, theirs), targets)
    metric, is_shared = first.objective.metric, first.objective == second.objective
    if is_shared and metric != ACCURACY:
        metrics = class_metrics if first.labels else number_metrics
        if metric in metrics(ours, targets):
            found = paired_difference(
                lambda p, t: metrics(p, t)[metric], theirs, ours, targets, seed=0
            )
            yield Verdict(
                first=first.name,
                second=second.name,
                kind="bootstrap",
                metric=metric,
                is_more_better=first.objective.direction == "maximize",
                value=found.value,
                low=found.low,
                high=found.high,
                p_value=found.p_value,
                num_rows=len(targets),
            )


def _mcnemar(
    first: Compared, second: Compared, sides: tuple[Array, Array], targets: Array
) -> Verdict:
    ours, theirs = (side.argmax(axis=1) for side in sides)
    found = mcnemar(ours, theirs, targets)
    interval = paired_difference(_share_right, theirs, ours, targets, seed=0)
    return Verdict(
        first=first.name,
        second=second.name,
        kind="mcnemar",
        metric=ACCURACY,
        is_more_better=True,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        p_value=found.p_value,
        num_rows=len(targets),
        only_first=found.only_first,
        only_second=found.only_second,
    )


def _share_right(predicted: Array, targets: Array) -> float:
    return float(np.mean(predicted == targets))
