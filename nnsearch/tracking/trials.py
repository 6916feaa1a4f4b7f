"""What the events say of each trial, and under which names it is tracked.

Knows no store: everything here is pure, and a repeated event changes nothing.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from nnsearch.events import (
    Asked,
    Confirmed,
    Confirming,
    Ending,
    Epoch,
    Event,
    Failed,
    Finished,
    Pruned,
    Scalar,
    Started,
    Tested,
)
from nnsearch.study.limits import exceeded
from nnsearch.study.spec import COST

STATES: dict[type[Ending], tuple[str, str]] = {
    Finished: ("complete", "FINISHED"),
    Pruned: ("pruned", "KILLED"),
    Failed: ("failed", "FAILED"),
}
MAX_NAME = 250
MAX_PARAM = 6000
_WORDS = {"+": "plus", "&": "and", "%": "percent", "'": "", '"': ""}


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial as far as it is known. `epochs` keeps the first record of each epoch."""

    asked: Asked
    started: Started | None = None
    epochs: dict[int, Epoch] = field(default_factory=dict)
    ending: Ending | None = None

    @property
    def has_begun(self) -> bool:
        """Whether anything has happened to it but being asked for."""
        return self.started is not None or bool(self.epochs) or self.ending is not None

    @property
    def at(self) -> float:
        """When it began, in seconds since 1970, by its own events."""
        if self.started:
            return self.started.at
        if self.epochs:
            return min(each.at - each.seconds for each in self.epochs.values())
        return self.ending.at if self.ending else 0.0


def note(trials: dict[int, Trial], event: Event) -> bool:
    """Enter an event into `trials`; False where nobody asked for the trial it speaks of.

    The first `Started`, the first record of each epoch and the first ending count: a trial that
    goes on from its checkpoint repeats epochs, with the same values at other times.
    """
    if isinstance(event, Confirming | Confirmed | Tested):
        return True
    if isinstance(event, Asked):
        trials.setdefault(event.trial, Trial(event))
        return True
    trial = trials.get(event.trial)
    if trial is None:
        return False
    if isinstance(event, Epoch):
        trial.epochs.setdefault(event.epoch, event)
    elif isinstance(event, Started):
        trials[event.trial] = replace(trial, started=trial.started or event)
    else:
        trials[event.trial] = replace(trial, ending=trial.ending or event)
    return True


def params(asked: Asked) -> dict[str, str]:
    """Every option of a trial as text, the searched ones under their dotted names too."""
    return {slug(name): text(value) for name, value in {**asked.config, **asked.params}.items()}


def text(value: Scalar) -> str:
    """A value as MLflow stores it: floats so that they come back bit for bit."""
    return str(value)[:MAX_PARAM]


@lru_cache(maxsize=4096)
def slug(name: str) -> str:
    """`name` where MLflow takes it, else a name that it takes and that no other name gets.

    >>> slug("valid/recall/C++")
    'valid/recall/Cplusplus-3a41'
    """
    words = "".join(_WORDS.get(each, each) for each in name)
    parts = re.sub(r"[^\w./ :-]+", "_", words).split("/")
    tidy = "/".join(part if part.strip(". ") else "_" for part in parts)
    if tidy == name == posixpath.normpath(name) and len(name) <= MAX_NAME:
        return name
    return f"{tidy[: MAX_NAME - 5]}-{hashlib.sha256(name.encode()).hexdigest()[:4]}"


def renamed(names: Iterable[str]) -> dict[str, str]:
    """The names that `slug` changed: what MLflow calls them, and what they are."""
    return {slug(name): name for name in names if slug(name) != name}


def closing_metrics(trial: Trial) -> dict[str, float]:
    """The single values of a trial that has ended.

    Only a complete trial has an `objective`, so that runs sorted by it are never led by one that
    was pruned.
    """
    ending = trial.ending
    metrics: dict[str, float] = {}
    if isinstance(ending, Finished | Pruned):
        metrics["train_seconds"] = ending.seconds
    if isinstance(ending, Finished):
        metrics["objective"] = ending.value
        metrics["best_epoch"] = ending.epoch
        # A name that sorts last: MLflow shows the groups of a run's charts by name, and these are
        # bars of one value where the others are curves.
        # A cost is of the trial as a whole and has no curve.
        for name, value in ending.metrics.items():
            if "/" in name:
                metrics[name if name.startswith(COST) else f"when_best/{name}"] = value
    if trial.started and trial.started.num_parameters:
        metrics["num_parameters"] = trial.started.num_parameters
    return metrics


def closing_tags(trial: Trial) -> dict[str, str]:
    """The tags of a trial that has ended: its state, and why it did not complete."""
    ending = trial.ending
    if ending is None:
        return {}
    tags = {"nnsearch.state": STATES[type(ending)][0]}
    if not isinstance(ending, Failed) and ending.excess:
        tags["nnsearch.feasible"] = str(ending.is_feasible).lower()
        if not ending.is_feasible:
            tags["nnsearch.breaks"] = exceeded(ending.excess)[:MAX_PARAM]
    if isinstance(ending, Pruned):
        tags["nnsearch.pruned_after_epoch"] = str(ending.epoch)
    if isinstance(ending, Failed):
        tags["nnsearch.error"] = ending.error[:MAX_PARAM]
    return tags
