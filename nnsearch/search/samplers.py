"""Samplers: how the next trials are drawn. Built-ins are Optuna's own.

A sampler is made anew for each batch from the study's seed and the number of the batch's first
trial, so that a resumed study draws what it would have drawn without the break.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import optuna
from annotated_types import Ge
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.trial import FrozenTrial, TrialState

from nnsearch.components import Count
from nnsearch.study.spec import derived_seed

Startup = Annotated[int, Ge(0)]

# From this trial on the estimators are fitted once a batch, and no longer know of trials under way:
# a dozen of those among more than a hundred results hardly move them.
LONG = 128


def tpe(seed: int, first: int, *, startup: Startup = 10, candidates: Count = 24) -> BaseSampler:
    """Tree-structured Parzen estimator, multivariate, one group a branch of the space.

    The first `startup` trials are random; each later one is the best of `candidates` draws.
    Source: Bergstra et al. 2011; Falkner et al. 2018 for the multivariate form.
    """
    is_long = first >= LONG
    make = _FittedOnce if is_long else optuna.samplers.TPESampler
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


def random(seed: int, first: int) -> BaseSampler:
    """Independent uniform draws (log-uniform where the range says so)."""
    return optuna.samplers.RandomSampler(seed=_seed(seed, first))


def grid(seed: int, first: int) -> BaseSampler:
    """Every point of a finite space once, in shuffled order; the study ends with the last."""
    return _quietly(lambda: _Grid(seed=_seed(seed, first)))


def qmc(seed: int, first: int, *, sequence: Literal["sobol", "halton"] = "sobol") -> BaseSampler:
    """A scrambled low-discrepancy sequence: random search that leaves no holes.

    Options of one branch only are drawn at random, for the sequence has no place for them.
    """
    del first  # one sequence serves the whole study
    return _quietly(
        lambda: optuna.samplers.QMCSampler(
            qmc_type=sequence,
            scramble=True,
            seed=_seed(seed, 0),
            independent_sampler=optuna.samplers.RandomSampler(seed=_seed(seed, 0)),
            warn_independent_sampling=False,
        )
    )


def gp(
    seed: int, first: int, *, startup: Startup = 10, is_deterministic: bool = False
) -> BaseSampler:
    """Gaussian-process Bayesian optimisation: for up to about a hundred expensive trials."""
    return optuna.samplers.GPSampler(
        seed=_seed(seed, first), n_startup_trials=startup, deterministic_objective=is_deterministic
    )


class _FittedOnce(optuna.samplers.TPESampler):
    """TPE for one batch: it fits its estimators at the first draw and keeps them.

    Between the draws of a batch no result comes in, so Optuna would fit the same ones again each
    time, which in a long study is most of what an ask costs.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._space: dict[str, BaseDistribution] | None = None
        self._fits: dict[tuple[str, ...], dict[bool, _ParzenEstimator]] = {}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What every trial so far has drawn, as it was at the first draw."""
        if self._space is None:
            self._space = super().infer_relative_search_space(study, trial)
        return self._space

    def _build_parzen_estimator(
        self,
        study: optuna.Study,
        search_space: dict[str, BaseDistribution],
        trials: list[FrozenTrial],
        handle_below: bool,  # noqa: FBT001 - Optuna's own signature
    ) -> _ParzenEstimator:
        made = super()._build_parzen_estimator(study, search_space, trials, handle_below)
        self._fits.setdefault(tuple(search_space), {})[handle_below] = made
        return made

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        fits = self._fits.get(tuple(search_space))
        if fits is None:
            return super()._sample(study, trial, search_space)
        good, others = fits[True], fits[False]
        drawn = good.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(drawn, self._compute_acquisition_func(drawn, good, others))
        return {name: each.to_external_repr(best[name]) for name, each in search_space.items()}


class _Grid(optuna.samplers.BruteForceSampler):
    """Leaves it to the asker to see the end: Optuna's way raises outside its own loop."""

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do nothing."""


def _seed(seed: int, first: int) -> int:
    return derived_seed(seed, "sampler", first) % 2**32


def _quietly(make: Callable[[], BaseSampler]) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return make()
