"""What a sampler is shown of a long study: few trials, the best of them, and the same each time."""

from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from nnsearch.search.window import BEST_SEEN, MOST_SEEN, Window, worth_seeing
from nnsearch.study.spec import Direction


def study_of(values: Sequence[float | None], direction: Direction) -> tuple[Window, optuna.Study]:
    """A study whose trials ended with these values; None is one under way, NaN a pruned one."""
    storage = Window()
    study = optuna.create_study(storage=storage, direction=direction)
    for value in values:
        study.add_trial(trial(value))
    return storage, study


def trial(value: float | None) -> FrozenTrial:
    state = TrialState.COMPLETE
    if value is None:
        state = TrialState.RUNNING
    elif np.isnan(value):
        state, value = TrialState.PRUNED, None
    return create_trial(
        state=state,
        value=value,
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
    )


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_long_study_shows_its_best_and_a_spread_of_the_others(direction: Direction) -> None:
    values = np.random.default_rng(0).permutation(2000).astype(float).tolist()
    storage, study = study_of([*values, None, None], direction)
    seen = worth_seeing(storage.every_trial(study), direction)
    assert len(seen) == MOST_SEEN + 2
    assert seen == sorted(set(seen))
    ranked = np.argsort(values if direction == "minimize" else np.negative(values))
    assert set(ranked[:BEST_SEEN].tolist()) <= set(seen)
    assert {2000, 2001} <= set(seen), "those under way, so that none is drawn beside another"
    others = sorted(set(seen) - set(ranked[:BEST_SEEN].tolist()) - {2000, 2001})
    assert max(np.diff(others)) < 25, "evenly spread"


def test_a_short_study_shows_everything_that_tells_something() -> None:
    storage, study = study_of([0.1, float("nan"), None, 0.3] * 125, "minimize")
    assert worth_seeing(storage.every_trial(study), "minimize") == list(range(500))


def test_pruned_trials_have_their_share() -> None:
    storage, study = study_of([0.5] * 50 + [float("nan")] * 950, "minimize")
    seen = worth_seeing(storage.every_trial(study), "minimize")
    assert len(seen) == MOST_SEEN
    assert set(range(BEST_SEEN)) <= set(seen)


def test_a_sampler_sees_what_is_shown_and_what_came_since() -> None:
    storage, study = study_of([0.1, 0.2, 0.3, 0.4], "minimize")
    storage.shown, storage.since = [1, 3], 4
    asked = study.ask()
    assert [each.number for each in study.get_trials()] == [1, 3, asked.number]
    study.enqueue_trial({"x": 0.25})
    assert study.ask().suggest_float("x", 0, 1) == 0.25
    complete = study.get_trials(states=(TrialState.COMPLETE,), deepcopy=False)
    assert [each.value for each in complete] == [0.2, 0.4]
    assert [each.number for each in storage.every_trial(study)] == [0, 1, 2, 3, 4, 5]
