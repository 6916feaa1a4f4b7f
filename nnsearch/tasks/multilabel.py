"""Several labels at once, each there or not. Knows no model and no label's text.

Shapes: N examples, L labels, B examples of a batch.
"""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array, areas
from nnsearch.tasks.task import Labels, Task

Weighing = Literal["none", "balanced"]
Floats = npt.NDArray[np.float64]

DIRECTIONS: dict[str, Direction] = {
    "f1_micro": "maximize",
    "f1_macro": "maximize",
    "f1_samples": "maximize",
    "precision_micro": "maximize",
    "recall_micro": "maximize",
    "roc_auc_macro": "maximize",
    "pr_auc_macro": "maximize",
    "subset_accuracy": "maximize",
    "hamming_loss": "minimize",
    "log_loss": "minimize",
}


def multilabel(targets: Labels, *, label_weights: Weighing = "none") -> Annotated[Task, DIRECTIONS]:
    """The mean binary cross-entropy over labels [N, L]; predictions are L probabilities.

    "balanced" weighs the rows that have a label, and those that have not, so that both count alike
    for it and the mean weight is 1. A label counts as foretold from a probability of 0.5 on.
    """
    share = torch.from_numpy(np.asarray(targets, np.float64).mean(axis=0)).float()
    present, absent = torch.ones_like(share), torch.ones_like(share)
    if label_weights == "balanced":
        # A label that all rows have, or none, is left alone: nothing can balance it.
        rare, often = share.clamp(min=1e-12), (1 - share).clamp(min=1e-12)
        is_both = (share > 0) & (share < 1)
        present = torch.where(is_both, 0.5 / rare, present)
        absent = torch.where(is_both, 0.5 / often, absent)

    def losses(outputs: Tensor, encoded: Tensor) -> Tensor:
        weights = encoded * present.to(outputs) + (1 - encoded) * absent.to(outputs)
        return (weights * (F.softplus(outputs) - encoded * outputs)).mean(-1)

    def slopes(outputs: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        weights = encoded * present.to(outputs) + (1 - encoded) * absent.to(outputs)
        away = torch.sigmoid(outputs) - encoded
        return losses(outputs, encoded), weights * away / outputs.shape[-1]

    return Task(
        outputs=len(share),
        encode=lambda raw: torch.from_numpy(np.array(raw, dtype=np.float32)),
        losses=losses,
        decode=nn.Sigmoid(),
        metrics=multilabel_metrics,
        directions=DIRECTIONS,
        slopes=slopes,
    )


def multilabel_metrics(predictions: Array, targets: Array) -> dict[str, float]:
    """Metrics of probabilities [N, L] against labels [N, L], as scikit-learn defines them.

    A precision, recall or F1 of nothing is 0. The means of areas are over the labels that some
    rows have and some have not; without any, they are 0.5 and 0.
    """
    scores, truth = np.asarray(predictions, np.float64), np.asarray(targets, bool)
    called = scores >= 0.5  # noqa: PLR2004 - as likely as not
    hits = called & truth
    known = np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)).tolist()
    found = [
        areas(np.stack([1 - scores[:, place], scores[:, place]], axis=1), truth[:, place])
        for place in known
    ] or [(0.5, 0.0)]
    roc_auc, pr_auc = np.mean(found, axis=0).tolist()
    epsilon = np.finfo(np.float32).eps
    sure = np.clip(np.where(truth, scores, 1 - scores), epsilon, 1 - epsilon)
    return {
        "f1_micro": float(_f1(hits.sum(), called.sum(), truth.sum())),
        "f1_macro": float(_f1(hits.sum(0), called.sum(0), truth.sum(0)).mean()),
        "f1_samples": float(_f1(hits.sum(1), called.sum(1), truth.sum(1)).mean()),
        "precision_micro": float(hits.sum() / max(called.sum(), 1)),
        "recall_micro": float(hits.sum() / max(truth.sum(), 1)),
        "roc_auc_macro": roc_auc,
        "pr_auc_macro": pr_auc,
        "subset_accuracy": float((called == truth).all(axis=1).mean()),
        "hamming_loss": float((called != truth).mean()),
        "log_loss": float(-np.log(sure).mean()),
    }


def _f1(hits: Array, called: Array, there: Array) -> Floats:
    both = np.asarray(called, np.float64) + np.asarray(there, np.float64)
    f1: Floats = 2 * np.asarray(hits, np.float64) / np.maximum(both, 1)
    return f1
