"""Two samplers of Optuna's, adapted to being asked for a batch at a time.

Apart from `samplers`, so that reading a study file does not load Optuna.
"""

from collections.abc import Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BruteForceSampler, TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.trial import FrozenTrial, TrialState


class FittedOnce(TPESampler):
    """TPE for one batch: it fits its estimators at the first draw and keeps them.

    Between the draws of a batch no result comes in, so Optuna would fit the same ones again each
    time, which in a long study is most of what an ask costs.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._space: dict[str, BaseDistribution] | None = None
        self._fits: dict[tuple[str, ...], dict[bool, _ParzenEstimator]] = {}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What every trial so far has drawn, as it was at the first draw."""
        if self._space is None:
            self._space = super().infer_relative_search_space(study, trial)
        return self._space

    def _build_parzen_estimator(
        self,
        study: Study,
        search_space: dict[str, BaseDistribution],
        trials: list[FrozenTrial],
        handle_below: bool,  # noqa: FBT001 - Optuna's own signature
    ) -> _ParzenEstimator:
        made = super()._build_parzen_estimator(study, search_space, trials, handle_below)
        self._fits.setdefault(tuple(search_space), {})[handle_below] = made
        return made

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        fits = self._fits.get(tuple(search_space))
        if fits is None:
            return super()._sample(study, trial, search_space)
        good, others = fits[True], fits[False]
        drawn = good.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(drawn, self._compute_acquisition_func(drawn, good, others))
        return {name: each.to_external_repr(best[name]) for name, each in search_space.items()}


class Grid(BruteForceSampler):
    """Leaves it to the asker to see the end: Optuna's way raises outside its own loop."""

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do nothing."""
