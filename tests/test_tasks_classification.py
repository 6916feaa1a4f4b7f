"""Losses, encoding and decoding of classes."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from nnsearch import components
from nnsearch.errors import DataError
from nnsearch.models.mlp import mlp
from nnsearch.tasks.classification import Weighing, classification

TARGETS = np.array([0, 0, 0, 1, 1, 2], dtype=np.int64)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_losses_are_torchs_cross_entropy(label_smoothing: float) -> None:
    task = classification(TARGETS, label_smoothing=label_smoothing)
    outputs, encoded = torch.randn(6, 3), task.encode(TARGETS)
    expected = F.cross_entropy(outputs, encoded, label_smoothing=label_smoothing)
    assert task.outputs == 3
    assert encoded.dtype == torch.int64
    assert torch.allclose(task.losses(outputs, encoded).mean(), expected)


def test_balanced_weights_make_every_class_count_alike() -> None:
    plain, task = classification(TARGETS), classification(TARGETS, class_weights="balanced")
    outputs, encoded = torch.randn(6, 3), task.encode(TARGETS)
    alone, weighted = plain.losses(outputs, encoded), task.losses(outputs, encoded)
    per_class = torch.stack([alone[encoded == index].mean() for index in range(3)])
    assert torch.allclose(weighted.mean(), per_class.mean())
    ratio = F.cross_entropy(outputs, encoded, weight=torch.tensor([2 / 3, 1.0, 2.0]))
    assert torch.allclose(weighted.mean(), ratio)


@pytest.mark.parametrize("class_weights", ["none", "balanced", "effective"])
@pytest.mark.parametrize("focal_gamma", [0.0, 2.0])
def test_trials_together_lose_what_each_loses_alone(class_weights: str, focal_gamma: float) -> None:
    task = components.load("tasks", "classification")(
        TARGETS, label_smoothing=0.1, class_weights=class_weights, focal_gamma=focal_gamma
    )
    outputs_KBO, encoded_KB = torch.randn(4, 6, 3), torch.randint(0, 3, (4, 6))
    together = task.losses(outputs_KBO, encoded_KB)
    assert together.shape == (4, 6)
    for outputs, encoded, losses in zip(outputs_KBO, encoded_KB, together, strict=True):
        assert torch.allclose(task.losses(outputs, encoded), losses)
    shared = task.losses(outputs_KBO, encoded_KB[0])
    assert torch.allclose(shared[2], task.losses(outputs_KBO[2], encoded_KB[0]))


@pytest.mark.parametrize("focal_gamma", [0.5, 1.0, 2.0])
def test_the_focal_loss_is_that_of_the_paper(focal_gamma: float) -> None:
    task = classification(TARGETS, focal_gamma=focal_gamma)
    outputs, encoded = torch.randn(6, 3, dtype=torch.float64), task.encode(TARGETS)
    of_truth = outputs.softmax(dim=1)[torch.arange(6), encoded]
    expected = -((1 - of_truth) ** focal_gamma) * of_truth.log()
    assert torch.allclose(task.losses(outputs, encoded), expected)


@pytest.mark.parametrize("focal_gamma", [0.5, 1.0, 2.0])
def test_the_focal_loss_has_a_slope_where_the_model_is_sure(focal_gamma: float) -> None:
    task = classification(TARGETS, focal_gamma=focal_gamma)
    outputs = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]], requires_grad=True)
    losses = task.losses(outputs, torch.tensor([0, 0]))
    losses.sum().backward()
    assert losses.tolist() == [0, pytest.approx(200)]
    assert outputs.grad is not None
    assert bool(torch.isfinite(outputs.grad).all())
    assert outputs.grad[1].tolist() == [pytest.approx(-1), pytest.approx(1), 0]


@pytest.mark.parametrize("class_weights", ["balanced", "effective"])
def test_the_mean_weight_of_the_training_split_is_one(class_weights: Weighing) -> None:
    task, plain = classification(TARGETS, class_weights=class_weights), classification(TARGETS)
    outputs, encoded = torch.randn(6, 3), task.encode(TARGETS)
    weights = task.losses(outputs, encoded) / plain.losses(outputs, encoded)
    assert float(weights.mean()) == pytest.approx(1)
    assert weights[0] < weights[3] < weights[5]


def test_effective_weights_lie_between_none_and_balanced() -> None:
    targets = np.repeat([0, 1], [900, 100])

    def ratio(**options: Any) -> float:
        losses = classification(targets, **options).losses(torch.zeros(2, 2), torch.tensor([0, 1]))
        return float(losses[1] / losses[0])

    assert ratio() == 1
    assert ratio(class_weights="balanced") == pytest.approx(9)
    expected = (1 - 0.99**900) / (1 - 0.99**100)
    found = ratio(class_weights="effective", effective_beta=0.99)
    assert found == pytest.approx(expected, rel=1e-5)
    assert ratio(class_weights="effective", effective_beta=0.0) == 1


def test_more_than_five_classes_have_a_metric_of_their_own() -> None:
    assert "top_5_accuracy" not in classification(np.arange(5)).directions
    task = classification(np.arange(6))
    assert task.metrics(np.eye(6), np.arange(6)).keys() == task.directions.keys()


def test_predictions_are_probabilities() -> None:
    task = classification(TARGETS)
    predictions = task.decode(torch.randn(5, 3))
    assert predictions.shape == (5, 3)
    assert torch.allclose(predictions.sum(dim=1), torch.ones(5))
    metrics = task.metrics(np.eye(3)[TARGETS], TARGETS)
    assert metrics["accuracy"] == 1
    assert metrics.keys() == task.directions.keys()
    assert next(iter(task.directions)) == "accuracy"


def test_the_encoding_does_not_share_memory_with_the_targets() -> None:
    held = TARGETS.copy()
    held.flags.writeable = False
    classification(TARGETS).encode(held)[0] = 2
    assert held[0] == 0


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="one class only"):
        classification(np.zeros(4, dtype=np.int64))


def test_every_class_that_the_training_split_lacks_is_named() -> None:
    with pytest.raises(DataError) as caught:
        classification(np.array([0, 3, 3]))
    assert [each.message[:7] for each in caught.value.problems] == ["class 1", "class 2"]


def test_a_class_that_only_another_split_has_is_named() -> None:
    with pytest.raises(DataError, match="class 3 is in a split"):
        classification(TARGETS).encode(np.array([0, 3]))


def test_options_out_of_their_range_are_complained_of() -> None:
    known = components.options(classification)
    assert known["label_smoothing"].complaint(1.0)
    assert known["class_weights"].complaint("equal")
    assert known["focal_gamma"].complaint(-1.0)
    assert known["effective_beta"].complaint(1.0)
    assert not any(option.complaint(option.default) for option in known.values())


def test_model_and_decode_export_to_onnx() -> None:
    torch.manual_seed(0)
    task = classification(TARGETS)
    whole = torch.nn.Sequential(mlp((4,), task.outputs, norm="batch"), task.decode).eval()
    example = torch.randn(7, 4)
    program = torch.onnx.export(
        whole,
        (example,),
        dynamo=True,
        verbose=False,
        dynamic_shapes=({0: torch.export.Dim("rows")},),
    )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    rows = torch.randn(3, 4)
    (predictions,) = session.run(None, {session.get_inputs()[0].name: rows.numpy()})
    assert np.allclose(predictions, whole(rows).detach().numpy(), atol=1e-6)
