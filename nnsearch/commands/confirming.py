"""Choose the winner: weigh what trainings of the best trials on fresh seeds give.

The best of many trials is the best partly by luck. How much of it is luck shows when the same
configuration is trained again; that is what the winner is chosen by and what it is said to be
worth. Draws nothing and trains nothing.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from nnsearch.commands import errands
from nnsearch.commands.attempts import attempt
from nnsearch.commands.chosen import confirmed_of
from nnsearch.commands.opening import Opened
from nnsearch.commands.retraining import Trainings, open_trainings, train
from nnsearch.events import Confirmed, Event, Finished, Retrained
from nnsearch.executors.processes import Processes
from nnsearch.reports.confirmation import Candidate, agreed, confirm
from nnsearch.study.folder import read_json, write_json
from nnsearch.study.spec import TrialSpec, derived_seed
from nnsearch.training.jobfile import read_job

# At most every fourth trial is a candidate: choosing is not to cost more than searching did.
SHARE = 4
# Trainings of each candidate before those without a chance are let go, and what is no chance.
FIRST_SEEDS = 2
NO_CHANCE = 0.05
# The half-width of a 95 % interval in standard deviations.
HALF_WIDTH = 1.96


def choose(
    opened: Opened, executor: Processes, listen: Callable[[Event], None]
) -> Confirmed | None:
    """The winner among the best trials; None where none is to be confirmed, or none can be.

    Each candidate is trained on two seeds, and on the others those of which there is a chance that
    they are the best; if that is one only, the answer is clear.
    """
    candidates, wanted = _candidates(opened), opened.study.confirmation
    if not wanted.is_wanted or not candidates:
        opened.folder.confirmed.unlink(missing_ok=True)  # of a session that wanted one
        return None
    trainings = open_trainings(opened, candidates, executor, listen)
    train(trainings, candidates, min(FIRST_SEEDS, wanted.seeds))
    weighed = _weigh(trainings)
    left = [each for each in candidates if _has_chance(weighed, each)]
    if len(left) > 1 and wanted.seeds > FIRST_SEEDS:
        train(trainings, left, wanted.seeds)
    deviation, notes = _row_deviation(trainings)
    weighed = _weigh(trainings, deviation)
    return _recorded(trainings, weighed, notes) if weighed else None


def _candidates(opened: Opened) -> list[TrialSpec]:
    """The best trials that differ in what they train, the best first.

    Nobody whose weights `gc` has deleted, for they could not be looked at or exported.
    """
    collected = read_json(opened.folder.collected) or {}
    every = opened.ledger.ranking(opened.objective)
    ranking = [each for each in every if str(each.trial) not in collected]
    different: dict[str, TrialSpec] = {}
    for each in ranking:
        spec = opened.ledger.specs[each.trial]
        different.setdefault(spec.fingerprint, spec)
    most = min(opened.study.confirmation.trials, math.ceil(len(every) / SHARE))
    return list(different.values())[:most]


def _has_chance(weighed: dict[int, Candidate], candidate: TrialSpec) -> bool:
    found = weighed.get(candidate.number)
    return found is not None and found.chance >= NO_CHANCE


def _weigh(trainings: Trainings, row_deviation: float = 0.0) -> dict[int, Candidate]:
    opened = trainings.opened
    values = {each.number: _values(trainings, each) for each in trainings.candidates}
    every = [value for each in values.values() for value in each]
    is_more_better = opened.objective.direction == "maximize"
    return confirm(
        values,
        is_more_better=is_more_better,
        bounds=_bounds(every, is_more_better=is_more_better),
        seed=derived_seed(opened.study.seed, "confirmation"),
        row_deviation=row_deviation,
    )


def _bounds(values: Sequence[float], *, is_more_better: bool) -> tuple[float, float]:
    """Where an interval ends for certain: scores at 1, errors at 0, if none was seen beyond."""
    low = 0.0 if values and min(values) >= 0 else -math.inf
    is_score = is_more_better and values and max(values) <= 1
    return low, 1.0 if is_score else math.inf


def _values(trainings: Trainings, candidate: TrialSpec) -> list[float]:
    """What each training of a candidate is worth; one that came to no number is left out."""
    objective = trainings.opened.objective
    done = trainings.finished(candidate)
    courses = [trainings.ledger.reports(each.number, objective.key) for each in done]
    keeps_best = bool(candidate.training.options.get("restore_best", True))
    values = agreed(
        courses, is_more_better=objective.direction == "maximize", keeps_best=keeps_best
    )
    return [each for each in values if math.isfinite(each)]


def _row_deviation(trainings: Trainings) -> tuple[float, tuple[str, ...]]:
    """How far the choice of the validation rows alone moves such a value; a note where unknown."""
    opened, metric = trainings.opened, trainings.opened.objective.metric
    done = [each for candidate in trainings.candidates for each in trainings.finished(candidate)]
    if not done:
        return 0.0, ()
    first = done[0]
    job = trainings.folder.job(trainings.ledger.jobs[first.number])
    path = job.trial(first.number).predictions
    asked = (opened.study, read_job(job).data, first, str(path))
    seconds = opened.study.search.stall_timeout
    ends, _ = attempt(trainings.executor, errands.weigh_valid, *asked, stall_seconds=seconds)
    if metric not in ends:
        return 0.0, (f"the intervals leave out how few rows judge: {metric} has none of its own",)
    low, high = ends[metric]
    num_valid, num_train = (opened.prepared.num_rows[part] for part in ("valid", "train"))
    num_seeds = len(trainings.of(trainings.candidates[0]))
    num_judging = num_valid
    if opened.study.confirmation.resample:
        num_judging = min(num_seeds * num_valid, num_valid + num_train)
    return (high - low) / 2 / HALF_WIDTH * math.sqrt(num_valid / num_judging), ()


def _recorded(
    trainings: Trainings, weighed: dict[int, Candidate], notes: tuple[str, ...]
) -> Confirmed:
    """What was found, the best first, as it is kept; the same found again keeps its time."""
    opened, folder = trainings.opened, trainings.opened.folder
    sign = 1 if opened.objective.direction == "maximize" else -1

    def merit(each: Retrained) -> tuple[float, float]:
        return sign * each.estimate, sign * each.mean

    known = [each for each in trainings.candidates if each.number in weighed]
    retrained = [_retrained(trainings, each, weighed[each.number]) for each in known]
    ranked = tuple(sorted(retrained, key=merit, reverse=True))
    num_searched = len(opened.ledger.ranking(opened.objective))
    found = Confirmed(ranked[0].trial, time.time(), ranked, num_searched, notes)
    before = confirmed_of(folder)
    if before is not None and replace(before, at=found.at) == found:
        return before
    write_json(folder.confirmed, asdict(found))
    return found


def _retrained(trainings: Trainings, candidate: TrialSpec, found: Candidate) -> Retrained:
    ending = trainings.opened.ledger.endings[candidate.number]
    values = tuple(_values(trainings, candidate))
    return Retrained(
        trial=candidate.number,
        searched=ending.value if isinstance(ending, Finished) else math.nan,
        values=values,
        num_failed=len(trainings.of(candidate)) - len(values),
        **asdict(found),
    )
