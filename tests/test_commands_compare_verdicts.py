"""Verdicts that are sentences, refusals that say why, and what was found at equal budget."""

import json
from math import sin
from pathlib import Path

import numpy as np
import pytest
from opponents import HOME, Answer, faulty, noisy, record, say, text_of

from nnsearch.commands.compare import Comparison, compare
from nnsearch.commands.compare_budget import course_of, families
from nnsearch.commands.compare_records import load
from nnsearch.commands.compare_verdicts import seed_spread
from nnsearch.reports.budget_curves import Course, budget_curves
from nnsearch.reports.canvas import PALETTE, svg
from nnsearch.study.folder import Home

NUMBERS = text_of("diabetes", "regression")


def of_two(num_wrong: int) -> Answer:
    """Probabilities of two classes, wrong in the first so many rows."""
    return lambda targets: say(targets, num_wrong)[:, :2]


def said(compared: Comparison) -> str:
    return " ".join(compared.text.split())


def test_lower_is_better_of_an_error_and_the_gain_is_positive() -> None:
    for name, spread in (("one", 50.0), ("two", 5.0)):
        record(name, text=NUMBERS, values=(spread,), answer=noisy(spread))
    (test,) = compare(["one", "two"], HOME).document["tests"]
    assert test["value"] < 0
    assert test["is_shown"] is True
    sentence = test["sentence"]
    assert sentence.startswith("two is better than one by 4")
    assert "in rmse, p = 0.0005 (permutation test, the same 88 test rows)" in sentence
    assert "[-" not in sentence


def test_the_first_can_be_the_better_one() -> None:
    record("one", answer=faulty(0))
    record("two", answer=faulty(12))
    (test,) = compare(["one", "two"], HOME).document["tests"]
    assert test["sentence"].startswith("one is better than two by 0.4 [")


def test_equal_answers_cannot_be_told_apart_by_any_number_of_rows() -> None:
    record("one")
    record("two")
    compared = compare(["one", "two"], HOME)
    (test,) = compared.document["tests"]
    assert (test["p_value"], test["needed"]) == (1, None)
    assert test["low"] < 0 < test["high"]
    assert "no number of rows would tell them apart" in said(compared)


def test_a_study_that_has_not_looked_at_test_has_no_verdict() -> None:
    record("one")
    record("two", answer=None)
    compared = compare(["one", "two"], HOME)
    (refusal,) = compared.document["refusals"]
    assert refusal["reason"] == "two has not looked at its test rows"
    assert "no verdict on two against one: two has not looked" in said(compared)
    assert compared.document["tests"] == []


def test_predictions_that_are_gone_are_said() -> None:
    record("one")
    record("two")
    next(Home(HOME).study("two").root.glob("test-*.npz")).unlink()
    (refusal,) = compare(["one", "two"], HOME).document["refusals"]
    assert refusal["reason"] == "the predictions of two are no longer on the disk"


def test_studies_of_two_objectives_are_tested_on_both() -> None:
    record("one", answer=faulty(12))
    other = text_of() + 'objective = "log_loss"\n'
    record("two", text=other, values=(0.3, 0.2))
    compared = compare(["one", "two"], HOME)
    tests = compared.document["tests"]
    assert [each["metric"] for each in tests] == ["accuracy", "log_loss"]
    assert [each["is_more_better"] for each in tests] == [True, False]
    assert all("Holm's correction for 2" in each["sentence"] for each in tests)
    assert all(each["sentence"].startswith("two is better than one") for each in tests)
    assert "objective: accuracy (maximize) -> log_loss (minimize)" in compared.text
    assert len(compared.document["budgets"]) == 2, "their curves stand apart"


def test_an_objective_that_cannot_be_worked_out_again_is_refused() -> None:
    quantile = NUMBERS.replace('name = "regression"', 'name = "regression"\nloss = "quantile"')
    for name in ("one", "two"):
        record(name, text=quantile, values=(50.0,), answer=noisy(20.0))
    (refusal,) = compare(["one", "two"], HOME).document["refusals"]
    assert refusal["reason"] == "no test is known for pinball"


def test_grouped_rows_are_judged_by_groups() -> None:
    table = [f"{sin(x):.4f},{x * x % 11},g{x // 6},{'ab'[x % 3 == 0]}" for x in range(300)]
    Path("own.csv").write_text("\n".join(["x,z,g,y", *table, ""]))
    data = '[data]\nsource = "csv"\nsplit = { by = "group", column = "g" }\n'
    data += '[data.csv]\npath = "own.csv"\ntarget = "y"\n'
    text = data + text_of().partition('source = "iris"\n')[2]
    for name, num_wrong in (("one", 0), ("two", 12)):
        record(name, text=text, answer=of_two(num_wrong))
    (test,) = compare(["one", "two"], HOME).document["tests"]
    assert test["test"] == "permutation"
    assert test["num_units"] == 10
    assert test["num_rows"] == 60
    assert "the same 60 test rows in 10 groups" in test["sentence"]
    assert test["p_value"] > 0.05, "12 rows of 2 groups are two things that happened, not twelve"


def test_repeats_tell_what_a_seed_alone_does() -> None:
    wide = tuple(0.9 + 0.1 * np.sin(np.arange(8)))
    for name, num_wrong in (("one", 0), ("two", 12)):
        record(name, values=wide, answer=faulty(num_wrong))
    (test,) = compare(["one", "two"], HOME).document["tests"]
    assert test["num_repeats"] == 14
    assert test["seed_deviation"] == pytest.approx(np.sqrt(2) * np.std(wide, ddof=1))
    assert "Two seeds alone differ by" in test["sentence"]
    assert "hardly reverse it" in test["sentence"]
    record("three", values=tuple(3 * each for each in wide), answer=faulty(6))
    (test,) = compare(["one", "three"], HOME).document["tests"]
    assert "retraining may reverse it; about" in test["sentence"]


def test_different_configurations_are_no_repeats() -> None:
    record("one", values=(0.7, 0.8, 0.9, 0.9), widths=(4, 8, 4, 8))
    found = seed_spread(load(Home(HOME).study("one")))
    assert found is None, "two repeats say too little"
    record("two", values=(0.7, 0.8, 0.9, 0.9, 0.9), widths=(4, 8, 4, 8, 8))
    found = seed_spread(load(Home(HOME).study("two")))
    assert found is not None
    assert found.num_repeats == 3
    squares = 0.2**2 / 2 + np.var([0.8, 0.9, 0.9]) * 3
    assert found.deviation == pytest.approx(np.sqrt(squares / 3))


def test_best_so_far_at_the_budget_that_both_had() -> None:
    record("one", values=(0.5, None, 0.9, 0.95))
    record("two", values=(0.6, 0.7))
    compared = compare(["one", "two"], HOME)
    (budget,) = compared.document["budgets"]
    assert budget["curves"]["one"] == {
        "best": [0.5, 0.5, 0.9, 0.95],
        "seconds": [10.0, 14.0, 24.0, 34.0],
    }
    equal = budget["equal_budget"]
    assert (equal["num_trials"], equal["seconds"]) == (2, 20.0)
    assert equal["by_trials"] == {"one": 0.5, "two": 0.7}
    assert equal["by_seconds"] == {"one": 0.5, "two": 0.7}
    assert "at equal budget (one seed each, so without a band)" in compared.text
    assert "after 2 trials  after 20.0 s of training" in compared.text


def test_studies_of_other_seeds_are_one_band() -> None:
    for seed in (0, 1, 2):
        for name, gain in (("plain", 0.0), ("wide", 0.05)):
            text = f"seed = {seed}\n" + text_of()
            text = text.replace("[4, 8]", "[4, 8, 16]") if name == "wide" else text
            record(f"{name}-{seed}", text=text, values=(0.6 + 0.1 * seed + gain, 0.9 + gain))
    names = [f"{name}-{seed}" for name in ("plain", "wide") for seed in (0, 1, 2)]
    found = families([load(Home(HOME).study(name)) for name in names])
    assert [each.name for each in found] == ["plain-0 and 2 repeats", "wide-0 and 2 repeats"]
    compared = compare(names, HOME)
    (budget,) = compared.document["budgets"]
    by_trials = budget["equal_budget"]["by_trials"]
    assert by_trials == pytest.approx({"plain-0 and 2 repeats": 0.9, "wide-0 and 2 repeats": 0.95})
    assert "the median of the repeats" in compared.text
    assert next(path.name for path in compared.pictures) == "best_so_far.svg"


def repeated(name: str, num_wrong: int, *, num_seeds: int = 3) -> list[str]:
    """A study on several seeds, each of which gets about so many of its test rows wrong."""
    names = [f"{name}-{seed}" for seed in range(num_seeds)]
    for seed, each in enumerate(names):
        text = f"seed = {seed}\n" + text_of()
        text = text.replace("[4, 8]", "[4, 8, 16]") if name == "wide" else text
        record(each, text=text, answer=faulty(num_wrong + seed % 2))
    return names


def test_repeats_are_judged_against_the_same_seed_and_over_seeds() -> None:
    compared = compare([*repeated("plain", 0), *repeated("wide", 12)], HOME)
    document = compared.document
    pairs = [(each["first"], each["second"]) for each in document["tests"]]
    assert pairs == [("plain-0", "wide-0"), ("plain-1", "wide-1"), ("plain-2", "wide-2")]
    assert document["refusals"] == []
    assert all("correction for 3" in each["sentence"] for each in document["tests"])
    (told,) = document["over_seeds"]
    assert told["num_seeds"] == 3
    assert told["value"] == pytest.approx(0.0), "the recorded accuracies are all 0.5"
    assert "no evidence of a difference over seeds" in said(compared)


def test_a_study_and_itself_on_another_seed_are_no_two_things_to_compare() -> None:
    compared = compare(repeated("plain", 0, num_seeds=2), HOME)
    assert compared.document["tests"] == []
    (refusal,) = compared.document["refusals"]
    assert "(they are one study, so there is no evidence" in refusal["reason"]


def test_over_seeds_a_difference_that_is_there_each_time_is_found() -> None:
    names = [*repeated("plain", 0, num_seeds=4), *repeated("wide", 2, num_seeds=4)]
    for place, name in enumerate(names):
        looks = Home(HOME).study(name).looks
        fields = json.loads(looks.read_text())
        fields[0]["metrics"]["accuracy"] = (0.9 if place < 4 else 0.8) + 0.001 * (place % 3)
        looks.write_text(json.dumps(fields))
    (told,) = compare(names, HOME).document["over_seeds"]
    assert told["p_value"] < 0.001
    assert told["sentence"].startswith("over seeds plain-0 and 3 repeats is better than wide-0")
    assert "by 0.0997 [0.09" in told["sentence"]


def test_the_same_seed_again_is_no_repeat() -> None:
    record("one")
    record("two")
    studies = [load(Home(HOME).study(name)) for name in ("one", "two")]
    assert len(families(studies)) == 2
    assert course_of(studies[0]).best == pytest.approx((0.7, 0.7, 0.9))


def test_the_values_of_a_course_are_those_of_the_trials_that_had_ended() -> None:
    course = Course((float("nan"), 0.5, 0.7), (1.0, 3.0, 4.0))
    assert np.isnan(course.after_trials(1))
    assert [course.after_trials(number) for number in (2, 3, 9)] == [0.5, 0.7, 0.7]
    assert np.isnan(course.after_seconds(0.5))
    assert [course.after_seconds(each) for each in (3.0, 3.9, 9.0)] == [0.5, 0.5, 0.7]


@pytest.mark.parametrize("num_seeds", [1, 4])
def test_a_band_is_drawn_where_there_are_several_seeds(num_seeds: int) -> None:
    generator = np.random.default_rng(0)
    courses = {
        name: [
            Course(tuple(np.maximum.accumulate(generator.random(9))), tuple(np.arange(1.0, 10)))
            for _ in range(num_seeds)
        ]
        for name in ("one", "two")
    }
    drawn = svg(budget_curves(courses, metric="valid/accuracy", direction="maximize")).decode()
    assert ("a band reaches" in drawn) == (num_seeds > 1)
    assert ("there is no band" in drawn) == (num_seeds == 1)
    pale = [f"{color.lower()}2e" in drawn for color in PALETTE[:2]]
    assert pale == [num_seeds > 1] * 2
    empty = budget_curves({"none": [Course((), ())]}, metric="x", direction="minimize")
    assert b"none" in svg(empty)


def test_the_document_of_verdicts_is_json() -> None:
    for name in ("one", "two", "three"):
        record(name, answer=None if name == "three" else faulty(len(name)))
    document = compare(["one", "two", "three"], HOME).document
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert {"cpu_seconds", "gpu_seconds", "seconds"} <= document["studies"][0].keys()
