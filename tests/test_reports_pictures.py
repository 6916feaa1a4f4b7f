"""The artifacts of a trial: all that are promised, and true."""

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from nnsearch.events import Epoch
from nnsearch.reports import plots
from nnsearch.reports.pictures import (
    Artifact,
    classification_report,
    confusion,
    histories,
    pictures,
    report_text,
)

EPOCHS = [
    Epoch(0, each, 0.0, 0.1, {"train/loss": 1 / each, "valid/loss": 2 / each, "valid/f1": 0.5})
    for each in range(1, 6)
]
LABELS = [str(each) for each in range(10)]
SVG = b"<svg xmlns="


def made(
    predictions: NDArray[Any], targets: NDArray[Any], labels: list[str]
) -> dict[str, Artifact]:
    return pictures(predictions, targets, labels, EPOCHS, objective_key="valid/f1", kept_epoch=3)


def rows(num_classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    targets = np.arange(100) % num_classes
    scores = generator.dirichlet(np.ones(num_classes), 100)
    scores[np.arange(100), targets] += 0.4
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), targets


@pytest.mark.parametrize("num_classes", [2, 10, 30])
def test_a_classifier_gets_every_artifact(num_classes: int) -> None:
    predictions, targets = rows(num_classes)
    labels = [f"class {each}" for each in range(num_classes)]
    found = made(predictions, targets, labels)
    assert set(found) == {
        "learning_curves.svg", "confusion_matrix.svg", "confusion_matrix.json",
        "classification_report.json", "classification_report.txt", "roc.svg",
        "precision_recall.svg",
    }  # fmt: skip
    for name, content in found.items():
        if isinstance(content, bytes):
            assert name.endswith(".svg")
            assert content.startswith(SVG)
        elif isinstance(content, dict):
            assert json.loads(json.dumps(content, allow_nan=False)) == content
    matrix = found["confusion_matrix.json"]
    assert isinstance(matrix, dict)
    expected = metrics.confusion_matrix(targets, predictions.argmax(axis=1))
    assert matrix == {"labels": labels, "counts": expected.tolist()}


def test_a_regressor_gets_its_own() -> None:
    targets = np.linspace(0, 1, 30)
    found = made(targets[:, None].astype(np.float32), targets, [])
    assert set(found) == {"learning_curves.svg", "residuals.svg", "predicted_true.svg"}
    assert all(isinstance(each, bytes) and each.startswith(SVG) for each in found.values())


def test_without_predictions_there_are_still_the_curves() -> None:
    assert set(made(np.empty((0, 10)), np.empty(0, int), LABELS)) == {"learning_curves.svg"}
    assert histories([], objective_key="valid/f1", kept_epoch=1) == {}


@pytest.mark.parametrize("shape", [(5, 10), (6, 9)])
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="10 labels"):
        made(np.zeros(shape), np.zeros(6, int), LABELS)


def test_classes_that_are_absent_and_never_predicted_are_reported_as_zero() -> None:
    targets, predicted = np.array([0, 0, 2]), np.array([0, 2, 2])
    report = classification_report(confusion(predicted, targets, 3), ["a", "b", "c"])
    assert report["b"] == {"precision": 0, "recall": 0, "f1-score": 0, "support": 0}
    assert report["c"]["precision"] == 0.5
    assert confusion(predicted, targets, 3).tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    found = made(np.eye(3)[predicted], targets, ["a", "b", "c"])
    assert found["classification_report.json"] == report


def test_a_label_may_be_named_as_a_summary() -> None:
    report = classification_report(np.eye(2, dtype=np.int64), ["accuracy", "macro avg"])
    assert report["accuracy"] == 1.0
    assert report["class accuracy"]["support"] == 1
    assert report["class macro avg"]["support"] == 1


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_the_report_is_scikit_learns(num_classes: int) -> None:
    generator = np.random.default_rng(num_classes)
    targets, predicted = generator.integers(0, num_classes, (2, 40))
    labels = [f"class {index}" for index in range(num_classes)]
    theirs = metrics.classification_report(
        targets,
        predicted,
        labels=np.arange(num_classes),
        target_names=labels,
        output_dict=True,
        zero_division=0,
    )
    ours = classification_report(confusion(predicted, targets, num_classes), labels)
    assert list(ours) == list(theirs)
    for name, row in theirs.items():
        assert ours[name] == pytest.approx(row, rel=1e-12)


def test_the_text_says_what_scikit_learns_does() -> None:
    predictions, targets = rows(4)
    predicted = predictions.argmax(axis=1)
    labels = ["one", "two", "three", "four"]
    text = report_text(classification_report(confusion(predicted, targets, 4), labels))
    theirs = metrics.classification_report(targets, predicted, target_names=labels, digits=3)
    wanted = [line.split() for line in theirs.splitlines()[1:] if line.strip()]
    assert [line.split() for line in text.splitlines()[2:]] == wanted


def test_predictions_that_are_not_finite_still_make_pictures() -> None:
    predictions, targets = rows(3)
    predictions[4] = np.nan
    assert len(made(predictions, targets, ["a", "b", "c"])) == 7


def test_the_same_trial_gives_the_same_bytes() -> None:
    predictions, targets = rows(10)
    assert made(predictions, targets, LABELS) == made(predictions, targets, LABELS)


@pytest.mark.bench
def test_a_confusion_matrix_takes_at_most_5_ms() -> None:
    predictions, targets = rows(10)
    counts = confusion(predictions.argmax(axis=1), targets, 10)
    plots.svg(plots.confusion_matrix(counts, LABELS))
    found = []
    for _ in range(20):
        start = time.process_time()
        plots.svg(plots.confusion_matrix(counts, LABELS))
        found.append(time.process_time() - start)
    median = float(np.median(found))
    print(f"confusion matrix of 10 classes: {median * 1000:.1f} ms CPU")  # noqa: T201
    assert median <= 0.005


def test_pictures_load_no_plotting_library_and_no_sibling() -> None:
    probe = (
        "import sys, nnsearch.reports.pictures, nnsearch.reports.statistics;"
        "bad = {'matplotlib', 'PIL', 'sklearn', 'scipy.stats', 'torch', 'optuna', 'mlflow',"
        " 'nnsearch.tracking', 'nnsearch.search'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)
