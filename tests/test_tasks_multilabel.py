"""Several labels at once: losses, metrics, reading, and trials together."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from company import DOUBLE, Materials, assert_equal, trials_of
from lessons import Classroom, classroom_of
from sklearn import metrics as reference

from nnsearch.data.tables import csv
from nnsearch.data.targets import encode_classes, several_labels
from nnsearch.errors import DataError
from nnsearch.study.spec import Component, Objective
from nnsearch.tasks.multilabel import Weighing, multilabel, multilabel_metrics
from nnsearch.training.fuse import plan

STUDY = """
[data]
source = "csv"
split = { by = "random" }
[data.csv]
path = "genes.csv"
labels = ["odd", "large"]
[task]
name = "multilabel"
[model]
name = "mlp"
width = 12
[optimizer]
name = "adam"
lr = 0.01
[training]
epochs = 3
batch_size = 32
[search]
trials = 1
"""
TARGETS = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 1]])


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    folder = tmp_path_factory.mktemp("genes")
    cells = np.random.default_rng(0).normal(size=(240, 3))
    labels = np.stack([cells[:, 0] * cells[:, 1] > 0, cells[:, 2] > 0.5], axis=1)
    lines = [
        ",".join([*(f"{cell:.4f}" for cell in row), *(str(int(each)) for each in there)])
        for row, there in zip(cells.tolist(), labels.tolist(), strict=True)
    ]
    (folder / "genes.csv").write_text("\n".join(["a,b,c,odd,large", *lines]))
    return classroom_of(folder, "genes", STUDY)


@pytest.mark.parametrize("label_weights", ["none", "balanced"])
def test_losses_are_torchs_and_slopes_are_theirs(label_weights: Weighing) -> None:
    task = multilabel(TARGETS, label_weights=label_weights)
    outputs = torch.randn(5, 4, 3, dtype=torch.float64, requires_grad=True)
    encoded = task.encode(TARGETS).double()
    share = torch.tensor([0.25, 0.25, 1.0])
    present, absent = 0.5 / share, 0.5 / (1 - share)
    weights = torch.where(encoded > 0, present, absent)
    weights[:, 2] = 1  # all rows have it: nothing to balance
    found = task.losses(outputs, encoded)
    wanted = F.binary_cross_entropy_with_logits(
        outputs, encoded.expand_as(outputs), reduction="none"
    )
    wanted = (wanted * (weights if label_weights == "balanced" else 1)).mean(-1)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)
    assert task.slopes is not None
    losses, slopes = task.slopes(outputs.detach(), encoded)
    torch.testing.assert_close(losses, found.detach())
    torch.testing.assert_close(slopes, torch.autograd.grad(found.sum(), outputs)[0])


def test_metrics_are_scikit_learns() -> None:
    generator = np.random.default_rng(1)
    truth = (generator.random((80, 5)) < [0.5, 0.1, 0.9, 0.3, 0.6]).astype(int)
    scores = np.clip(0.6 * truth + 0.5 * generator.random((80, 5)), 0, 1)
    called = scores >= 0.5
    found = multilabel_metrics(scores, truth)
    for mean in ("micro", "macro", "samples"):
        wanted = reference.f1_score(truth, called, average=mean, zero_division=0)
        assert found[f"f1_{mean}"] == pytest.approx(wanted)
    assert found["precision_micro"] == pytest.approx(
        reference.precision_score(truth, called, average="micro")
    )
    assert found["recall_micro"] == pytest.approx(
        reference.recall_score(truth, called, average="micro")
    )
    assert found["roc_auc_macro"] == pytest.approx(reference.roc_auc_score(truth, scores))
    assert found["pr_auc_macro"] == pytest.approx(reference.average_precision_score(truth, scores))
    assert found["subset_accuracy"] == pytest.approx(reference.accuracy_score(truth, called))
    assert found["hamming_loss"] == pytest.approx(reference.hamming_loss(truth, called))


def test_nothing_there_and_nothing_called_is_0_and_no_error() -> None:
    found = multilabel_metrics(np.full((3, 2), 0.2), np.zeros((3, 2), int))
    assert found["f1_micro"] == found["f1_macro"] == found["recall_micro"] == 0
    assert (found["roc_auc_macro"], found["pr_auc_macro"]) == (0.5, 0)
    assert found["subset_accuracy"] == 1


def test_trials_of_several_labels_train_together_as_alone(room: Classroom) -> None:
    trials = trials_of(
        room,
        [{}, {"model__dropout": 0.3}, {"task": Component("multilabel")}],
        optimizer=Component("adam", {"lr": 0.02}),
    )
    assert len(plan(trials)) == 1
    assert_equal(trials, Materials(room, DOUBLE), Objective("f1_micro", "maximize"))


def test_labels_that_are_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "genes.csv").write_text("a,b,x,y\n1,2,0,1\n2,3,1,1\n3,5,2,0\n")
    with pytest.raises(DataError, match="the label 'x' is 2 here") as told:
        csv(tmp_path, path="genes.csv", labels=("x", "y"))
    assert told.value.problems[0].where == "genes.csv:4"
    with pytest.raises(DataError, match="either target or labels"):
        csv(tmp_path, path="genes.csv")
    with pytest.raises(DataError, match="there is no column 'z'"):
        csv(tmp_path, path="genes.csv", labels=("y", "z"))
    one = csv(tmp_path, path="genes.csv", target="y")
    with pytest.raises(DataError, match="one column, not several labels"):
        several_labels(one)
    (tmp_path / "same.csv").write_text("a,x,y\n1,0,1\n2,1,1\n")
    with pytest.raises(DataError, match=r'task\.name = "multilabel"'):
        encode_classes(csv(tmp_path, path="same.csv", labels=("x", "y")))
    with pytest.raises(DataError, match="1 labels are the same in every row: 'y'"):
        several_labels(csv(tmp_path, path="same.csv", labels=("x", "y")))


def test_a_column_that_is_a_label_is_a_leak(tmp_path: Path) -> None:
    cells = np.random.default_rng(0).normal(size=50)
    lines = [f"{cell:.3f},{cell > 0:d},{cell > 1:d},{3 * (cell > 1):d}" for cell in cells]
    (tmp_path / "genes.csv").write_text("\n".join(["a,odd,large,b", *lines]))
    with pytest.raises(DataError, match="column 'b' is equal to the target"):
        classroom_of(tmp_path, "leak", STUDY)
