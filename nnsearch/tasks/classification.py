"""One class of several for each example. Knows no model and no label's text."""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnsearch.components import NonNegative, Unit
from nnsearch.errors import DataError, Problem
from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import TOP, Array, class_metrics, class_metrics_many
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
    "ece": "minimize",
}
OF_MANY_CLASSES: dict[str, Direction] = {f"top_{TOP}_accuracy": "maximize"}

Weighing = Literal["none", "balanced", "effective"]
Resampling = Literal["none", "over", "under"]
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def classification(
    targets: Classes,
    *,
    label_smoothing: Unit = 0.0,
    class_weights: Weighing = "none",
    effective_beta: Unit = 0.999,
    focal_gamma: NonNegative = 0.0,
    resample: Resampling = "none",
) -> Annotated[Task, DIRECTIONS | OF_MANY_CLASSES]:
    """Cross-entropy on class indices [N]; the predictions are the classes' probabilities.

    `label_smoothing` is the share of each target that is spread evenly over all classes.
    "balanced" weighs an example by N / (classes x rows of its class), so that each class counts
    alike and the mean weight of the training split is 1. "effective" is milder: n rows of a class
    count as (1 - beta^n) / (1 - beta) (Cui et al., Class-Balanced Loss, 2019). With `focal_gamma`
    the loss of an example is multiplied by (1 - the true class's probability) to that power, so
    that the hard ones count more (Lin et al., Focal Loss, 2017).

    `resample` makes the classes of the training split equally frequent: "over" repeats rows of the
    others until they are as many as the largest class, "under" draws as many of each as the
    smallest has. No other split changes, and weights are worked out after it. As with weights, the
    probabilities are then those of classes that are equally frequent. Raises DataError where the
    training split has a single class or lacks one below its highest; `encode` where a split has a
    class above it.
    """
    counts = np.bincount(targets)
    problems = _missing(counts)
    if problems:
        raise DataError(problems)
    rows = None if resample == "none" else resampled(targets, resample)
    counts = counts if rows is None else np.bincount(targets[rows])
    weights = torch.from_numpy(_weights(counts, effective_beta, class_weights)).float()
    is_weighted = class_weights != "none"

    def losses(outputs: Tensor, encoded: Tensor) -> Tensor:
        shape = outputs.shape[:-1]
        flat = outputs.reshape(-1, len(counts))
        wanted = encoded.expand(shape).reshape(-1)
        found = F.cross_entropy(
            flat,
            wanted,
            weight=weights.to(outputs) if is_weighted else None,
            label_smoothing=label_smoothing,
            reduction="none",
        )
        found = found * _doubt(flat, wanted) ** focal_gamma if focal_gamma else found
        return found.reshape(shape)

    has_top = len(counts) > TOP
    return Task(
        outputs=len(counts),
        encode=lambda each: _encode(each, len(counts)),
        losses=losses,
        decode=nn.Softmax(dim=-1),
        metrics=class_metrics,
        directions=DIRECTIONS | OF_MANY_CLASSES if has_top else DIRECTIONS,
        slopes=None if focal_gamma else _slopes(weights, label_smoothing),
        metrics_many=class_metrics_many,
        rows=rows,
    )


def resampled(targets: Rows, how: Literal["over", "under"]) -> Rows:
    """Rows, ascending and with repeats, of which each class has the same number.

    What is drawn depends on the targets alone: "over" takes each row of a class equally often but
    for a rest that is drawn, "under" draws without repeats.
    """
    generator = np.random.default_rng(0)
    counts = np.bincount(targets)
    size = int(counts.max() if how == "over" else counts.min())
    chosen = []
    for index, count in enumerate(counts.tolist()):
        own = np.flatnonzero(targets == index)
        whole, rest = divmod(size, count)
        chosen += [np.repeat(own, whole), generator.choice(own, rest, replace=False)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _slopes(weights: Tensor, smoothing: float) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The loss is a weighted sum of the classes' log probabilities: its slope has a closed form."""
    share = smoothing / len(weights)
    whole = weights.double()
    table = (1 - smoothing) * torch.diag(whole) + share * whole.expand(len(weights), -1)
    sums = table.sum(1)
    is_plain = torch.equal(table, torch.eye(len(table), dtype=table.dtype))

    def slopes(outputs: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        wanted = encoded.expand(outputs.shape[:-1])
        logs = torch.log_softmax(outputs, -1)
        if is_plain:
            places = wanted.unsqueeze(-1)
            losses = logs.gather(-1, places).squeeze(-1).neg_()
            minus_one = logs.new_tensor(-1.0).expand(places.shape)
            return losses, logs.exp_().scatter_add_(-1, places, minus_one)
        parts = table.to(outputs)[wanted]
        losses = (parts * logs).sum(-1).neg_()
        return losses, logs.exp_().mul_(sums.to(outputs)[wanted][..., None]).sub_(parts)

    return slopes


def _weights(counts: Rows, beta: float, weighing: Weighing) -> Floats:
    """Each class's weight; their mean over the rows of the training split is 1."""
    if weighing == "none":
        return np.ones(len(counts))
    effective = 1 - beta**counts if weighing == "effective" else counts
    weights: Floats = counts.sum() / (effective * (counts / effective).sum())
    return weights


def _doubt(outputs: Tensor, wanted: Tensor) -> Tensor:
    """1 - the true class's probability; never 0, where a power below 1 has no slope."""
    logs = F.log_softmax(outputs, dim=-1).gather(-1, wanted[:, None])[:, 0]
    return -torch.expm1(logs).clamp(max=-torch.finfo(outputs.dtype).eps)


def _missing(counts: Rows) -> list[Problem]:
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
