"""Losses, scaling and its way back."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nnsearch import components
from nnsearch.errors import DataError
from nnsearch.models.cnn import cnn
from nnsearch.tasks.regression import Loss, regression

TARGETS = np.array([100.0, 140.0, 90.0, 230.0, 175.0])


def test_targets_are_scaled_by_the_training_split_and_predictions_back() -> None:
    task = regression(TARGETS)
    encoded = task.encode(TARGETS)
    assert encoded.dtype == torch.float32
    assert float(encoded.mean()) == pytest.approx(0, abs=1e-6)
    assert float(encoded.std(correction=0)) == pytest.approx(1)
    back = task.decode(encoded[:, None])
    assert back.shape == (5, 1)
    assert np.allclose(back[:, 0].numpy(), TARGETS)
    other = task.encode(np.array([TARGETS.mean() + 2 * TARGETS.std()]))
    assert float(other[0]) == pytest.approx(2)


@pytest.mark.parametrize(
    ("loss", "torchs"),
    [("squared", F.mse_loss), ("absolute", F.l1_loss), ("huber", F.huber_loss)],
)
def test_losses_are_torchs(loss: Loss, torchs: Callable[[Tensor, Tensor], Tensor]) -> None:
    task = regression(TARGETS, loss=loss)
    outputs, encoded = 3 * torch.randn(5, 1), task.encode(TARGETS)
    assert torch.allclose(task.losses(outputs, encoded).mean(), torchs(outputs[:, 0], encoded))


@pytest.mark.parametrize("delta", [0.3, 2.0])
def test_huber_bends_where_it_is_told_to(delta: float) -> None:
    task = regression(TARGETS, loss="huber", delta=delta)
    outputs, encoded = 3 * torch.randn(5, 1), task.encode(TARGETS)
    expected = F.huber_loss(outputs[:, 0], encoded, delta=delta)
    assert torch.allclose(task.losses(outputs, encoded).mean(), expected)


def test_log_cosh_is_what_it_says_and_does_not_overflow() -> None:
    task = regression(TARGETS, loss="log_cosh")
    errors = torch.tensor([-3.0, -0.1, 0.0, 0.5, 4.0], dtype=torch.float64)
    zeros = torch.zeros_like(errors)
    assert torch.allclose(task.losses(errors[:, None], zeros), errors.cosh().log())
    far = task.losses(torch.tensor([[-1e4], [1e4]]), torch.zeros(2))
    assert far.tolist() == pytest.approx([1e4, 1e4], rel=1e-3)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_the_quantile_loss_is_least_at_the_quantile(quantile: float) -> None:
    values = np.random.default_rng(0).exponential(size=2001)
    task = regression(values, loss="quantile", quantile=quantile)
    encoded = task.encode(values)
    guesses = torch.linspace(-2, 4, 1201)
    means = torch.stack([task.losses(guess.expand(2001, 1), encoded).mean() for guess in guesses])
    best = task.decode(guesses[means.argmin()].view(1, 1))
    assert float(best) == pytest.approx(np.quantile(values, quantile), abs=0.02)
    scaled = means.min() * values.std()
    found = task.metrics(np.full((2001, 1), float(best)), values)["pinball"]
    assert found == pytest.approx(float(scaled), rel=1e-3)
    assert next(iter(task.directions)) == "pinball"
    assert task.metrics(values[:, None], values).keys() == task.directions.keys()


@pytest.mark.parametrize("loss", get_args(Loss))
def test_trials_together_lose_what_each_loses_alone(loss: Loss) -> None:
    task = regression(TARGETS, loss=loss)
    outputs_KBO, encoded_KB = torch.randn(4, 5, 1), torch.randn(4, 5)
    together = task.losses(outputs_KBO, encoded_KB)
    assert together.shape == (4, 5)
    # To rounding: which numbers a CPU computes side by side is a matter of how many there are.
    torch.testing.assert_close(together[3], task.losses(outputs_KBO[3], encoded_KB[3]))
    shared = task.losses(outputs_KBO, encoded_KB[0])
    torch.testing.assert_close(shared[2], task.losses(outputs_KBO[2], encoded_KB[0]))


def test_saying_the_mean_costs_one() -> None:
    task = regression(TARGETS)
    assert float(task.losses(torch.zeros(5, 1), task.encode(TARGETS)).mean()) == pytest.approx(1)


def test_metrics_are_in_the_targets_unit() -> None:
    task = regression(TARGETS)
    metrics = task.metrics((TARGETS + 10)[:, None], TARGETS)
    assert metrics["mae"] == metrics["rmse"] == pytest.approx(10)
    assert metrics.keys() == task.directions.keys()
    assert next(iter(task.directions)) == "rmse"


@pytest.mark.parametrize("targets", [[2.0, 2.0], [0.1] * 7, [1.0, np.nan], [1.0, np.inf]])
def test_targets_that_cannot_be_scaled_are_refused(targets: list[float]) -> None:
    with pytest.raises(DataError, match="all the same, or not finite"):
        regression(np.array(targets))


def test_options_out_of_their_range_are_complained_of() -> None:
    loss = components.options(regression)["loss"]
    assert loss.complaint("cubed")
    assert not loss.complaint(loss.default)
    assert components.options(regression)["quantile"].complaint(1.0)
    assert components.options(regression)["delta"].complaint(0.0)


def test_model_and_decode_export_to_onnx() -> None:
    torch.manual_seed(0)
    task = regression(TARGETS)
    model = cnn((1, 8, 8), task.outputs, channels=4, block="residual", norm="group", head="average")
    whole = torch.nn.Sequential(model, task.decode).eval()
    example = torch.randn(7, 1, 8, 8)
    program = torch.onnx.export(
        whole,
        (example,),
        dynamo=True,
        verbose=False,
        dynamic_shapes=({0: torch.export.Dim("rows")},),
    )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    rows = torch.randn(3, 1, 8, 8)
    (predictions,) = session.run(None, {session.get_inputs()[0].name: rows.numpy()})
    assert np.allclose(predictions, whole(rows).detach().numpy(), rtol=1e-5)
