"""Studies side by side, from records that the tests write: each verdict is known beforehand."""

import json
from xml.etree import ElementTree as ET

import pytest
from opponents import HOME, faulty, noisy, own_table, record, text_of

from nnsearch.commands.compare import Comparison, compare
from nnsearch.errors import UsageError
from nnsearch.events import Failed, to_line
from nnsearch.study.folder import Home


def side_by_side(compared: Comparison) -> dict[str, list[str]]:
    """The rows of the second table, by their names."""
    below = compared.text.partition("the best trial of each\n\n")[2].partition("\n\n")[0]
    return {line.split()[0]: line.split()[1:] for line in below.splitlines()[2:]}


def test_counts_values_intervals_seconds_and_parameters_stand_side_by_side() -> None:
    record("one")
    record("two", values=(0.8,))
    compared = compare(["one", "two"], HOME)
    lines = compared.text.splitlines()
    (first,) = [line.split() for line in lines if line.startswith("one ") and "[" in line]
    (second,) = [line.split() for line in lines if line.startswith("two ") and "[" in line]
    assert " ".join(first) == "one 3 (1 pruned) 0.900 0.500 [0.400, 0.600] 30 24.0 s 7.5 s 123"
    assert " ".join(second) == "two 1 0.800 0.500 [0.400, 0.600] 30 10.0 s 7.5 s 123"
    rows = side_by_side(compared)
    assert rows["valid/accuracy"] == ["0.900", "*", "0.800"]
    assert rows["optimizer.lr"] == ["0.001", "0.001"]
    assert rows["model.width"] == ["4", "4"]


def test_equal_data_is_no_reason_for_a_warning() -> None:
    record("one")
    record("two")
    compared = compare(["one", "two"], HOME)
    assert "do not compare" not in compared.text
    assert compared.document["differences"] == {"two": []}


def test_few_faults_more_or_less_are_no_difference() -> None:
    record("one", answer=faulty(2))
    record("two", answer=faulty(4))
    compared = compare(["one", "two"], HOME)
    (test,) = compared.document["tests"]
    assert (test["test"], test["only_first"], test["only_second"]) == ("mcnemar", 2, 0)
    assert test["p_value"] == 0.5  # two rows on one side: 2 x (1/2)^2
    said = " ".join(compared.text.split())
    assert "no evidence of a difference: two against one, accuracy -0.0667" in said
    assert "more test rows would settle a difference of this size" in said


def test_many_faults_more_are_a_difference_and_the_better_one_is_named() -> None:
    record("one", answer=faulty(12))
    record("two", answer=faulty(0))
    compared = compare(["one", "two"], HOME)
    (test,) = compared.document["tests"]
    assert test["p_value"] == pytest.approx(2 / 2**12)
    assert test["value"] == pytest.approx(0.4)
    assert 0.15 < test["low"] < 0.4 < test["high"]
    said = " ".join(compared.text.split())
    assert "two is better than one by 0.4 [" in said
    assert "12 only two gets right and 0 only one" in said
    assert "one network, trained once" in said


def test_p_values_are_corrected_for_their_number() -> None:
    for name, num_wrong in (("one", 0), ("two", 6), ("three", 7)):
        record(name, answer=faulty(num_wrong))
    tests = compare(["one", "two", "three"], HOME).document["tests"]
    assert [each["second"] for each in tests] == ["two", "three"]
    # Holm: the smaller of two twice, the larger once
    assert [each["p_value"] for each in tests] == [2 / 2**6, 2 * 2 / 2**7]


def test_another_seed_is_another_split() -> None:
    record("one")
    record("two", text="seed = 1\n" + text_of(), values=(0.95,))
    compared = compare(["one", "two"], HOME)
    assert compared.document["differences"] == {"two": ["seed: 0 -> 1"]}
    assert compared.document["tests"] == []
    assert compared.text.startswith("Their validation values do not compare")
    said = " ".join(compared.text.split())
    assert said.count("seed: 0 -> 1") == 1, "a difference is told once"
    assert "no verdict on two against one: their test rows are not the same ones" in said
    assert side_by_side(compared)["valid/accuracy"] == ["0.900", "0.950"], "no mark of the best"


def test_other_data_and_another_task_are_named_and_drawn_apart() -> None:
    record("one")
    numbers = text_of("diabetes", "regression")
    record("two", text=numbers, values=(60.0, 50.0), answer=lambda t: t[:, None] + 1.0)
    compared = compare(["one", "two"], HOME)
    (found,) = compared.document["differences"].values()
    assert "objective: accuracy (maximize) -> rmse (minimize)" in found
    assert 'data.source: "iris" -> "diabetes"' in found
    assert "target: species -> progression" in found
    assert sorted(path.name for path in compared.pictures) == [
        "best_so_far_one.svg",
        "best_so_far_two.svg",
        "calibration_one.svg",
        "confusion_matrices_one.svg",
        "predicted_true_two.svg",
        "roc_one.svg",
    ]


def test_rows_that_changed_under_the_same_name_are_noticed() -> None:
    record("one", text=own_table(100.5), answer=None)
    record("two", text=own_table(200.5), answer=None)
    compared = compare(["one", "two"], HOME)
    assert compared.document["differences"] == {"two": ["the contents of the rows"]}


def test_a_column_less_makes_other_data_of_the_same_test_rows() -> None:
    record("one", text=own_table(100.5))
    record("two", text=own_table(100.5, 'drop = ["z"]'), answer=faulty(1))
    compared = compare(["one", "two"], HOME)
    assert 'data.csv.drop: [] -> ["z"]' in compared.document["differences"]["two"]
    assert "The test rows are the same" in compared.text
    (test,) = compared.document["tests"]
    assert (test["only_first"], test["only_second"]) == (1, 0)


def test_a_transform_that_differs_leaves_the_studies_comparable() -> None:
    record("one")
    record("two", text=text_of().replace("[task]", '[data.table]\nscale = "robust"\n[task]'))
    compared = compare(["one", "two"], HOME)
    assert compared.document["differences"] == {"two": []}
    assert len(compared.document["tests"]) == 1


def test_a_regression_has_a_permutation_test() -> None:
    numbers = text_of("diabetes", "regression")
    for name, spread in (("one", 50.0), ("two", 5.0)):
        record(name, text=numbers, values=(spread,), answer=noisy(spread))
    compared = compare(["one", "two"], HOME)
    (test,) = compared.document["tests"]
    assert (test["test"], test["metric"], test["is_more_better"]) == ("permutation", "rmse", False)
    assert test["high"] < 0
    assert test["p_value"] < 0.01
    assert "two is better than one by 4" in " ".join(compared.text.split())
    assert side_by_side(compared)["valid/rmse"] == ["50.00", "5.000", "*"]


def test_an_option_that_one_study_searches_and_another_sets() -> None:
    record("one")
    record("two", text=text_of().replace("{ choice = [4, 8] }", "16") + "batch = 2\n")
    branch = text_of().replace(
        'name = "mlp"\nwidth = { choice = [4, 8] }',
        'one_of = ["mlp", "linear"]\n[model.mlp]\nwidth = { choice = [5, 6] }',
    )
    record("three", text=branch)
    rows = side_by_side(compare(["one", "two", "three"], HOME))
    assert rows["model.width"] == ["4", "16", "5"]
    assert "model.mlp.width" not in rows
    assert "search.batch" not in rows


def test_more_looks_than_one_are_told() -> None:
    record("one", num_looks=3)
    record("two")
    text = " ".join(compare(["one", "two"], HOME).text.split())
    assert "For one the test rows have been looked at 3 times" in text
    assert "For two" not in text


def test_a_study_without_a_complete_trial_is_shown_as_it_is() -> None:
    record("one")
    record("two", values=(None, None), answer=None)
    folder = Home(HOME).study("two")
    (folder.root / "jobs" / "00000" / "events.jsonl").write_text(
        to_line(Failed(0, 2.0, "out of memory"))
    )
    compared = compare(["one", "two"], HOME)
    assert "two    1 (1 failed)" in compared.text
    assert compared.document["studies"][1]["best"] is None
    assert compared.document["studies"][1]["counts"]["failed"] == 1


def test_the_pictures_are_pictures_and_old_ones_go() -> None:
    record("one")
    record("two", values=(0.5, 0.8, None, 0.85))
    folder = HOME / "compare" / "one+two"
    folder.mkdir(parents=True)
    (folder / "stale.svg").write_text("of an earlier comparison")
    compared = compare(["one", "two"], HOME)
    assert [path.name for path in compared.pictures] == [
        "best_so_far.svg",
        "confusion_matrices.svg",
        "roc.svg",
        "calibration.svg",
    ]
    assert sorted(folder.iterdir()) == sorted(compared.pictures)
    for path in compared.pictures:
        assert ET.parse(path).getroot().tag.endswith("svg")  # noqa: S314 - our own


def test_the_document_is_strict_json() -> None:
    record("one", values=(float("inf"), 0.5))
    record("two", answer=None)
    document = compare(["one", "two"], HOME).document
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize("names", [[], ["one"], ["one", "one"], ["one", "one.toml"]])
def test_two_studies_or_more_each_once(names: list[str]) -> None:
    record("one")
    with pytest.raises(UsageError, match="two studies or more"):
        compare(names, HOME)


def test_a_study_that_has_not_run_is_named_with_the_nearest() -> None:
    record("digits")
    with pytest.raises(UsageError, match="Did you mean 'digits'"):
        compare(["digits", "digist"], HOME)
