"""Which earlier trials a sampler and a pruner look at. Knows no executor and no files.

What Optuna's estimators cost grows with the trials they see, so they are shown a bounded number,
chosen from the results alone: the same trials give the same choice, whatever the clock said.
"""

from collections.abc import Container, Sequence
from copy import deepcopy as deep_copy

from optuna import Study
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from nnsearch.search.front import front
from nnsearch.study.spec import Direction

MOST_SEEN, BEST_SEEN = 500, 25


class Window(InMemoryStorage):
    """A storage in memory that shows only its trials `shown`, and those from `since` on."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: Sequence[int] = ()
        self.since = 0

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 - Optuna's own signature
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Optuna's own list, less what is not to be seen."""
        every = super().get_all_trials(study_id, deepcopy=False)
        trials = every[self.since :]
        if states != (TrialState.WAITING,):  # those were put in the queue just now
            trials = [every[number] for number in self.shown] + trials
        if states is not None:
            trials = [each for each in trials if each.state in states]
        return deep_copy(trials) if deepcopy else trials

    def every_trial(self, study: Study) -> list[FrozenTrial]:
        """The trials of a study, seen or not."""
        return super().get_all_trials(self._identity(study), deepcopy=False)

    def identity(self, study: Study, number: int) -> int:
        """What the storage calls a trial of a study, for Optuna's own calls."""
        return self.get_trial_id_from_study_id_trial_number(self._identity(study), number)

    def _identity(self, study: Study) -> int:
        return self.get_study_id_from_name(study.study_name)


def worth_seeing(trials: Sequence[FrozenTrial], *directions: Direction) -> list[int]:
    """At most 500 of the ended trials, by number, and every trial that is under way.

    The 25 best complete ones, and of the others as many as are left, evenly spread from the first
    to the last. Of 250 and more Optuna's TPE takes the best 25 for good ones, which are all there;
    its picture of the others needs a sample, and one that is not better than they are.

    Of several objectives, one direction each, the best are those of the Pareto front, and a trial
    that breaks a constraint is none of the best.
    """
    ended = [each for each in trials if each.state in {TrialState.COMPLETE, TrialState.PRUNED}]
    running = [each.number for each in trials if each.state == TrialState.RUNNING]
    if len(ended) <= MOST_SEEN:
        return sorted([*running, *(each.number for each in ended)])
    complete = [each for each in ended if each.state == TrialState.COMPLETE and _is_feasible(each)]
    best = set(_best(complete, directions))
    others = [each.number for each in ended if each.number not in best]
    room = MOST_SEEN - len(best)
    spread = {others[place * len(others) // room] for place in range(room)}
    return sorted({*running, *best, *spread})


def _best(trials: Sequence[FrozenTrial], directions: Sequence[Direction]) -> list[int]:
    """The numbers of the 25 best, or of that many of the front, evenly spread along it."""
    sign = -1.0 if directions[0] == "maximize" else 1.0
    ranked = sorted(trials, key=lambda each: (sign * each.values[0], each.number))
    if len(directions) > 1:
        kept = front([each.values for each in ranked], directions)
        room = min(BEST_SEEN, len(kept))
        ranked = [ranked[kept[place * len(kept) // room]] for place in range(room)]
    return [each.number for each in ranked[:BEST_SEEN]]


def _is_feasible(trial: FrozenTrial) -> bool:
    return all(each <= 0 for each in trial.constraints.values())
