"""Transforms: what they compute, that only train decides, and that ONNX computes the same."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from nnsearch.data.bundled import breast_cancer, digits
from nnsearch.data.examples import Array, Examples
from nnsearch.data.transforms import TableTransform, default_transform, image, table
from nnsearch.errors import DataError
from nnsearch.signature import Column, Signature

Features = npt.NDArray[np.float32]


def mixed(num_rows: int = 200) -> Examples:
    """Numbers with holes, a whole number column, a constant one, and two of categories."""
    generator = np.random.default_rng(0)
    cells = np.column_stack(
        [
            generator.normal(1.7e9, 1e3, num_rows),  # as a time in seconds: too fine for float32
            generator.exponential(size=num_rows),
            np.full(num_rows, 3.0),
            generator.integers(0, 4, num_rows).astype(np.float64),
            generator.integers(0, 2, num_rows).astype(np.float64),
        ]
    )
    cells[::7, 1] = np.nan
    cells[::11, 4] = np.nan
    columns = (
        Column("time"),
        Column("size"),
        Column("same"),
        Column("colour", "categorical", ("a", "b", "c", "d", "e")),
        Column("kind", "categorical", ("u", "v")),
    )
    signature = Signature("table", (5,), "float64", "y", columns)
    return Examples(cells, np.zeros(num_rows), signature)


def applied(module: torch.nn.Module, inputs: Array) -> Features:
    found: Features = module(torch.from_numpy(np.array(inputs))).numpy()
    return found


def exported(module: torch.nn.Module, inputs: Array, path: Path) -> Features:
    """What ONNX Runtime computes, of an export that saw two rows."""
    rows = torch.export.Dim("rows")
    example = torch.from_numpy(np.array(inputs[:2]))
    program = torch.onnx.export(
        module.eval(), (example,), dynamo=True, dynamic_shapes=({0: rows},), verbose=False
    )
    assert program is not None
    program.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found: Features = np.asarray(session.run(None, {session.get_inputs()[0].name: inputs})[0])
    return found


@pytest.mark.parametrize("scale", ["standard", "robust", "minmax"])
def test_scales_are_those_of_scikit_learn(scale: Any) -> None:
    scalers = {"standard": StandardScaler, "robust": RobustScaler, "minmax": MinMaxScaler}
    train = breast_cancer(Path())
    expected = scalers[scale]().fit_transform(train.inputs)
    found = applied(table(train, scale=scale), train.inputs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_features_of_a_mixed_table() -> None:
    train = mixed()
    features = applied(table(train, scale="none"), train.inputs)
    # time, size, size is missing; colour a-d and other; kind u, v and other.
    assert features.shape == (200, 2 + 1 + 4 + 1 + 2 + 1)
    holes = np.isnan(train.inputs[:, 1].astype(np.float64))
    np.testing.assert_array_equal(features[:, 2], holes)
    median = np.nanmedian(train.inputs[:, 1].astype(np.float64))
    np.testing.assert_allclose(features[holes, 1], median, rtol=1e-6)
    np.testing.assert_array_equal(features[:, 3:7].argmax(axis=1), train.inputs[:, 3])
    # In the order numbers, indicators, all categories, then the "other" of each column.
    np.testing.assert_array_equal(features[:, 9], 0)
    np.testing.assert_array_equal(features[:, 10], np.isnan(train.inputs[:, 4].astype(float)))


def test_unseen_category_and_unseen_hole() -> None:
    module = table(mixed(), scale="none")
    row = np.array([[np.nan, 1.0, 3.0, 4.0, 2.0]])
    features = applied(module, row)
    assert np.isfinite(features).all()
    assert features[0, 3:7].tolist() == [0, 0, 0, 0]
    # Every colour of train is one of the four, so that no weight of "other" has learned anything.
    assert features[0, 9] == 0
    assert features[0, 7:9].tolist() == [0, 0]
    assert features[0, 10] == 1, "kinds are missing in train at times"


def test_a_category_that_is_constant_in_train_has_no_feature() -> None:
    columns = tuple(Column(name, "categorical", ("x", "y")) for name in ("same", "other"))
    train = Examples(
        np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 1.0]]),
        np.arange(3),
        Signature("table", (2,), "float64", "y", columns),
    )
    module = table(train)
    assert isinstance(module, TableTransform)
    assert module.places == ((0, 1, 2),)
    assert applied(module, np.array([[1.0, 1.0]])).tolist() == [[0, 1, 0]]


def test_small_differences_of_large_numbers_survive() -> None:
    train = mixed()
    found = applied(table(train), train.inputs)[:, 0]
    exact = train.inputs[:, 0].astype(np.float64)
    exact = (exact - exact.mean()) / exact.std()
    np.testing.assert_allclose(found, exact, atol=1e-5)


@pytest.mark.parametrize(
    ("missing", "fill"), [("mean", 3.0), ("median", 2.0), ("most_frequent", 1)]
)
def test_what_fills_a_hole(missing: Any, fill: float) -> None:
    cells = np.array([[1.0], [1.0], [2.0], [3.0], [8.0], [np.nan]])
    signature = Signature("table", (1,), "float64", "y", (Column("a"),))
    module = table(Examples(cells, np.zeros(6), signature), missing=missing, scale="none")
    assert applied(module, cells)[-1].tolist() == [fill, 1.0]


def test_a_constant_fills_holes_and_counts_in_the_scale() -> None:
    cells = np.array([[1.0], [1.0], [2.0], [8.0], [np.nan]])
    signature = Signature("table", (1,), "float64", "y", (Column("a"),))
    train = Examples(cells, np.zeros(5), signature)
    module = table(train, missing="constant", fill_value=-7.0, scale="none", indicators=False)
    assert applied(module, cells).ravel().tolist() == [1, 1, 2, 8, -7]
    scaled = table(train, missing="constant", fill_value=-7.0, scale="minmax", indicators=False)
    assert applied(scaled, cells)[[3, 4], 0].tolist() == [1, 0]


@pytest.mark.parametrize("scale", ["standard", "robust"])
def test_logarithms_draw_in_both_tails_before_the_scale(scale: Any) -> None:
    cells = np.array([[-1e6], [-1.0], [0.0], [3.0], [10.0], [1e9]])
    signature = Signature("table", (1,), "float64", "y", (Column("a"),))
    train = Examples(cells, np.zeros(6), signature)
    bent = np.sign(cells) * np.log1p(np.abs(cells))
    scaler = StandardScaler() if scale == "standard" else RobustScaler()
    found = applied(table(train, log=True, scale=scale), cells)
    np.testing.assert_allclose(found, scaler.fit_transform(bent), rtol=1e-6, atol=1e-6)
    plain = applied(table(train, log=True, clip=0.5, scale="none"), cells)
    low, high = np.quantile(cells, [0.25, 0.75])
    ends = [np.sign(low) * np.log1p(abs(low)), np.log1p(high)]
    np.testing.assert_allclose([plain.min(), plain.max()], ends, rtol=1e-6)


def test_clip_cuts_both_tails() -> None:
    cells = np.arange(101, dtype=np.float64).reshape(-1, 1)
    signature = Signature("table", (1,), "float64", "y", (Column("a"),))
    module = table(Examples(cells, np.zeros(101), signature), clip=0.2, scale="none")
    found = applied(module, np.array([[-1e9], [50.0], [1e9]]))
    assert found[:, 0].tolist() == [10.0, 50.0, 90.0]


def test_rare_categories_share_a_feature() -> None:
    cells = np.array([[0.0]] * 5 + [[1.0]] * 3 + [[2.0]])
    columns = (Column("c", "categorical", ("x", "y", "z")),)
    signature = Signature("table", (1,), "float64", "y", columns)
    module = table(Examples(cells, np.zeros(9), signature), max_categories=2)
    assert applied(module, np.array([[0.0], [1.0], [2.0]])).tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    "options",
    [
        {"clip": 0.05},
        {"clip": 0.05, "indicators": False},
        {"log": True, "missing": "constant", "fill_value": -2.5},
    ],
)
def test_onnx_computes_the_same_table(tmp_path: Path, options: dict[str, Any]) -> None:
    train = mixed()
    module = table(train, **options)
    inputs = np.concatenate([train.inputs, [[np.nan] * 5, [0, 0, 0, 9, 9]]]).astype(np.float64)
    found = exported(module, inputs, tmp_path / "x.onnx")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, applied(module, inputs), rtol=1e-6, atol=1e-6)


def test_onnx_computes_the_same_images(tmp_path: Path) -> None:
    train = digits(Path())
    module = image(train)
    found = exported(module, train.inputs, tmp_path / "x.onnx")
    np.testing.assert_allclose(found, applied(module, train.inputs), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_are_scaled_by_channel(dtype: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (500, 3, 5, 4)).astype(dtype)
    pixels[:, 1] //= 3
    train = Examples(pixels, np.zeros(500), Signature("image", (3, 5, 4), str(pixels.dtype)))
    found = applied(image(train), pixels)
    np.testing.assert_allclose(found.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=(0, 2, 3)), 1, rtol=1e-4)
    unit = applied(image(train, scale="unit"), pixels)
    assert (unit.min(), unit.max()) == (0, pytest.approx(1))
    np.testing.assert_array_equal(applied(image(train, scale="none"), pixels), pixels)


def test_transforms_have_buffers_only_and_survive_a_checkpoint() -> None:
    train = mixed()
    module = table(train)
    assert list(module.parameters()) == []
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = table(mixed())
    other.load_state_dict(torch.load(file, weights_only=True))
    np.testing.assert_array_equal(applied(module, train.inputs), applied(other, train.inputs))


def test_a_transform_that_does_not_fit_is_refused() -> None:
    assert default_transform(mixed().signature) == "table"
    with pytest.raises(DataError, match="wants columns"):
        table(digits(Path()))
    with pytest.raises(DataError, match="wants images"):
        image(mixed())
    constant = Examples(np.ones((4, 1)), np.zeros(4), breast_cancer(Path()).signature)
    with pytest.raises(DataError, match="no column is left"):
        table(constant_of(constant))


def constant_of(examples: Examples) -> Examples:
    signature = Signature("table", (1,), "float64", "y", (Column("a"),))
    return Examples(examples.inputs, examples.targets, signature)
