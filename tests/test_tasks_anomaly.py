"""Anomalies: scores, thresholds, verdicts, and a training split that knows none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lessons import Classroom, classroom_of, learned
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score
from torch import nn

from nnsearch.data.anomalies import encode_anomalies, normal_in_train
from nnsearch.data.bundled import iris
from nnsearch.errors import DataError
from nnsearch.exporting.onnx import onnx
from nnsearch.exporting.parity import parity
from nnsearch.exporting.predictor import Predictor
from nnsearch.models.stacked_layer import NotStackableError
from nnsearch.study.spec import Component, Objective
from nnsearch.tasks.anomaly import (
    THRESHOLD,
    Unexplained,
    Verdict,
    anomaly,
    anomaly_metrics,
    best_threshold,
)
from nnsearch.tasks.task import Settling
from nnsearch.training.evaluate import predict
from nnsearch.training.fuse import can_fuse, plan
from nnsearch.training.group import make_group
from nnsearch.training.material import gather

STUDY = """
[data]
source = "digits"
[task]
name = "anomaly"
normal = ["0", "1", "2", "3", "5", "6", "7", "8", "9"]
[model]
name = "autoencoder"
[optimizer]
name = "adam"
lr = 0.01
[training]
epochs = 8
[search]
trials = 1
"""
BY_ROC = Objective("roc_auc", "maximize")


class Halved(nn.Module):
    """Gives back half of its input, with a penalty of 7 where asked for."""

    def __init__(self, *, penalty: bool = False) -> None:
        super().__init__()
        self.penalty = penalty

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, D] to [B, D] or [B, D + 1]."""
        return torch.cat([x / 2, torch.full((len(x), 1), 7.0)], 1) if self.penalty else x / 2


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom_of(tmp_path_factory.mktemp("room"), "digits", STUDY)


def test_the_score_is_the_mean_error_of_the_reconstruction() -> None:
    x = torch.tensor([[2.0, 4.0], [0.0, 0.0]])
    squared = Unexplained(Halved(), "squared", "quantile", 0.5)
    assert squared(x)[:, 0].tolist() == [2.5, 0.0]
    absolute = Unexplained(Halved(penalty=True), "absolute", "quantile", 0.5)
    assert absolute(x)[:, :2].tolist() == [[1.5, 7.0], [0.0, 7.0]]
    task = anomaly(np.zeros(2, np.int64))
    assert task.losses(absolute(x), task.encode(np.array([0, 0]))).tolist() == [8.5, 7.0]


def test_an_anomaly_has_no_part_in_the_loss() -> None:
    task = anomaly(np.zeros(2, np.int64))
    outputs = torch.tensor([[3.0, 1.0, 9.0], [5.0, 0.0, 9.0]])
    losses = task.losses(outputs, task.encode(np.array([0, 1])))
    assert losses[1] == 0
    assert losses.mean() == 4, "the mean of a split is that of its normal rows"
    assert task.losses(outputs, task.encode(np.array([1, 1]))).tolist() == [0.0, 0.0]


def test_a_faint_copy_is_shown_as_faint_as_it_is() -> None:
    images = torch.linspace(0, 1, 6 * 4).reshape(6, 1, 2, 2)
    model = Unexplained(Halved(), "squared", "best_f1", 0.95)
    look = anomaly(np.zeros(2, np.int64)).show
    assert look is not None
    shown = look(model, images, np.array([0, 1, 0, 0, 1, 0]))
    assert list(shown) == [
        "note", "normal", "normal, given back", "anomaly", "anomaly, given back"
    ]  # fmt: skip
    assert int(shown["normal"].max()) == 255
    assert int(shown["normal, given back"].max()) == 128
    assert look(model, images[:, :, 0, 0], np.zeros(6)) == {}


def test_a_verdict_turns_at_the_threshold() -> None:
    outputs = torch.tensor([[2.0, 0.0, 4.0], [4.0, 0.0, 4.0], [12.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    odd = Verdict()(outputs)
    assert odd[:, 1].tolist() == pytest.approx([1 / 3, 0.5, 0.75, 0.0])
    assert odd.sum(1).tolist() == [1.0] * 4


@pytest.mark.parametrize("seed", range(5))
def test_the_best_threshold_is_the_one_that_scikit_learn_would_find(seed: int) -> None:
    generator = np.random.default_rng(seed)
    errors = generator.integers(0, 20, 60).astype(float)  # with ties
    is_odd = generator.random(60) < 1 / (1 + np.exp(10 - errors))
    found = f1_score(is_odd, errors > best_threshold(errors, is_odd))
    ends = np.concatenate([[-1], np.unique(errors)])
    assert found == pytest.approx(max(f1_score(is_odd, errors > each) for each in ends))


def test_a_quantile_needs_no_anomaly() -> None:
    model = Unexplained(Halved(), "squared", "quantile", 0.9)
    assert isinstance(model, Settling)
    outputs = torch.stack([torch.arange(11.0), torch.zeros(11), torch.zeros(11)], dim=1)
    targets = np.array([0] * 10 + [1])
    settled = model.settle(outputs, targets)
    assert float(model.threshold) == pytest.approx(8.1)
    assert settled[:, THRESHOLD].tolist() == pytest.approx([8.1] * 11)
    by_f1 = Unexplained(Halved(), "squared", "best_f1", 0.9)
    by_f1.settle(outputs[:10], targets[:10])
    assert float(by_f1.threshold) == pytest.approx(8.1)


def test_metrics_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    odd, truth = generator.random(200), generator.integers(0, 2, 200)
    found = anomaly_metrics(np.stack([1 - odd, odd], axis=1), truth)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(truth, odd))
    assert found["f1"] == pytest.approx(f1_score(truth, odd > 0.5))
    assert found["precision"] == pytest.approx(precision_score(truth, odd > 0.5))
    assert found["recall"] == pytest.approx(recall_score(truth, odd > 0.5))
    quiet = anomaly_metrics(np.array([[0.9, 0.1]] * 3), np.array([0, 0, 1]))
    assert (quiet["precision"], quiet["recall"], quiet["f1"]) == (0, 0, 0)


def test_training_sees_no_anomaly_and_the_threshold_is_kept_with_the_weights(
    room: Classroom, tmp_path: Path
) -> None:
    pupil = room.pupil()
    assert bool((pupil.material.train_targets == 1).all()), "each row counts, and all alike"
    assert pupil.material.valid_targets.any()
    before = first_value(room)
    kept = learned(pupil, BY_ROC)
    assert kept.metrics["valid/roc_auc"] > max(0.9, before)
    assert float(kept.weights["threshold"]) not in {0.0, 1.0}
    again = room.pupil()
    again.model.load_state_dict(kept.weights)
    outputs = again.model.eval()(again.material.valid)
    predictions = again.material.task.decode(outputs).detach().numpy()
    np.testing.assert_array_equal(predictions, kept.predictions)
    predictor = Predictor(again.material.transforms, again.model, again.material.task.decode)
    raw = np.random.default_rng(0).integers(0, 17, (40, 1, 8, 8)).astype(np.uint8)
    assert parity(predictor, onnx(predictor, raw, tmp_path), raw) < 1e-5


def first_value(room: Classroom) -> float:
    """What the model says before it has learned: hardly more than the size of the input."""
    pupil = room.pupil()
    predictions, _ = predict(pupil.model, pupil.material)
    return pupil.material.task.metrics(predictions, pupil.material.valid_raw)["roc_auc"]


def test_trials_with_a_module_of_the_task_around_them_train_alone(room: Classroom) -> None:
    assert not can_fuse(room.trial)
    assert plan([room.trial, room.trial]) == [[room.trial], [room.trial]]


def test_a_model_that_could_be_fused_is_found_out_when_it_is_built(room: Classroom) -> None:
    trial = room.changed(model=Component("mlp", {"width": 8})).trial
    assert can_fuse(trial)
    with pytest.raises(NotStackableError, match="Unexplained has no stacked form"):
        make_group(
            [trial], lambda each: gather(each, room.data, room.code, torch.device("cpu")), room.code
        )


def test_names_tell_normal_rows_from_the_others() -> None:
    encoded = encode_anomalies(iris(Path()), ("setosa", "virginica"))
    assert encoded.signature.labels == ("normal", "anomaly")
    assert encoded.targets.tolist() == [0] * 50 + [1] * 50 + [0] * 50
    rows = {
        "train": np.arange(0, 150, 2),
        "valid": np.arange(1, 150, 4),
        "test": np.arange(3, 150, 4),
    }
    told, kept = normal_in_train(encoded, rows)
    assert not encoded.targets[kept["train"]].any()
    assert len(kept["train"]) == 50
    assert "25 anomalies" in told.notes[-1]
    assert all(kept[part] is rows[part] for part in ("valid", "test"))


def test_names_that_say_nothing_are_refused() -> None:
    with pytest.raises(DataError, match=r"no class 'setsa'.*Did you mean 'setosa'"):
        encode_anomalies(iris(Path()), ("setsa",))
    with pytest.raises(DataError, match="no anomaly"):
        encode_anomalies(iris(Path()), ("setosa", "virginica", "versicolor"))
    with pytest.raises(DataError, match="no class is named normal"):
        encode_anomalies(iris(Path()), ())
