"""What a study has asked for and what became of it, read from its records. Knows no Optuna.

The records are `trials.jsonl`, a batch of trials a line, and each job's events. Everything else,
Optuna's store and MLflow's included, is made from them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from nnsearch import events
from nnsearch.events import Asked, Ending, Epoch, Event, Failed, Finished, Pruned, Started
from nnsearch.search.front import front
from nnsearch.study.folder import StudyFolder, TrialFolder
from nnsearch.study.spec import COST, Objective, TrialSpec


@dataclass(frozen=True, slots=True)
class Ledger:
    """The trials of a study by number; `batches` holds the numbers that were asked together."""

    batches: list[list[int]] = field(default_factory=list)
    specs: dict[int, TrialSpec] = field(default_factory=dict)
    jobs: dict[int, str] = field(default_factory=dict)
    started: dict[int, Started] = field(default_factory=dict)
    epochs: dict[int, dict[int, Epoch]] = field(default_factory=dict)
    endings: dict[int, Ending] = field(default_factory=dict)
    fingerprints: dict[str, int] = field(default_factory=dict)
    batch_of: dict[int, int] = field(default_factory=dict)
    _over: list[int] = field(default_factory=lambda: [0])

    def add_batch(self, specs: Sequence[TrialSpec]) -> None:
        """Take in trials that were asked for together; their numbers follow the last one's."""
        self.batches.append([each.number for each in specs])
        for each in specs:
            self.batch_of[each.number] = len(self.batches) - 1
            self.specs[each.number] = each
            self.epochs[each.number] = {}
            self.fingerprints.setdefault(each.fingerprint, each.number)

    def take(self, event: Event) -> bool:
        """Take in a worker's event; whether it says something new."""
        if isinstance(event, Epoch):
            is_new = event.epoch not in self.epochs[event.trial]
            self.epochs[event.trial].setdefault(event.epoch, event)
            return is_new
        if isinstance(event, Ending):
            is_new = event.trial not in self.endings
            self.endings.setdefault(event.trial, event)
            return is_new
        if isinstance(event, Started):
            self.started.setdefault(event.trial, event)
        return True

    def has_ended(self, numbers: Sequence[int]) -> bool:
        """Whether each of these trials has."""
        return all(number in self.endings for number in numbers)

    def num_over(self) -> int:
        """How many batches, from the first on, have ended to the last trial."""
        while self._over[0] < len(self.batches) and self.has_ended(self.batches[self._over[0]]):
            self._over[0] += 1
        return self._over[0]

    def ranking(self, objective: Objective) -> list[Finished]:
        """The complete trials from the best value to the worst; of equal ones the first first.

        Those that break a constraint are not among them.
        """
        # A reversed sort keeps the order of equal values too.
        is_falling = objective.direction == "maximize"
        return sorted(self.feasible(), key=_value, reverse=is_falling)

    def best(self, objective: Objective) -> Finished | None:
        """The feasible trial of the best value; of equal ones the first."""
        ranking = self.ranking(objective)
        return ranking[0] if ranking else None

    def feasible(self) -> list[Finished]:
        """The complete trials that break no constraint, by number."""
        complete = (each for each in self.in_order() if isinstance(each, Finished))
        return [each for each in complete if each.is_feasible]

    def infeasible(self) -> list[Finished | Pruned]:
        """The trials that break a constraint, by number; some of them were never trained."""
        ended = (each for each in self.in_order() if not isinstance(each, Failed))
        return [each for each in ended if not each.is_feasible]

    def front(self, objectives: Sequence[Objective]) -> list[Finished]:
        """The feasible trials that no other beats in every objective, the best by the first first.

        Of trials that are equal in all of them the first is there.
        """
        ranking = self.ranking(objectives[0])
        points = [values_of(each, objectives) for each in ranking]
        return [ranking[index] for index in front(points, [o.direction for o in objectives])]

    def in_order(self) -> list[Ending]:
        """The endings so far, by number."""
        return [self.endings[number] for number in sorted(self.endings)]

    def reports(self, number: int, key: str) -> dict[int, float]:
        """The value of metric `key` after each epoch of a trial."""
        return {epoch: each.metrics[key] for epoch, each in self.epochs[number].items()}

    def measured(self, number: int) -> dict[str, float]:
        """What is known of an ended trial: its metrics and costs, or its size alone."""
        ending, started = self.endings.get(number), self.started.get(number)
        if isinstance(ending, Finished):
            return ending.metrics
        return {} if started is None else {f"{COST}parameters": float(started.num_parameters)}

    def folder(self, study: StudyFolder, number: int) -> TrialFolder:
        """Where the files of a trial lie."""
        return study.job(self.jobs[number]).trial(number)


def values_of(ending: Finished, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """A complete trial's value of each objective."""
    return (ending.value, *(ending.metrics[each.key] for each in objectives[1:]))


def _value(ending: Finished) -> float:
    return ending.value


def read_ledger(folder: StudyFolder) -> Ledger:
    """The ledger that the study's records add up to; an empty one where there are none."""
    ledger = Ledger()
    for line, _ in events.whole_lines(folder.trials):
        ledger.add_batch([TrialSpec.from_json(each) for each in json.loads(line)])
    for name in sorted(each.name for each in folder.jobs.glob("[0-9]*")):
        job = folder.job(name)
        spec = json.loads(job.spec.read_text()) if job.spec.exists() else {"trials": []}
        for trial in spec["trials"]:
            ledger.jobs[trial["number"]] = name
        for line, _ in events.whole_lines(job.events):
            ledger.take(events.from_line(line))
    return ledger


def record_batch(folder: StudyFolder, specs: Sequence[TrialSpec]) -> None:
    """Write a batch down, on the disk when this returns: from here on its trials exist."""
    line = json.dumps([asdict(each) for each in specs]) + "\n"
    events.append_lines(folder.trials, [line], sync=True)


def asked(spec: TrialSpec) -> Asked:
    """The event that tells listeners of a trial."""
    return Asked(spec.number, spec.uid, spec.seed, dict(spec.params), spec.config())


def replay(ledger: Ledger) -> Iterator[Event]:
    """Every recorded event in the order of the trials: what listeners see of the past."""
    for number, spec in sorted(ledger.specs.items()):
        yield asked(spec)
        if number in ledger.started:
            yield ledger.started[number]
        yield from (event for _, event in sorted(ledger.epochs[number].items()))
        if number in ledger.endings:
            yield ledger.endings[number]
