"""Losses, scaling and its way back."""

from collections.abc import Callable

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


@pytest.mark.parametrize("loss", ["squared", "absolute", "huber"])
def test_trials_together_lose_what_each_loses_alone(loss: Loss) -> None:
    task = regression(TARGETS, loss=loss)
    outputs_KBO, encoded_KB = torch.randn(4, 5, 1), torch.randn(4, 5)
    together = task.losses(outputs_KBO, encoded_KB)
    assert together.shape == (4, 5)
    assert torch.equal(together[3], task.losses(outputs_KBO[3], encoded_KB[3]))
    shared = task.losses(outputs_KBO, encoded_KB[0])
    assert torch.equal(shared[2], task.losses(outputs_KBO[2], encoded_KB[0]))


def test_saying_the_mean_costs_one() -> None:
    task = regression(TARGETS)
    assert float(task.losses(torch.zeros(5, 1), task.encode(TARGETS)).mean()) == pytest.approx(1)


def test_metrics_are_in_the_targets_unit() -> None:
    task = regression(TARGETS)
    metrics = task.metrics((TARGETS + 10)[:, None], TARGETS)
    assert metrics["mae"] == metrics["rmse"] == pytest.approx(10)
    assert metrics.keys() == task.directions.keys()
    assert next(iter(task.directions)) == "rmse"


@pytest.mark.parametrize("targets", [[2.0, 2.0], [1.0, np.nan], [1.0, np.inf]])
def test_targets_that_cannot_be_scaled_are_refused(targets: list[float]) -> None:
    with pytest.raises(DataError, match="all the same, or not finite"):
        regression(np.array(targets))


def test_options_out_of_their_range_are_complained_of() -> None:
    loss = components.options(regression)["loss"]
    assert loss.complaint("cubed")
    assert not loss.complaint(loss.default)


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
