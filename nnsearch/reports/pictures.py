"""The artifacts of one trial, from its predictions and epochs to named files. Writes nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnsearch.events import Epoch
from nnsearch.reports import plots
from nnsearch.reports.forecasts import are_forecasts, forecasts
from nnsearch.reports.specimens import scores, specimens
from nnsearch.reports.tables import table
from nnsearch.tasks.metrics import has_single_answers

Artifact = bytes | str | dict[str, Any]

ANOMALY_LABELS = ("normal", "anomaly")
_SUMMARIES = ("accuracy", "macro avg", "weighted avg")


def pictures(
    predictions: NDArray[np.floating],
    targets: NDArray[Any],
    labels: Sequence[str],
    epochs: Sequence[Epoch],
    *,
    objective_key: str,
    kept_epoch: int,
    shown: Mapping[str, NDArray[Any]] | None = None,
) -> dict[str, Artifact]:
    """Every artifact of a completed trial, by file name: SVG bytes, text, or a JSON object.

    `predictions` [N, P] and `targets` [N] are those of the validation split. With `labels` the
    targets are class indices and the predictions probabilities; without, both are numbers, and
    where there are several of them for a row, only the epochs are drawn and what is `shown`:
    images by the name of their line.
    Raises ValueError where the shapes do not fit.
    """
    if len(predictions) != len(targets) or (labels and predictions.shape[1] != len(labels)):
        raise ValueError(
            f"{predictions.shape} predictions of {targets.shape}, {len(labels)} labels"
        )
    made = histories(epochs, objective_key=objective_key, kept_epoch=kept_epoch)
    if shown:
        made["specimens.svg"] = plots.svg(specimens(shown, "Examples"))
    if len(targets) and are_forecasts(targets):
        made["forecasts.svg"] = plots.svg(forecasts(predictions, targets))
    if not len(targets) or not has_single_answers(predictions, targets, labels):
        return made
    if tuple(labels) == ANOMALY_LABELS:
        made["scores.svg"] = plots.svg(scores(predictions, targets, labels))
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
    return {"learning_curves.svg": plots.svg(drawn)}


def confusion(
    predicted: NDArray[np.integer], targets: NDArray[np.integer], num_classes: int
) -> NDArray[np.int64]:
    """Counts [true, predicted] of class indices."""
    places = targets.astype(np.int64) * num_classes + predicted
    return np.bincount(places, minlength=num_classes**2).reshape(num_classes, num_classes)


def classification_report(counts: NDArray[np.int64], labels: Sequence[str]) -> dict[str, Any]:
    """scikit-learn's report of the counts [true, predicted], as a JSON object.

    What would be divided by nothing, such as the precision of a class that was never predicted, is
    0. A label such as `accuracy`, which is the name of a summary, becomes `class accuracy`.
    """
    hits, support = np.diagonal(counts), counts.sum(axis=1)
    predicted, total = counts.sum(axis=0), max(int(counts.sum()), 1)
    scores = {
        "precision": hits / np.maximum(predicted, 1),
        "recall": hits / np.maximum(support, 1),
        "f1-score": 2 * hits / np.maximum(predicted + support, 1),
    }
    report: dict[str, Any] = {}
    for index, label in enumerate(labels):
        name = f"class {label}" if label in _SUMMARIES else label
        row = {score: float(values[index]) for score, values in scores.items()}
        report[name] = row | {"support": float(support[index])}
    share = support / total
    macro = {score: float(values.mean()) for score, values in scores.items()}
    weighted = {score: float(values @ share) for score, values in scores.items()}
    return report | {
        "accuracy": float(hits.sum() / total),
        "macro avg": macro | {"support": float(total)},
        "weighted avg": weighted | {"support": float(total)},
    }


def report_text(report: Mapping[str, Any]) -> str:
    """A classification report as a table to read, with the rows that scikit-learn prints."""
    scores = ("precision", "recall", "f1-score")
    rows: list[dict[str, object]] = []
    of_all = report["weighted avg"]
    total = int(of_all["support"]) if isinstance(of_all, dict) else 0
    for name, entry in report.items():
        if isinstance(entry, dict):
            shown = {score: f"{entry[score]:.3f}" for score in scores}
            rows.append({"class": name, **shown, "rows": int(entry["support"])})
        else:
            rows.append({"class": name, "f1-score": f"{entry:.3f}", "rows": total})
    return table(rows, ["class", *scores, "rows"]) + "\n"


def _of_classes(
    predictions: NDArray[np.floating], targets: NDArray[np.int64], labels: Sequence[str]
) -> dict[str, Artifact]:
    predicted = predictions.argmax(axis=1)
    counts = confusion(predicted, targets, len(labels))
    report = classification_report(counts, labels)
    roc = plots.roc_curves(predictions, targets, labels)
    precision_recall = plots.precision_recall_curves(predictions, targets, labels)
    return {
        "confusion_matrix.svg": plots.svg(plots.confusion_matrix(counts, labels)),
        "confusion_matrix.json": {"labels": list(labels), "counts": counts.tolist()},
        "classification_report.json": report,
        "classification_report.txt": report_text(report),
        "roc.svg": plots.svg(roc),
        "precision_recall.svg": plots.svg(precision_recall),
    }


def _of_numbers(
    predictions: NDArray[np.floating], targets: NDArray[np.floating]
) -> dict[str, Artifact]:
    return {
        "residuals.svg": plots.svg(plots.residuals(predictions, targets)),
        "predicted_true.svg": plots.svg(plots.predicted_against_true(predictions, targets)),
    }
