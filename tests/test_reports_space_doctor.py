"""The space doctor on spaces whose faults are planted, and on one that has none."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nnsearch.events import Scalar
from nnsearch.reports.association import association
from nnsearch.reports.importance import chances
from nnsearch.reports.space_doctor import Checkup, Sampled, Symptom, examine, summary
from nnsearch.study.spec import Choice, FloatRange, IntRange, Range

RANGES: dict[str, Range] = {
    "lr": FloatRange(1e-4, 1e-1, log=True),
    "dropout": FloatRange(0.0, 0.5),
    "depth": IntRange(1, 4),
    "width": Choice((32, 64, 128, 256)),
    "name": Choice(("adam", "sgd", "rmsprop")),
}


def drawn(count: int, *, best_lr: float = 3e-3, seed: int = 0, **more: Any) -> list[Sampled]:
    """Random trials whose value depends on the rate alone; `more` overwrites parameters."""
    random = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        params: dict[str, Scalar] = {
            "lr": float(10 ** random.uniform(-4, -1)),
            "dropout": float(random.uniform(0, 0.5)),
            "depth": int(random.integers(1, 5)),
            "width": int(random.choice([32, 64, 128, 256])),
            "name": str(random.choice(["adam", "sgd", "rmsprop"])),
        }
        params |= {key: change(params, random) for key, change in more.items()}
        value = -abs(math.log10(float(params["lr"]) / best_lr)) + float(random.normal(0, 0.02))
        trials.append(Sampled(number, params, value, str(sorted(params.items()))))
    return trials


def of(found: Checkup, kind: str) -> list[Symptom]:
    return [each for each in found.symptoms if each.kind == kind]


def test_a_sound_space_has_what_matters_and_no_symptom_of_another_kind() -> None:
    found = examine(drawn(80), RANGES, "maximize")
    assert found.verdicts["lr"] == "matters"
    assert found.chances["lr"] < 0.01
    assert not [each for each in found.symptoms if each.kind != "dead"]


@pytest.mark.parametrize(("best_lr", "end"), [(0.5, "high"), (1e-5, "low")])
def test_best_values_that_hug_a_bound_are_named_with_the_bound(best_lr: float, end: str) -> None:
    found = of(examine(drawn(80, best_lr=best_lr), RANGES, "maximize"), "edge")
    assert [(each.params, each.end) for each in found] == [(("lr",), end)]
    assert f"hugs its {end} end, {'0.100' if end == 'high' else '0.0001'}" in found[0].message
    assert "widen" in found[0].advice


def test_choices_of_numbers_have_ends_and_names_have_none() -> None:
    trials = drawn(60, width=lambda params, _: 256 if float(params["lr"]) > 1e-2 else 64)
    named = [each for each in examine(trials, RANGES, "maximize").symptoms if each.kind == "edge"]
    assert not named, "the best rate is 0.003, where the width is 64"
    best = drawn(
        60, best_lr=0.03, width=lambda params, _: 256 if float(params["lr"]) > 1e-2 else 64
    )
    (edge,) = of(examine(best, RANGES, "maximize"), "edge")
    assert (edge.params, edge.end) == (("width",), "high")


def test_what_changes_nothing_is_dead_and_what_matters_never_is() -> None:
    found = examine(drawn(400), RANGES, "maximize")
    dead = {name for each in of(found, "dead") for name in each.params}
    assert "lr" not in dead
    assert len(dead) >= 3, "of the four that change nothing"
    assert all(found.chances[name] >= 0.05 for name in dead)


def test_chance_calls_a_dead_parameter_alive_about_as_often_as_it_says() -> None:
    alarms = total = 0
    for seed in range(25):
        trials = [(each.params, each.value or 0.0) for each in drawn(40, seed=seed)]
        found = chances(trials, RANGES, "maximize", num_draws=99)
        alarms += sum(found[name] < 0.05 for name in RANGES if name != "lr")
        total += len(RANGES) - 1
        assert found["lr"] < 0.05
    assert alarms <= stats.binom.ppf(0.999, total, 0.05)


def test_parameters_that_moved_together_are_named_together() -> None:
    trials = drawn(40, dropout=lambda params, _: 0.5 * (math.log10(float(params["lr"])) + 4) / 3)
    (pair,) = of(examine(trials, RANGES, "maximize"), "confounded")
    assert pair.params == ("lr", "dropout")
    assert "1.00 of 1" in pair.message
    names = {1: "adam", 2: "sgd", 3: "rmsprop", 4: "rmsprop"}
    trials = drawn(40, name=lambda params, _: names[int(params["depth"])])
    (pair,) = of(examine(trials, RANGES, "maximize"), "confounded")
    assert pair.params == ("depth", "name")


def test_the_association_of_numbers_is_spearmans() -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=4000)
    second = np.exp(first + random.normal(size=4000))
    expected = stats.spearmanr(first, second).statistic
    found = association(first.tolist(), second.tolist(), are_numbers=(True, True))
    assert found == pytest.approx(expected, abs=1e-3)
    backwards = association(first.tolist(), (-second).tolist(), are_numbers=(True, True))
    assert backwards == pytest.approx(found)


def test_many_choices_in_few_trials_are_not_taken_for_association() -> None:
    random = np.random.default_rng(1)
    found = [
        association(
            [f"{each}" for each in random.integers(0, 8, 16)],
            random.normal(size=16).tolist(),
            are_numbers=(False, True),
        )
        for _ in range(200)
    ]
    assert np.mean(np.greater_equal(found, 0.7)) < 0.1
    same = ["a"] * 20
    assert association(same, list(range(20)), are_numbers=(False, True)) == 0


def test_exact_repeats_are_counted_and_a_space_that_is_used_up_is_told() -> None:
    trials = drawn(40)
    few = [*trials, Sampled(40, trials[3].params, 0.1, trials[3].fingerprint)]
    (told,) = of(examine(few, RANGES, "maximize"), "repeats")
    assert told.message.startswith("1 of 41 trials")
    many = [Sampled(number, trials[0].params, 0.1 * number, "same") for number in range(20)]
    found = examine(many, RANGES, "maximize")
    (told,) = of(found, "repeats")
    assert "19 of 20" in told.message
    assert "used up" in told.advice
    constant = {name for each in of(found, "constant") for name in each.params}
    assert constant == set(RANGES)


def test_a_parameter_of_one_tried_value_is_not_called_dead() -> None:
    found = examine(drawn(80, depth=lambda *_: 3), RANGES, "maximize")
    assert [each.params for each in of(found, "constant")] == [("depth",)]
    assert found.verdicts["depth"] == "unclear"
    assert ("depth",) not in [each.params for each in of(found, "dead")]


def test_too_few_trials_are_said_to_be_too_few() -> None:
    lost = [Sampled(number, {"lr": 0.01 * number}, None, f"{number}") for number in range(1, 30)]
    for trials in (drawn(6), lost, []):
        found = examine(trials, RANGES, "maximize")
        assert of(found, "few")
        assert summary(found) == []


def test_the_summary_has_a_row_a_parameter_the_heaviest_first() -> None:
    rows = summary(examine(drawn(80), RANGES, "maximize"))
    assert rows[0]["parameter"] == "lr"
    assert rows[0]["verdict"] == "matters"
    assert len(rows) == len(RANGES)
    assert examine(drawn(30), RANGES, "maximize") == examine(drawn(30), RANGES, "maximize")
