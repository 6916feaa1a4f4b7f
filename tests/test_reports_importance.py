"""Parameter importance: Optuna's own numbers, and how sure they are."""

import numpy as np
import optuna
import pytest
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from nnsearch.events import Scalar
from nnsearch.reports.importance import FEWEST_BEST, FEWEST_TRIALS, importance
from nnsearch.search.asking import distribution
from nnsearch.study.spec import Choice, Direction, FloatRange, IntRange, Range

RANGES: dict[str, Range] = {
    "lr": FloatRange(1e-4, 1e-1, log=True),
    "l1": FloatRange(0.0, 1.0, step=0.25),
    "momentum": FloatRange(0.0, 0.99),
    "name": Choice(("mlp", "cnn", "linear")),
    "mlp.width": IntRange(8, 128, log=True),
    "mlp.depth": IntRange(1, 4),
    "cnn.channels": IntRange(4, 64, step=4),
    "wide": IntRange(0, 1000),
}
Trials = list[tuple[dict[str, Scalar], float]]


def drawn(count: int, seed: int) -> Trials:
    """Random trials of a space with branches; the rate matters, and a little the width."""
    random = np.random.default_rng(seed)
    trials: Trials = []
    for _ in range(count):
        lr = float(10 ** random.uniform(-4, -1))
        params: dict[str, Scalar] = {"lr": lr, "momentum": float(random.uniform(0, 0.99))}
        params |= {"l1": float(random.integers(0, 5)) / 4, "wide": int(random.integers(0, 1001))}
        params["name"] = str(random.choice(["mlp", "cnn", "linear"]))
        if params["name"] == "mlp":
            params["mlp.width"] = int(random.integers(8, 129))
            params["mlp.depth"] = int(random.integers(1, 5))
        if params["name"] == "cnn":
            params["cnn.channels"] = int(random.integers(1, 17)) * 4
        noise = float(random.normal(0, 0.1))
        trials.append((params, (np.log10(lr) + 2.5) ** 2 + noise))
    return trials


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize(("count", "seed"), [(60, 0), (200, 1)])
def test_the_shares_are_those_of_optuna(count: int, seed: int, direction: Direction) -> None:
    trials = drawn(count, seed)
    study = optuna.create_study(direction=direction)
    study.add_trials(
        create_trial(
            value=value,
            params=dict(params),
            distributions={name: distribution(RANGES[name]) for name in params},
        )
        for params, value in trials
    )
    found = importance(trials, RANGES, direction)
    quantile = (found.num_best - 0.5) / count
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
    expected = get_param_importances(study, evaluator=evaluator)
    shares = {each.name: each.share for each in found.weights}
    assert shares == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert found.num_trials == count


def test_what_matters_comes_first_and_more_trials_are_surer() -> None:
    few, many = (importance(drawn(count, 3), RANGES, "minimize").weights[0] for count in (40, 400))
    assert few.name == many.name == "lr"
    assert many.low <= many.share <= many.high
    assert many.high - many.low < few.high - few.low


def test_every_share_lies_in_its_interval_though_draws_of_few_trials_lie_above() -> None:
    for seed in range(15):
        for each in importance(drawn(10, seed), RANGES, "minimize").weights:
            assert each.low <= each.share <= each.high, seed


def test_the_same_trials_give_the_same_intervals() -> None:
    trials = drawn(30, 5)
    assert importance(trials, RANGES, "minimize") == importance(trials, RANGES, "minimize")


def test_too_few_or_equal_trials_say_why_there_is_nothing() -> None:
    few = drawn(FEWEST_TRIALS - 1, 0)
    alike = [(params, 1.0) for params, _ in drawn(30, 0)]
    lost = [(params, float("nan")) for params, _ in drawn(30, 0)]
    for trials in (few, alike, lost, []):
        found = importance(trials, RANGES, "minimize")
        assert not found.weights
        assert "Importance needs 10 complete trials" in found.problem


def test_a_parameter_that_nothing_depends_on_is_never_sure() -> None:
    found = importance(drawn(40, 7), RANGES, "minimize")
    assert found.num_best == FEWEST_BEST
    by_name = {each.name: each for each in found.weights}
    assert by_name["l1"].share < by_name["lr"].share
    assert sum(each.share for each in found.weights) == pytest.approx(1.0)
