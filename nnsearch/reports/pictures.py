"""The artifacts of one trial, from its predictions and epochs to named files. Writes nothing."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nnsearch.events import Epoch
from nnsearch.reports import plots
from nnsearch.reports.tables import table

Artifact = bytes | str | dict[str, Any]

_SUMMARIES = ("accuracy", "macro avg", "weighted avg")


def pictures(
    predictions: NDArray[np.floating],
    targets: NDArray[Any],
    labels: Sequence[str],
    epochs: Sequence[Epoch],
    *,
    objective_key: str,
    kept_epoch: int,
) -> dict[str, Artifact]:
    """Every artifact of a completed trial, by file name: PNG bytes, text, or a JSON object.

    `predictions` [N, P] and `targets` [N] are those of the validation split. With `labels` the
    targets are class indices and the predictions probabilities; without, both are numbers.
    Raises ValueError where the shapes do not fit.
    """
    if len(predictions) != len(targets) or (labels and predictions.shape[1] != len(labels)):
        raise ValueError(
            f"{predictions.shape} predictions of {targets.shape}, {len(labels)} labels"
        )
    made = histories(epochs, objective_key=objective_key, kept_epoch=kept_epoch)
    if not len(targets):
        return made
    if labels:
        return made | _of_classes(predictions, targets.astype(np.int64), labels)
    return made | _of_numbers(predictions, targets)


def histories(
    epochs: Sequence[Epoch], *, objective_key: str, kept_epoch: int
) -> dict[str, Artifact]:
    """The artifacts that need no predictions: those of a pruned or failed trial as well."""
    if not epochs:
        return {}
    drawn = plots.learning_curves(epochs, objective_key=objective_key, kept_epoch=kept_epoch)
    return {"learning_curves.png": plots.png(drawn)}


def confusion(
    predicted: NDArray[np.integer], targets: NDArray[np.integer], num_classes: int
) -> NDArray[np.int64]:
    """Counts [true, predicted] of class indices."""
    places = targets.astype(np.int64) * num_classes + predicted
    return np.bincount(places, minlength=num_classes**2).reshape(num_classes, num_classes)


def classification_report(
    predicted: NDArray[np.integer], targets: NDArray[np.integer], labels: Sequence[str]
) -> dict[str, Any]:
    """scikit-learn's report as a JSON object; a class that was never predicted scores 0.

    A label such as `accuracy`, which is the name of a summary, becomes `class accuracy`.
    """
    from sklearn import metrics

    names = [f"class {label}" if label in _SUMMARIES else label for label in labels]
    report = metrics.classification_report(
        targets,
        predicted,
        labels=np.arange(len(labels)),
        target_names=names,
        output_dict=True,
        zero_division=0,
    )
    return cast("dict[str, Any]", _plain(report))


def report_text(report: dict[str, Any]) -> str:
    """A classification report as a table to read, with the rows that scikit-learn prints."""
    scores = ("precision", "recall", "f1-score")
    rows: list[dict[str, object]] = []
    for name, entry in report.items():
        if isinstance(entry, dict):
            shown = {score: f"{entry[score]:.3f}" for score in scores}
            rows.append({"class": name, **shown, "rows": int(entry["support"])})
        else:
            total = int(report["weighted avg"]["support"])
            rows.append({"class": name, "f1-score": f"{entry:.3f}", "rows": total})
    return table(rows, ["class", *scores, "rows"]) + "\n"


def _of_classes(
    predictions: NDArray[np.floating], targets: NDArray[np.int64], labels: Sequence[str]
) -> dict[str, Artifact]:
    predicted = predictions.argmax(axis=1)
    counts = confusion(predicted, targets, len(labels))
    report = classification_report(predicted, targets, labels)
    roc = plots.roc_curves(predictions, targets, labels)
    precision_recall = plots.precision_recall_curves(predictions, targets, labels)
    return {
        "confusion_matrix.png": plots.png(plots.confusion_matrix(counts, labels)),
        "confusion_matrix.json": {"labels": list(labels), "counts": counts.tolist()},
        "classification_report.json": report,
        "classification_report.txt": report_text(report),
        "roc.png": plots.png(roc),
        "precision_recall.png": plots.png(precision_recall),
    }


def _of_numbers(
    predictions: NDArray[np.floating], targets: NDArray[np.floating]
) -> dict[str, Artifact]:
    return {
        "residuals.png": plots.png(plots.residuals(predictions, targets)),
        "predicted_true.png": plots.png(plots.predicted_against_true(predictions, targets)),
    }


def _plain(value: object) -> object:
    """scikit-learn answers in numpy's floats; JSON wants Python's."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return float(cast("float", value))
