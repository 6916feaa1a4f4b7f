"""What trainings on fresh seeds say of candidates, held against truths that are known."""

from collections.abc import Iterator

import numpy as np
import pytest

from nnsearch.reports.confirmation import Candidate, agreed, confirm


def studies(apart: float, num_seeds: int, count: int = 300) -> Iterator[tuple[np.ndarray, dict]]:  # type: ignore[type-arg]
    """Five candidates that truly lie `apart`, with what their seeds gave: a noise of 1."""
    draw = np.random.default_rng(0)
    for number in range(count):
        truth = draw.normal(0.9, apart, 5)
        values = {place: truth[place] + draw.normal(0, 1, num_seeds) for place in range(5)}
        yield truth, confirm(values, is_more_better=True, seed=number)


def best_of(found: dict[int, Candidate]) -> int:
    return max(found, key=lambda place: found[place].estimate)


@pytest.mark.parametrize("num_seeds", [2, 5])
@pytest.mark.parametrize("apart", [0.3, 1.0, 3.0])
def test_intervals_hold_the_truth_as_often_as_they_say(apart: float, num_seeds: int) -> None:
    held = [
        found[place].low <= truth[place] <= found[place].high
        for truth, found in studies(apart, num_seeds)
        for place in [best_of(found)]  # the one that luck may have picked
    ]
    assert 0.90 <= np.mean(held) <= 0.99


@pytest.mark.parametrize("apart", [1.0, 3.0])
def test_the_probability_of_being_the_best_is_how_often_it_is(apart: float) -> None:
    pairs = [
        (found[place].chance, truth[place] == truth.max())
        for truth, found in studies(apart, 5)
        for place in range(5)
    ]
    chances, are_best = (np.array(each, float) for each in zip(*pairs, strict=True))
    for low, high in ((0.0, 0.2), (0.2, 0.6), (0.6, 1.01)):
        inside = (chances >= low) & (chances < high)
        assert abs(chances[inside].mean() - are_best[inside].mean()) < 0.08
    assert chances.reshape(-1, 5).sum(axis=1) == pytest.approx(1)


def test_the_estimate_of_the_best_flatters_less_than_its_mean() -> None:
    found = [(truth, made, best_of(made)) for truth, made in studies(0.3, 5)]
    of_means = np.mean([made[best].mean - truth[best] for truth, made, best in found])
    of_estimates = np.mean([made[best].estimate - truth[best] for truth, made, best in found])
    assert of_means > 0.35  # picking the largest of five means is lucky
    assert abs(of_estimates) < of_means / 3


def test_the_luck_of_the_rows_widens_the_interval_and_leaves_the_chances() -> None:
    values = {0: [0.90, 0.91, 0.92], 1: [0.93, 0.95, 0.94]}
    plain = confirm(values, is_more_better=True, seed=0)
    widened = confirm(values, is_more_better=True, seed=0, row_deviation=0.05)
    assert {key: each.chance for key, each in plain.items()} == {
        key: each.chance for key, each in widened.items()
    }
    assert widened[1].high - widened[1].low == pytest.approx(2 * 1.96 * 0.05, rel=0.15)
    within = confirm(values, is_more_better=True, seed=0, row_deviation=0.05, bounds=(0.0, 1.0))
    assert (within[1].low, within[1].high) == (widened[1].low, 1.0)


def test_an_error_is_the_better_the_smaller_it_is() -> None:
    values = {7: [1.0, 1.1, 0.9], 3: [2.0, 2.1, 1.9]}
    found = confirm(values, is_more_better=False, seed=0)
    assert found[7].chance > 0.99
    assert found[3].chance < 0.01


def test_candidates_that_were_trained_once_or_not_at_all_are_left_out() -> None:
    assert confirm({0: [0.5], 1: []}, is_more_better=True, seed=0) == {}
    assert list(confirm({0: [0.5], 1: [0.4, 0.6]}, is_more_better=True, seed=0)) == [1]


def test_one_candidate_is_the_best_and_its_estimate_the_mean() -> None:
    found = confirm({4: [0.8, 0.9, 0.85]}, is_more_better=True, seed=0)[4]
    assert found.estimate == pytest.approx(0.85)
    assert found.chance == 1.0
    assert found.low < 0.85 < found.high


def test_seeds_that_agree_to_the_last_digit_leave_no_doubt() -> None:
    found = confirm({0: [1.0, 1.0], 1: [1.0, 1.0], 2: [0.5, 0.5]}, is_more_better=True, seed=0)
    assert [found[place].chance for place in range(3)] == [0.5, 0.5, 0.0]
    assert (found[2].low, found[2].high) == (0.5, 0.5)


def test_a_training_is_judged_at_the_epoch_that_the_others_would_keep() -> None:
    courses = [
        {1: 0.1, 2: 0.5, 3: 0.9},  # its own best is the third, the others' is the second
        {1: 0.1, 2: 0.7, 3: 0.6},
        {1: 0.1, 2: 0.8, 3: 0.2},
    ]
    assert agreed(courses, is_more_better=True, keeps_best=True) == [0.5, 0.7, 0.2]
    assert agreed(courses, is_more_better=False, keeps_best=True) == [0.1, 0.1, 0.1]
    assert agreed(courses, is_more_better=True, keeps_best=False) == [0.9, 0.6, 0.2]


def test_one_that_stopped_early_is_judged_at_its_last_epoch_and_cuts_no_other_short() -> None:
    courses = [{1: 0.1, 2: 0.5}, {1: 0.3, 2: 0.2, 3: 0.9}, {1: 0.2, 2: 0.3, 3: 0.8}]
    assert agreed(courses, is_more_better=True, keeps_best=True) == [0.5, 0.9, 0.8]
    assert agreed([{1: 0.4, 2: 0.3}], is_more_better=True, keeps_best=True) == [0.3]
    assert agreed([], is_more_better=True, keeps_best=True) == []


def test_an_epoch_that_came_to_no_number_is_not_the_best() -> None:
    courses = [{1: 0.1, 2: float("nan")}, {1: 0.3, 2: 0.9}, {1: 0.2, 2: 0.1}]
    assert agreed(courses, is_more_better=True, keeps_best=True)[2] == 0.2


def test_noise_alone_does_not_flatter_where_the_best_epoch_is_kept() -> None:
    draw = np.random.default_rng(0)
    own, judged = [], []
    for _ in range(200):
        courses = [dict(enumerate(draw.normal(0, 1, 20), start=1)) for _ in range(5)]
        own += [max(each.values()) for each in courses]
        judged += agreed(courses, is_more_better=True, keeps_best=True)
    assert np.mean(own) > 1.5
    assert abs(np.mean(judged)) < 0.1
