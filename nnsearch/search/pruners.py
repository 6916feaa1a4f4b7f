"""Pruners: which trials to stop early, after which epochs. Built-ins are Optuna's own.

A pruner is made from the greatest number of epochs that a trial may train; `rungs` are the epochs
after which it is asked, and at no other does a worker wait for an answer.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from nnsearch.components import Count

# Whoever reads a study file asks for the options alone: Optuna loads when one is made.
if TYPE_CHECKING:
    from optuna.pruners import BasePruner


@dataclass(frozen=True, slots=True)
class Pruning:
    """An Optuna pruner, or None, and the epochs after which it is asked."""

    pruner: "BasePruner | None"
    rungs: tuple[int, ...] = ()


def none(epochs: int) -> Pruning:
    """Every trial trains to its end."""
    del epochs
    return Pruning(None)


def median(epochs: int, *, startup: Count = 5, warmup: Annotated[int, Ge(0)] = 2) -> Pruning:
    """Stop a trial whose best value so far is below the median of the others at that epoch.

    Nothing is stopped before `startup` trials are complete, nor in a trial's first `warmup` epochs.
    Source: Golovin et al. 2017.
    """
    from optuna.pruners import MedianPruner

    pruner = MedianPruner(n_startup_trials=startup, n_warmup_steps=warmup)
    every = max(1, epochs // 10)
    return Pruning(pruner, tuple(range(max(1, warmup), epochs, every)))


def halving(epochs: int, *, first: Count = 1, factor: Annotated[int, Ge(2)] = 3) -> Pruning:
    """Successive halving, asynchronous: of each rung the best 1/`factor` go on.

    Rungs lie at `first`, `first` * `factor`, `first` * `factor` ** 2 ... epochs.
    Source: Li et al. 2020 (ASHA).
    """
    from optuna.pruners import SuccessiveHalvingPruner

    pruner = SuccessiveHalvingPruner(min_resource=first, reduction_factor=factor)
    return Pruning(pruner, _rungs(epochs, first, factor))


def hyperband(epochs: int, *, first: Count = 1, factor: Annotated[int, Ge(2)] = 3) -> Pruning:
    """Successive halving in several brackets, some more patient than others.

    Source: Li et al. 2018.
    """
    from optuna.pruners import HyperbandPruner

    pruner = HyperbandPruner(
        min_resource=min(first, epochs), max_resource=epochs, reduction_factor=factor
    )
    return Pruning(pruner, _rungs(epochs, first, factor))


def _rungs(epochs: int, first: int, factor: int) -> tuple[int, ...]:
    rungs = []
    while first < epochs:
        rungs.append(first)
        first *= factor
    return tuple(rungs)
