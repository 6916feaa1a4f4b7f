"""Train the trials of a group together, epoch by epoch: what `fit` does, for many at once.

Knows no files, no pruner and no process.
"""

import time
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnsearch.events import Epoch
from nnsearch.study.spec import Objective
from nnsearch.training.fit import Kept, valid_metrics
from nnsearch.training.group import Group, restore
from nnsearch.training.group_averages import with_means
from nnsearch.training.group_epoch import Taught, predict_all, train_epoch
from nnsearch.training.patience import Peak, is_over, weigh, with_peak


class Round(NamedTuple):
    """What an epoch brought: an event of each trial that is still whole, in order of numbers.

    `failed` has an error for each trial whose loss became no number, `finished` the trials that end
    now unless they are dropped. `snapshot` takes a checkpoint of this moment.
    """

    events: list[Epoch]
    failed: dict[int, str]
    finished: dict[int, Kept]
    snapshot: Callable[[], dict[str, Any]]


Array = np.ndarray[Any, Any]
Run = Generator[Round, Collection[int], None]


@dataclass(frozen=True, slots=True)
class _Best:
    """A trial's best epoch so far, with its weights [P] and buffers [Q]."""

    epoch: int
    metrics: dict[str, float]
    predictions: np.ndarray[Any, Any]
    peak: Peak
    weights: Tensor
    buffers: Tensor


@dataclass(slots=True)
class _Course:
    """A group under way, and what is remembered of each trial under its number."""

    group: Group
    objective: Objective
    epoch: int = 0
    losses: dict[int, list[float]] = field(default_factory=dict)
    best: dict[int, _Best] = field(default_factory=dict)
    enough: float | None = None


def fit_many(
    group: Group,
    objective: Objective,
    past: dict[str, Any] | None = None,
    *,
    enough: float | None = None,
) -> Run:
    """Train, yielding a `Round` after each epoch; send the numbers of the trials to drop.

    Trials that failed or finished leave without being named; one ends where its objective reaches
    `enough`. `past` is a snapshot to go on from.
    """
    course = _begin(group, objective, past)
    course.enough = enough
    while course.group.members:
        course.epoch += 1
        start = time.perf_counter()
        taught = train_epoch(course.group, course.epoch, course.losses)
        course.group = _without(course.group, taught.broken)
        with with_means(course.group, course.epoch):
            metrics = _evaluate(course, taught)
        seconds = (time.perf_counter() - start) / len(taught.losses)
        events = [
            Epoch(number, course.epoch, time.time(), seconds, metrics[number])
            for number in sorted(metrics)
        ]
        failed = {
            number: f"non-finite loss at step {step}" for number, step in taught.broken.items()
        }
        finished = _finished(course)
        dropped = yield Round(events, failed, finished, lambda: _snapshot(course))
        course.group = _without(course.group, {*dropped, *finished})


def _begin(group: Group, objective: Objective, past: dict[str, Any] | None) -> _Course:
    if past is None:
        losses: dict[int, list[float]] = {member.number: [] for member in group.members}
        return _Course(group, objective, 0, losses)
    best = {
        number: _Best(
            **{**with_peak(fields, objective), "predictions": fields["predictions"].numpy()}
        )
        for number, fields in past["best"].items()
    }
    device = group.weights.values.device
    state = {key: _moved(value, device) for key, value in past["group"].items()}
    return _Course(restore(group, state), objective, past["epoch"], past["losses"], best)


def _without(group: Group, numbers: Collection[int]) -> Group:
    kept = [index for index, each in enumerate(group.members) if each.number not in numbers]
    return group if len(kept) == len(group.members) else group.keep(kept)


def _evaluate(course: _Course, taught: Taught) -> dict[int, dict[str, float]]:
    """Every metric of each member after this epoch; what is better than before is kept."""
    found: dict[int, dict[str, float]] = {}
    group = course.group
    answers = list(predict_all(group)) if group.members else []
    scores = _metrics(group, [predictions for predictions, _ in answers])
    for index, (member, (predictions, loss)) in enumerate(zip(group.members, answers, strict=True)):
        number = member.number
        found[number] = {
            "train/loss": taught.losses[number],
            "valid/loss": loss,
            "lr": taught.rates[number],
            **valid_metrics(scores[index]),
        }
        course.losses[number].append(loss)
        key, best = course.objective.key, course.best.get(number)
        before = None if best is None else (best.metrics[key], best.peak)
        reached = course.epoch, found[number][key]
        is_kept, peak = weigh(member.recipe, course.objective, reached, before)
        if is_kept:
            arrays = group.weights.values[index].clone(), group.weights.buffers[index].clone()
            course.best[number] = _Best(course.epoch, found[number], predictions, peak, *arrays)
    return found


def _metrics(group: Group, predictions: Sequence[Array]) -> list[dict[str, float]]:
    many = group.members[0].material.task.metrics_many if group.members else None
    if many is not None:
        return many(np.stack(predictions), group.material.valid_raw)
    pairs = zip(group.members, predictions, strict=True)
    return [each.material.task.metrics(made, each.material.valid_raw) for each, made in pairs]


def _finished(course: _Course) -> dict[int, Kept]:
    finished = {}
    for member in course.group.members:
        best = course.best[member.number]
        is_enough = course.objective.reaches(best.metrics[course.objective.key], course.enough)
        if is_over(member.recipe, course.epoch, best_epoch=best.peak[0], is_enough=is_enough):
            weights = course.group.state_dict(best.weights, best.buffers)
            finished[member.number] = Kept(
                best.epoch, best.metrics, best.predictions, weights, best.peak
            )
    return finished


def _snapshot(course: _Course) -> dict[str, Any]:
    numbers = {member.number for member in course.group.members}
    best = {
        number: {**asdict(each), "predictions": torch.from_numpy(each.predictions)}
        for number, each in course.best.items()
        if number in numbers
    }
    losses = {number: course.losses[number] for number in sorted(numbers)}
    return {"group": course.group.state(), "epoch": course.epoch, "losses": losses, "best": best}


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _moved(each, device) for key, each in value.items()}
    return [_moved(each, device) for each in value] if isinstance(value, list) else value
