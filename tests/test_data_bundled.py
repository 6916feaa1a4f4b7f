"""The bundled data sets, and that a study file can set every option of every source."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nnsearch.components import load, names, options
from nnsearch.data import bundled


def test_digits_are_small_grey_images() -> None:
    examples = bundled.digits(Path())
    assert (examples.inputs.shape, str(examples.inputs.dtype)) == ((1797, 1, 8, 8), "uint8")
    assert (examples.inputs.min(), examples.inputs.max()) == (0, 16)
    assert examples.signature.labels == tuple("0123456789")


def test_digits_are_scikit_learns() -> None:
    images, classes = load_digits(return_X_y=True)
    examples = bundled.digits(Path())
    assert np.array_equal(examples.inputs.reshape(len(images), -1), images)
    assert np.array_equal(examples.targets, classes)


@pytest.mark.parametrize(
    ("name", "shape", "labels"),
    [
        ("breast_cancer", (569, 30), ("malignant", "benign")),
        ("wine", (178, 13), ("class_0", "class_1", "class_2")),
        ("iris", (150, 4), ("setosa", "versicolor", "virginica")),
        ("diabetes", (442, 10), ()),
    ],
)
def test_tables_have_named_columns(
    name: str, shape: tuple[int, int], labels: tuple[str, ...]
) -> None:
    examples = load("sources", name)(Path())
    assert examples.inputs.shape == shape
    assert examples.inputs.dtype == np.float64
    assert len(examples.signature.columns) == shape[1]
    assert examples.signature.labels == labels
    assert examples.targets.dtype == (np.int64 if labels else np.float64)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ("sources", "transforms") for name in names(kind)]
)
def test_defaults_satisfy_their_own_annotations(kind: str, name: str) -> None:
    found = options(load(kind, name)).values()
    assert [each.complaint(each.default) for each in found if not each.is_required] == [
        "" for each in found if not each.is_required
    ]


def test_a_wrong_option_is_complained_of() -> None:
    assert options(load("sources", "idx"))["limit"].complaint(0)
    assert options(load("sources", "csv"))["delimiter"].complaint("::")
    assert options(load("transforms", "table"))["clip"].complaint(1.0)
    assert options(load("sources", "csv"))["drop"].parse(["a", "b"]) == ("a", "b")
