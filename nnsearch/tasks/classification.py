"""One class of several for each example. Knows no model and no label's text."""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnsearch.components import Unit
from nnsearch.errors import DataError, Problem
from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array, class_metrics
from nnsearch.tasks.task import Classes, Task

DIRECTIONS: dict[str, Direction] = {
    "accuracy": "maximize",
    "balanced_accuracy": "maximize",
    "precision_macro": "maximize",
    "recall_macro": "maximize",
    "f1_macro": "maximize",
    "precision_weighted": "maximize",
    "recall_weighted": "maximize",
    "f1_weighted": "maximize",
    "mcc": "maximize",
    "roc_auc": "maximize",
    "pr_auc": "maximize",
    "log_loss": "minimize",
    "brier": "minimize",
}


def classification(
    targets: Classes,
    *,
    label_smoothing: Unit = 0.0,
    class_weights: Literal["none", "balanced"] = "none",
) -> Task:
    """Cross-entropy on class indices [N]; the predictions are the classes' probabilities.

    `label_smoothing` is the share of each target that is spread evenly over all classes.
    "balanced" weighs an example by N / (classes x rows of its class), so that each class counts
    alike and the mean weight of the training split is 1. Raises DataError where the training split
    has a single class or lacks one below its highest; `encode` where a split has a class above it.
    """
    counts = np.bincount(targets)
    problems = _missing(counts)
    if problems:
        raise DataError(problems)
    is_balanced = class_weights == "balanced"
    weights = torch.from_numpy(len(targets) / (len(counts) * counts)).float()

    def losses(outputs: Tensor, encoded: Tensor) -> Tensor:
        shape = outputs.shape[:-1]
        flat = F.cross_entropy(
            outputs.reshape(-1, len(counts)),
            encoded.expand(shape).reshape(-1),
            weight=weights.to(outputs) if is_balanced else None,
            label_smoothing=label_smoothing,
            reduction="none",
        )
        return flat.reshape(shape)

    return Task(
        outputs=len(counts),
        encode=lambda each: _encode(each, len(counts)),
        losses=losses,
        decode=nn.Softmax(dim=-1),
        metrics=class_metrics,
        directions=DIRECTIONS,
    )


def _missing(counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[Problem]:
    if len(counts) < 2:  # noqa: PLR2004 - one class is nothing to tell apart
        hint = "Choose another target, or more rows."
        return [Problem("E301", "the training split has one class only.", hint=hint)]
    hint = 'Leave its rows out, add some, or split by = "class".'
    return [
        Problem("E302", f"class {index} has no row in the training split.", hint=hint)
        for index in np.flatnonzero(counts == 0)
    ]


def _encode(targets: Array, num_classes: int) -> Tensor:
    indices = np.array(targets, dtype=np.int64)
    above = indices[(indices < 0) | (indices >= num_classes)]
    if len(above):
        message = f"class {above[0]} is in a split but not in the training split."
        hint = 'Leave its rows out, add some, or split by = "class".'
        raise DataError([Problem("E303", message, hint=hint)])
    return torch.from_numpy(indices)
