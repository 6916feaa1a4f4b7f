"""Samplers: how the next trials are drawn. Built-ins are Optuna's own.

A sampler is made anew for each batch from the study's seed and the number of the batch's first
trial, so that a resumed study draws what it would have drawn without the break.
"""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from nnsearch.components import Count
from nnsearch.study.spec import derived_seed

# Whoever reads a study file asks for the options alone: Optuna loads when one is made.
if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

Startup = Annotated[int, Ge(0)]

# From this trial on the estimators are fitted once a batch, and no longer know of trials under way:
# a dozen of those among more than a hundred results hardly move them.
LONG = 128


def tpe(seed: int, first: int, *, startup: Startup = 10, candidates: Count = 24) -> "BaseSampler":
    """Tree-structured Parzen estimator, multivariate, one group a branch of the space.

    The first `startup` trials are random; each later one is the best of `candidates` draws.
    Source: Bergstra et al. 2011; Falkner et al. 2018 for the multivariate form.
    """
    from optuna.samplers import TPESampler

    from nnsearch.search.adapted import FittedOnce

    is_long = first >= LONG
    make = FittedOnce if is_long else TPESampler
    return _quietly(
        lambda: make(
            seed=_seed(seed, first),
            n_startup_trials=startup,
            n_ei_candidates=candidates,
            multivariate=True,
            group=True,
            constant_liar=not is_long,
        )
    )


def random(seed: int, first: int) -> "BaseSampler":
    """Independent uniform draws (log-uniform where the range says so)."""
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=_seed(seed, first))


def grid(seed: int, first: int) -> "BaseSampler":
    """Every point of a finite space once, in shuffled order; the study ends with the last."""
    from nnsearch.search.adapted import Grid

    return _quietly(lambda: Grid(seed=_seed(seed, first)))


def qmc(seed: int, first: int, *, sequence: Literal["sobol", "halton"] = "sobol") -> "BaseSampler":
    """A scrambled low-discrepancy sequence: random search that leaves no holes.

    Options of one branch only are drawn at random, for the sequence has no place for them.
    """
    del first  # one sequence serves the whole study
    from optuna.samplers import QMCSampler, RandomSampler

    return _quietly(
        lambda: QMCSampler(
            qmc_type=sequence,
            scramble=True,
            seed=_seed(seed, 0),
            independent_sampler=RandomSampler(seed=_seed(seed, 0)),
            warn_independent_sampling=False,
        )
    )


def gp(
    seed: int, first: int, *, startup: Startup = 10, is_deterministic: bool = False
) -> "BaseSampler":
    """Gaussian-process Bayesian optimisation: for up to about a hundred expensive trials."""
    from optuna.samplers import GPSampler

    return GPSampler(
        seed=_seed(seed, first), n_startup_trials=startup, deterministic_objective=is_deterministic
    )


def _seed(seed: int, first: int) -> int:
    return derived_seed(seed, "sampler", first) % 2**32


def _quietly(make: Callable[[], "BaseSampler"]) -> "BaseSampler":
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return make()
