"""TPE in a long study is fitted once a batch, and draws what Optuna's own would draw."""

import random
import warnings
from typing import Any

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from optuna.samplers._tpe import parzen_estimator
from optuna.trial import create_trial

from nnsearch.search.samplers import LONG, tpe
from nnsearch.study.spec import derived_seed

BATCH = 8
RATE = optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)
KIND = optuna.distributions.CategoricalDistribution(("adam", "sgd"))
WIDTH = optuna.distributions.IntDistribution(8, 512, log=True)


def branch(trial: optuna.Trial) -> None:
    """A space of which one part is there for one choice only."""
    kind = trial.suggest_categorical("kind", KIND.choices)
    trial.suggest_float(f"{kind}.rate", RATE.low, RATE.high, log=True)
    trial.suggest_int("width", WIDTH.low, WIDTH.high, log=True)


@pytest.fixture
def study() -> optuna.Study:
    """A study of as many trials as make it a long one."""
    chance = random.Random(0)
    made = optuna.create_study(direction="maximize")
    for _ in range(LONG):
        kind = chance.choice(KIND.choices)
        params = {
            "kind": kind,
            f"{kind}.rate": 10 ** chance.uniform(-5, 0),
            "width": chance.randint(8, 512),
        }
        made.add_trial(
            create_trial(
                params=params,
                distributions={"kind": KIND, f"{kind}.rate": RATE, "width": WIDTH},
                value=chance.random(),
            )
        )
    return made


def drawn(study: optuna.Study, sampler: BaseSampler) -> list[dict[str, Any]]:
    """The params of a batch; the study is left as it was but for trials that run."""
    study.sampler = sampler
    trials = [study.ask() for _ in range(BATCH)]
    for each in trials:
        branch(each)
    return [each.params for each in trials]


def optunas() -> TPESampler:
    """Optuna's own, fitted at each draw to all that has ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            seed=derived_seed(3, "sampler", LONG) % 2**32,
            n_startup_trials=10,
            n_ei_candidates=24,
            multivariate=True,
            group=True,
            constant_liar=False,
        )


def test_a_batch_is_what_optunas_own_sampler_draws(study: optuna.Study) -> None:
    ours = drawn(study, tpe(3, LONG))
    assert ours == drawn(study, optunas())
    assert len({tuple(sorted(each.items())) for each in ours}) == BATCH


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many values each estimator was fitted to, in the order of the fits."""
    counted: list[int] = []
    fit = parzen_estimator._ParzenEstimator.__init__

    def count(self: Any, observations: dict[str, Any], *given: Any) -> None:
        counted.append(max((len(each) for each in observations.values()), default=0))
        fit(self, observations, *given)

    monkeypatch.setattr(parzen_estimator._ParzenEstimator, "__init__", count)
    return counted


def test_a_long_studys_estimators_are_fitted_once_a_batch(
    study: optuna.Study, fits: list[int]
) -> None:
    drawn(study, tpe(3, LONG))
    once = len(fits)
    drawn(study, optunas())
    # Two each of what all trials have, of what Adam's have, and of what SGD's have.
    assert once == 6
    assert len(fits) - once == 6 * BATCH


def test_a_short_study_is_fitted_at_each_draw_and_knows_of_trials_under_way() -> None:
    assert type(tpe(3, LONG - 1)) is TPESampler
    assert type(tpe(3, LONG)) is not TPESampler
