"""What a predictor looks at, where it is known: columns that are used, pixels that count."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nnsearch.data.series import SeriesTransform
from nnsearch.data.texts import TextTransform
from nnsearch.errors import UsageError
from nnsearch.models.recurrent import gru
from nnsearch.models.sequence import BagOfWords, Tokens
from nnsearch.training.examine import Parts
from nnsearch.training.interpret import (
    integrated_gradients,
    series_gradients,
    shuffled_drops,
    token_gradients,
)

Array = np.ndarray[Any, Any]


class Weighed(nn.Module):
    """The sum of columns with fixed weights; NaN cells count as 0."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.weights = torch.tensor(weights)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, F] to [B, 1]."""
        return (inputs.nan_to_num().float() * self.weights).sum(1, keepdim=True)


class Scaled(nn.Module):
    """Bytes as shares of 255."""

    def forward(self, images: Tensor) -> Tensor:
        """[B, C, H, W] to the same."""
        return images.float() / 255


def parts(model: nn.Module, transforms: nn.Module | None = None) -> Parts:
    return Parts(transforms or nn.Identity(), model.eval(), nn.Identity(), Path())


def less_error(predictions: Array, targets: Array) -> float:
    return -float(np.sqrt(np.mean((predictions[:, 0] - targets) ** 2)))


def test_columns_are_missed_by_their_weight_and_unused_ones_not_at_all() -> None:
    inputs = np.random.default_rng(0).normal(size=(300, 4))
    inputs[::7, 2] = np.nan
    kept = inputs.copy()
    targets = 3 * inputs[:, 0] + inputs[:, 1]
    means, deviations = shuffled_drops(
        parts(Weighed([3.0, 1.0, 0.0, 0.0])), inputs, targets, less_error
    )
    # Shuffling a column of variance 1 with weight w makes an error of w times the root of 2.
    assert means[:2] == pytest.approx([3 * 2**0.5, 2**0.5], rel=0.15)
    assert means[2:].tolist() == deviations[2:].tolist() == [0, 0]
    assert (deviations[:2] > 0).all()
    assert np.array_equal(inputs, kept, equal_nan=True), "the rows are given back as they were"


def test_the_deviation_is_that_of_other_rows_and_shufflings() -> None:
    generator = np.random.default_rng(1)
    found = []
    for seed in range(40):
        inputs = generator.normal(size=(80, 2))
        targets = inputs @ [1.0, 1.0] + generator.normal(size=80)
        model = parts(Weighed([1.0, 1.0]))
        found.append(shuffled_drops(model, inputs, targets, less_error, seed=seed))
    means = np.array([each[0] for each in found])
    deviations = np.array([each[1] for each in found]).mean()
    assert deviations == pytest.approx(means.std(axis=0).mean(), rel=0.35)


def test_the_same_seed_gives_the_same_drops() -> None:
    inputs = np.random.default_rng(0).normal(size=(50, 2))
    model, targets = parts(Weighed([1.0, 2.0])), inputs @ [1.0, 2.0]
    first = shuffled_drops(model, inputs, targets, less_error, seed=3)
    again = shuffled_drops(model, inputs, targets, less_error, seed=3)
    other = shuffled_drops(model, inputs, targets, less_error, seed=4)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def network(num_outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(2 * 6 * 5, 16), nn.Tanh(), nn.Linear(16, num_outputs)
    )


@pytest.mark.parametrize("num_outputs", [3, 1])
def test_attributions_add_up_to_what_they_explain(num_outputs: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 2, 6, 5), dtype=np.uint8)
    answers = np.arange(7) % 3 if num_outputs > 1 else None
    model = network(num_outputs)
    found, gaps = integrated_gradients(parts(model, Scaled()), images, answers)
    assert found.shape == (7, 6, 5)
    assert gaps.max() < 0.02
    with torch.no_grad():
        seen = model(torch.from_numpy(images.astype(np.float32) / 255))
        black = model(torch.zeros(images.shape))
    change = (seen - black).numpy()
    expected = change[:, 0]
    if answers is not None:
        expected = change[np.arange(7), answers] - change.mean(axis=1)
    assert found.sum(axis=(1, 2)) == pytest.approx(expected, rel=0.02, abs=1e-3)


def test_pixels_that_a_linear_model_ignores_have_no_weight() -> None:
    layer = nn.Linear(12, 1, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 5] = 2.0
        layer.weight[0, 6] = -1.0
    images = np.full((1, 1, 3, 4), 51, np.uint8)
    model = parts(nn.Sequential(nn.Flatten(), layer), Scaled())
    found, gaps = integrated_gradients(model, images, None)
    expected = np.zeros(12)
    expected[5:7] = 0.4, -0.2
    assert found.ravel() == pytest.approx(expected, abs=1e-6)
    assert gaps[0] < 1e-5


def some_series(generator: np.random.Generator, *, num_rows: int = 5) -> Array:
    """Series [N, 2, 9] of 4 to 8 steps, with a value that is missing before the end."""
    series = generator.normal(2.0, 1.5, (num_rows, 2, 9)).astype(np.float32)
    for row in range(num_rows):
        series[row, :, 4 + row :] = np.nan
    series[:, 1, 2] = np.nan
    return series


def test_steps_of_a_linear_model_weigh_what_they_say() -> None:
    series = some_series(np.random.default_rng(0))
    mean, deviation = np.array([2.0, 1.0]), np.array([1.5, 0.5])
    layer = nn.Linear(3 * 9, 1, bias=False)
    model = parts(nn.Sequential(nn.Flatten(), layer), SeriesTransform(mean, 1 / deviation))
    found, gaps = series_gradients(model, series, mean, None)
    weights = layer.weight.detach().numpy().reshape(3, 9)[:2]
    expected = weights * (series - mean[:, None]) / deviation[:, None]
    assert found == pytest.approx(np.nan_to_num(expected), abs=1e-5)
    assert found.shape == series.shape
    assert gaps.max() < 1e-3


@pytest.mark.parametrize("answers", [np.array([0, 1, 2, 1, 0]), None])
def test_steps_add_up_to_what_separates_a_series_from_a_flat_one(answers: Array | None) -> None:
    torch.manual_seed(0)
    series, middle = some_series(np.random.default_rng(1)), np.array([2.0, 2.0])
    transforms = SeriesTransform(middle, np.ones(2))
    model = gru((3, 9), 1 if answers is None else 3, width=8)
    found, gaps = series_gradients(parts(model, transforms), series, middle, answers)
    assert gaps.max() < 0.02
    assert (found[np.isnan(series)] == 0).all(), "nothing stands there"
    flat = np.where(np.isnan(series), np.nan, middle[:, None]).astype(np.float32)
    with torch.no_grad():
        seen, base = (model(transforms(torch.from_numpy(each))) for each in (series, flat))
    change = (seen - base).numpy()
    expected = change[:, 0]
    if answers is not None:
        expected = change[np.arange(5), answers] - change.mean(axis=1)
    assert found.sum(axis=(1, 2)) == pytest.approx(expected, rel=0.02, abs=1e-3)


TEXTS = np.array([[2, 3, 4, 0, 0], [5, 2, 9, 6, 3], [4, 1, 0, 0, 0]], np.int32)


def test_words_of_a_bag_weigh_what_they_are_worth() -> None:
    bag = BagOfWords(7, 2)
    with torch.no_grad():
        bag.weights.weight[:] = torch.arange(14.0).reshape(7, 2) * torch.tensor([1.0, -1.0])
        bag.weights.weight[0] = 0
    found, gaps = token_gradients(parts(bag, TextTransform(7, 4)), TEXTS, np.array([0, 1, 0]))
    worth = bag.weights.weight.detach().numpy()
    # The fifth word is cut off, and the word 9 is one that the model does not know.
    seen = np.array([[2, 3, 4, 0], [5, 2, 1, 6], [4, 1, 0, 0]])
    expected = worth[seen, np.array([0, 1, 0])[:, None]] - worth[seen].mean(axis=2)
    assert found == pytest.approx(expected, rel=1e-5)
    assert gaps.max() < 1e-5


def test_words_of_a_network_add_up_and_what_is_behind_the_end_is_nothing() -> None:
    torch.manual_seed(0)
    model = gru(Tokens(5, 10), 3, width=8)
    found, gaps = token_gradients(parts(model, TextTransform(10, 5)), TEXTS, np.array([2, 0, 1]))
    assert found.shape == (3, 5)
    assert gaps.max() < 0.02
    assert (found[TEXTS == 0] == 0).all()
    assert (found[TEXTS != 0] != 0).all()
    again, _ = token_gradients(parts(model, TextTransform(10, 5)), TEXTS, np.array([2, 0, 1]))
    assert np.array_equal(again, found), "the model is left as it was"


def test_a_model_without_an_embedding_says_so() -> None:
    with pytest.raises(UsageError, match="no embedding"):
        token_gradients(parts(nn.Linear(5, 2), TextTransform(10, 5)), TEXTS, None)
