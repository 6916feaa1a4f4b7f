"""The audit: leaks are errors, accidents are warnings, honest data gets neither."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nnsearch.data import bundled
from nnsearch.data.checks import audit
from nnsearch.data.examples import Array, Examples
from nnsearch.data.findings import Finding
from nnsearch.data.split import split
from nnsearch.data.targets import as_numbers, encode_classes
from nnsearch.signature import Column, Signature
from nnsearch.study.spec import Split

Numbers = npt.NDArray[np.float64]
RANDOM = np.random.default_rng(0)


def table(
    cells: Numbers, targets: Array, *, names: tuple[str, ...] = (), labels: int = 0
) -> Examples:
    columns = tuple(Column(name) for name in names or map(str, range(cells.shape[1])))
    texts = tuple(f"class {index}" for index in range(labels))
    signature = Signature("table", (len(columns),), "float64", "y", columns, texts)
    return Examples(cells, targets, signature)


def codes(examples: Examples, spec: Split | None = None) -> list[str]:
    return [each.code for each in audit(examples, split(examples, spec or Split(), 0))]


@pytest.fixture
def cells() -> Numbers:
    return np.random.default_rng(1).normal(size=(100, 3))


@pytest.fixture
def classes() -> npt.NDArray[np.int64]:
    return np.arange(100, dtype=np.int64) % 2


def test_bundled_data_has_no_error() -> None:
    for source in (bundled.digits, bundled.breast_cancer, bundled.wine, bundled.iris):
        examples = encode_classes(source(Path()))
        found = audit(examples, split(examples, Split(), 0))
        assert [each for each in found if each.level == "error"] == []
    numbers = as_numbers(bundled.diabetes(Path()))
    assert audit(numbers, split(numbers, Split(), 0)) == []


def test_copies_across_splits_are_counted(cells: Numbers, classes: Array) -> None:
    cells[2:4] = cells[0:2]
    examples = table(cells, classes, labels=2)
    halves = {"train": np.arange(50), "valid": np.arange(50, 75), "test": np.arange(75, 100)}
    assert audit(examples, halves) == []
    apart = {**halves, "train": np.arange(2, 50), "valid": np.array([0, 1, *range(50, 75)])}
    (found,) = audit(examples, apart)
    assert (found.level, found.code) == ("warning", "W351")
    assert found.message.startswith("2 rows of valid and 0 of test")
    many = {"train": np.arange(2, 90), "valid": np.array([0, 1]), "test": np.arange(90, 100)}
    assert [(each.level, each.code) for each in audit(examples, many)] == [("error", "E351")]


def test_equal_inputs_of_other_targets_are_no_copies(cells: Numbers, classes: Array) -> None:
    cells[1] = cells[0]
    rows = {"train": np.arange(1, 60), "valid": np.array([0, 60, 61]), "test": np.arange(62, 100)}
    assert audit(table(cells, classes, labels=2), rows) == []


def test_a_column_equal_to_the_target_is_a_leak(cells: Numbers, classes: Array) -> None:
    cells[:, 1] = np.where(classes == 0, 7.0, -3.0)
    examples = table(cells, classes, names=("a", "copy", "c"), labels=2)
    (found,) = audit(examples, split(examples, Split(), 0))
    assert found == Finding(
        "error",
        "E352",
        "column 'copy' is equal to the target.",
        'Use drop = ["copy"], or set allow_leaky.',
        "copy",
    )
    assert str(found).startswith("error[E352]: column 'copy' is equal to the target. Use drop")


def test_the_target_in_another_unit_is_a_leak(cells: Numbers) -> None:
    targets = RANDOM.normal(size=100)
    cells[:, 2] = targets * 2.54 + 10
    assert codes(table(cells, targets)) == ["E352"]
    cells[:, 2] += RANDOM.normal(size=100) * 0.01
    assert codes(table(cells, targets)) == ["W352"]
    cells[:, 2] += RANDOM.normal(size=100) * 2
    assert codes(table(cells, targets)) == []


def test_an_id_is_a_leak(cells: Numbers, classes: Array) -> None:
    cells[:, 0] = RANDOM.permutation(100) + 5000
    assert codes(table(cells, classes, labels=2)) == ["E353"]
    cells[:, 0] = RANDOM.permutation(100) * 3
    assert codes(table(cells, classes, labels=2)) == []
    named = table(cells, classes, names=("user_id", "b", "c"), labels=2)
    (found,) = audit(named, split(named, Split(), 0))
    assert (found.code, found.column) == ("E353", "user_id")


def test_a_test_earlier_than_train_is_a_leak(cells: Numbers, classes: Array) -> None:
    plain = table(cells, classes, labels=2)
    examples = Examples(plain.inputs, plain.targets, plain.signature, times=np.arange(100.0))
    assert codes(examples) == ["E354", "E354"]
    assert codes(examples, Split(by="time")) == []


def test_absent_and_small_classes(cells: Numbers) -> None:
    classes = np.array([0] * 50 + [1] * 46 + [2] * 4)
    examples = table(cells, classes, labels=3)
    rows = {"train": np.arange(96), "valid": np.array([96, 97]), "test": np.array([98, 99])}
    found = audit(examples, rows)
    assert [each.code for each in found] == ["E355", "W355", "W355"]
    assert "'class 2'" in found[0].message
    assert codes(examples) == ["W356"]


def test_columns_that_say_nothing_in_train(cells: Numbers, classes: Array) -> None:
    cells[:60, 0] = 1.0
    cells[:60, 1] = np.nan
    rows = {"train": np.arange(60), "valid": np.arange(60, 80), "test": np.arange(80, 100)}
    found = audit(table(cells, classes, labels=2), rows)
    assert [(each.code, each.level) for each in found] == [("W357", "warning")] * 2
    assert [(each.column, each.message) for each in found] == [
        ("1", "column '1' has no value in train."),
        ("0", "column '0' is constant in train."),
    ]
    cells[:60, 2] = 2.0
    several = audit(table(cells, classes, labels=2), rows)[-1]
    assert (several.column, several.message) == (
        "",
        "2 columns of which each is constant in train: '0', '2'.",
    )
