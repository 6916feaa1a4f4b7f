"""Judge a running trial against the finished ones. Knows no executor and no files.

A trial is judged against itself and the trials whose results its batch was drawn from, never
against those that happen to run beside it: so the verdict does not depend on the clock.
"""

from dataclasses import dataclass, field

import optuna
from optuna.trial import Trial

from nnsearch.events import Failed
from nnsearch.search.asking import state_of
from nnsearch.search.ledger import Ledger
from nnsearch.search.pruners import Pruning
from nnsearch.search.window import Window
from nnsearch.study.spec import Objective

MOST_RIVALS = 500
# The judge shows what it names and nothing else: no study has so many trials.
MOST_TRIALS = 1 << 40


@dataclass(frozen=True, slots=True)
class Judge:
    """An Optuna study for pruning alone: its trials carry our numbers and no parameters."""

    pruning: Pruning
    objective: Objective
    storage: Window
    study: optuna.Study
    study_id: int
    ids: list[int] = field(default_factory=list)
    reported: dict[int, set[int]] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)

    def keep(self, ledger: Ledger, number: int, epoch: int, seen: range) -> bool:
        """Whether trial `number` may go on after `epoch`.

        It is compared with the latest 500 of those in `seen`, which begin with the first.
        """
        self._tell(ledger, seen)
        self._report(ledger, number, epoch)
        self.storage.shown = [*seen[-MOST_RIVALS:], number]
        trial = self.storage.get_trial(self.ids[number])
        return not (self.pruning.pruner and self.pruning.pruner.prune(self.study, trial))

    def recall(self, ledger: Ledger, number: int, seen: range) -> dict[tuple[int, int], bool]:
        """Judge a recorded trial again at each rung it reached; the verdict of each."""
        reached = [epoch for epoch in self.pruning.rungs if epoch in ledger.epochs[number]]
        return {(number, epoch): self.keep(ledger, number, epoch, seen) for epoch in reached}

    def _trial(self, number: int) -> Trial:
        while len(self.ids) <= number:
            self.ids.append(self.storage.create_new_trial(self.study_id))
        return Trial(self.study, self.ids[number])

    def _report(self, ledger: Ledger, number: int, epoch: int) -> None:
        trial, done = self._trial(number), self.reported.setdefault(number, set())
        for each in sorted(ledger.epochs[number]):
            if each <= epoch and each not in done:
                done.add(each)
                trial.report(ledger.epochs[number][each].metrics[self.objective.key], each)

    def _tell(self, ledger: Ledger, seen: range) -> None:
        for number in seen[len(self.told) :]:
            self.told.append(number)
            self._report(ledger, number, max(ledger.epochs[number], default=0))
            ending = ledger.endings[number]
            value = None if isinstance(ending, Failed) else ending.value
            values = None if value is None else [value]
            self.storage.set_trial_state_values(self.ids[number], state_of(ending), values)


def make_judge(pruning: Pruning, objective: Objective, name: str) -> Judge:
    """A judge that knows of no trial yet; Hyperband's brackets depend on the study's `name`."""
    storage = Window()
    storage.since = MOST_TRIALS
    study = optuna.create_study(study_name=name, storage=storage, direction=objective.direction)
    study_id = storage.get_study_id_from_name(name)
    return Judge(pruning, objective, storage, study, study_id)
