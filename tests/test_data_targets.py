"""Targets: classes in a stable order, numbers, and what is neither."""

from pathlib import Path

import numpy as np
import pytest

from nnsearch.data.bundled import diabetes, digits, iris
from nnsearch.data.examples import Array, Examples
from nnsearch.data.targets import as_numbers, encode_classes
from nnsearch.errors import DataError
from nnsearch.signature import Column, Signature


def examples_of(targets: object) -> Examples:
    values: Array = np.array(targets)
    if values.dtype.kind == "U":
        values = values.astype(object)
    signature = Signature("table", (1,), "float64", "y", (Column("a"),))
    return Examples(np.zeros((len(values), 1)), values, signature)


@pytest.mark.parametrize(
    ("targets", "labels", "indices"),
    [
        (["b", "a", "b", "a"], ("a", "b"), [1, 0, 1, 0]),
        ([10, 9, 10, 9], ("9", "10"), [1, 0, 1, 0]),
        ([2.0, 1.0, 1.0, 2.0], ("1", "2"), [1, 0, 0, 1]),
        ([0.5, 1.5, 0.5, 1.5], ("0.5", "1.5"), [0, 1, 0, 1]),
    ],
)
def test_classes_are_ordered(
    targets: list[object], labels: tuple[str, ...], indices: list[int]
) -> None:
    encoded = encode_classes(examples_of(targets))
    assert encoded.signature.labels == labels
    assert encoded.targets.tolist() == indices
    assert encoded.targets.dtype == np.int64


def test_labels_of_the_source_are_kept() -> None:
    encoded = encode_classes(iris(Path()))
    assert encoded.signature.labels == ("setosa", "versicolor", "virginica")
    assert np.bincount(encoded.targets.astype(np.int64)).tolist() == [50, 50, 50]


@pytest.mark.parametrize(
    ("targets", "code", "message"),
    [
        (np.arange(9874) * 0.5, "E323", r"9,874 distinct numbers.*Did you mean regression\?"),
        (np.arange(9874), "E323", r"Did you mean regression\?"),
        ([f"text {row}" for row in range(100)], "E323", "100 distinct texts in 100 rows"),
        (["a", "a", "a"], "E322", "one class only: 'a'"),
        (["a", "a", "b", "c"], "E324", "2 classes of 'y' have one row only: 'b', 'c'"),
        ([1.0, np.nan, 2.0], "E321", "missing in 1 rows, the first is row 2"),
    ],
)
def test_what_is_no_class_is_refused(targets: object, code: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        encode_classes(examples_of(targets))
    assert [problem.code for problem in caught.value.problems] == [code]


def test_quantities_of_a_real_data_set_are_refused_as_classes() -> None:
    with pytest.raises(DataError, match="Did you mean regression"):
        encode_classes(diabetes(Path()))


def test_numbers_are_float64_without_labels() -> None:
    numbers = as_numbers(examples_of([1, 2, 3]))
    assert numbers.targets.dtype == np.float64
    assert numbers.signature.labels == ()


def test_labels_that_are_numbers_count_as_numbers() -> None:
    found = as_numbers(digits(Path()))
    assert found.targets[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


@pytest.mark.parametrize(
    ("targets", "code", "message"),
    [
        (
            ["red", "blue"],
            "E325",
            r"\('blue', 'red'\).*Did you mean task.name = \"classification\"",
        ),
        ([1.0, np.inf], "E319", "infinite in row 2"),
        ([3.0, 3.0], "E322", "is 3 in every row"),
        ([1.0, np.nan], "E321", "missing in 1 rows"),
    ],
)
def test_what_is_no_number_is_refused(targets: object, code: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        as_numbers(examples_of(targets))
    assert [problem.code for problem in caught.value.problems] == [code]
