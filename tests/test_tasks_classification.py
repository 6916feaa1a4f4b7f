"""Losses, encoding and decoding of classes."""

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from nnsearch import components
from nnsearch.errors import DataError
from nnsearch.models.mlp import mlp
from nnsearch.tasks.classification import classification

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


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_trials_together_lose_what_each_loses_alone(class_weights: str) -> None:
    task = components.load("tasks", "classification")(
        TARGETS, label_smoothing=0.1, class_weights=class_weights
    )
    outputs_KBO, encoded_KB = torch.randn(4, 6, 3), torch.randint(0, 3, (4, 6))
    together = task.losses(outputs_KBO, encoded_KB)
    assert together.shape == (4, 6)
    for outputs, encoded, losses in zip(outputs_KBO, encoded_KB, together, strict=True):
        assert torch.allclose(task.losses(outputs, encoded), losses)
    shared = task.losses(outputs_KBO, encoded_KB[0])
    assert torch.allclose(shared[2], task.losses(outputs_KBO[2], encoded_KB[0]))


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
