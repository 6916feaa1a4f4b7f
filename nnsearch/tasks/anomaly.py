"""Find what is not like the rest, by how badly it is reconstructed. Knows no model.

The training split holds normal rows alone, so a model learns to give back what is normal. Labels
choose the threshold on the validation split and score, and train nothing.
"""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from annotated_types import Gt, Lt
from torch import Tensor, nn

from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array, areas, confusion
from nnsearch.tasks.shown import NOTE, as_bytes
from nnsearch.tasks.task import Anomalies, Task

Distance = Literal["squared", "absolute"]
Rule = Literal["best_f1", "quantile"]

DIRECTIONS: dict[str, Direction] = {
    "roc_auc": "maximize",
    "pr_auc": "maximize",
    "f1": "maximize",
    "precision": "maximize",
    "recall": "maximize",
    "balanced_accuracy": "maximize",
    "accuracy": "maximize",
}

# Columns of what a model of this task puts out.
ERROR, PENALTY, THRESHOLD = range(3)
IMAGE_AXES, NUM_SHOWN = 4, 10
# Of an error and a threshold that are both 0.
TINY = 1e-12


class Unexplained(nn.Module):
    """How badly `model` gives its input back, and from where on that is too badly.

    `model` takes [B, ...] to the reconstruction [B, D], the input laid flat, or to [B, D + 1],
    where the last number is a penalty to be added to the loss.
    """

    threshold: Tensor

    def __init__(self, model: nn.Module, distance: Distance, rule: Rule, quantile: float) -> None:
        super().__init__()
        self.model = model
        self.distance = distance
        self.rule = rule
        self.quantile = quantile
        self.register_buffer("threshold", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] to [B, 3]: each example's error, penalty, and the threshold of errors."""
        wanted, made = x.flatten(1), self.model(x)
        width = wanted.shape[1]
        away = made[:, :width] - wanted
        errors = (away.square() if self.distance == "squared" else away.abs()).mean(1)
        # Where there is no penalty it is 0, without a branch for an exporter to forget.
        penalties = F.pad(made, (0, 1))[:, width]
        return torch.stack([errors, penalties, self.threshold.expand_as(errors)], dim=1)

    def settle(self, outputs: Tensor, targets: Array) -> Tensor:
        """Choose the threshold by the validation split's outputs; those with it in its place."""
        errors = outputs[:, ERROR].double().cpu().numpy()
        is_odd = np.asarray(targets, bool)
        if self.rule == "best_f1" and is_odd.any():
            chosen = best_threshold(errors, is_odd)
        else:
            usual = errors[~is_odd] if not is_odd.all() else errors
            chosen = float(np.quantile(usual, self.quantile))
        self.threshold.fill_(chosen)
        settled = outputs.clone()
        settled[:, THRESHOLD] = self.threshold
        return settled


class Verdict(nn.Module):
    """How odd an example is, from 0 to 1: an error at the threshold is 0.5."""

    def forward(self, outputs: Tensor) -> Tensor:
        """[B, 3] to [B, 2]: how normal and how odd, together 1."""
        errors, thresholds = outputs[:, ERROR], outputs[:, THRESHOLD]
        odd = errors / (errors + thresholds).clamp(min=TINY)
        return torch.stack([1 - odd, odd], dim=1)


def anomaly(
    targets: Anomalies,
    *,
    normal: tuple[str, ...] = (),
    distance: Distance = "squared",
    threshold: Rule = "best_f1",
    quantile: Annotated[float, Gt(0), Lt(1)] = 0.95,
) -> Annotated[Task, DIRECTIONS]:
    """The mean error of the reconstruction; above a threshold an example is an anomaly.

    `normal` names the classes that are normal: rows of all others are anomalies, of which training
    sees none. The error is of the transformed numbers, squared
    or absolute. The threshold is chosen after each epoch on the validation split: the one of the
    best F1, or the `quantile` of the normal rows' errors, which needs no anomaly. A prediction is
    how odd an example is, error / (error + threshold), and 1 less that: the order of the errors,
    with the verdict at 0.5, and no probability. The validation loss is of normal rows alone.
    """
    del targets, normal  # the data were told apart by the names before they came here
    return Task(
        outputs=0,
        encode=_encode,
        losses=_losses,
        decode=Verdict(),
        metrics=anomaly_metrics,
        directions=DIRECTIONS,
        around=lambda model: Unexplained(model, distance, threshold, quantile),
        baseline="constant",
        show=_show,
    )


def anomaly_metrics(predictions: Array, targets: Array) -> dict[str, float]:
    """Metrics of how odd examples are [N, 2] against 1 for an anomaly [N].

    Precision is 0 where nothing was called an anomaly, recall where there is none.
    """
    scores = np.asarray(predictions, np.float64)
    roc_auc, pr_auc = areas(scores, targets)
    (true_no, false_yes), (false_no, true_yes) = confusion(
        scores.argmax(axis=1).astype(np.int64), targets, 2
    ).tolist()
    recall, quiet = true_yes / max(true_yes + false_no, 1), true_no / max(true_no + false_yes, 1)
    return {
        "roc_auc": roc_auc,
        "pr_auc": pr_auc,
        "f1": 2 * true_yes / max(2 * true_yes + false_yes + false_no, 1),
        "precision": true_yes / max(true_yes + false_yes, 1),
        "recall": recall,
        "balanced_accuracy": (recall + quiet) / 2,
        "accuracy": (true_yes + true_no) / len(scores),
    }


def best_threshold(errors: npt.NDArray[np.float64], is_odd: npt.NDArray[np.bool_]) -> float:
    """The threshold of the best F1 for calling errors above it anomalies; half way to the next."""
    order = np.argsort(-errors, kind="stable")
    ranked, hits = errors[order], np.cumsum(is_odd[order])
    called = np.arange(1, len(errors) + 1)
    f1 = 2 * hits / (called + is_odd.sum())
    f1[:-1][ranked[:-1] == ranked[1:]] = -1  # no threshold parts equal errors
    best = int(np.argmax(f1))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)


def _show(model: nn.Module, inputs: Tensor, targets: Array) -> dict[str, Array]:
    """Images beside what is made of them; nothing of a table."""
    if not isinstance(model, Unexplained) or inputs.dim() != IMAGE_AXES:
        return {}
    told = "validation rows; below each what the model makes of it, on the same scale of grey"
    shown: dict[str, Array] = {NOTE: np.array(told)}
    for label, name in enumerate(("normal", "anomaly")):
        rows = np.flatnonzero(targets == label)[:NUM_SHOWN]
        if len(rows):
            chosen = inputs[torch.from_numpy(rows).to(inputs.device)]
            made = model.model(chosen)[:, : chosen[0].numel()].reshape(chosen.shape)
            # On one scale, for a faint copy would else look as strong as what it was made from.
            ends = (float(chosen.min()), float(chosen.max()))
            shown |= {
                name: as_bytes(chosen.cpu().numpy(), *ends),
                f"{name}, given back": as_bytes(made.cpu().numpy(), *ends),
            }
    return shown


def _encode(raw: Array) -> Tensor:
    """What each row counts in the mean loss of a split: an anomaly nothing, normal ones alike."""
    is_normal = 1 - np.array(raw, dtype=np.float32)
    return torch.from_numpy(is_normal * np.float32(len(is_normal) / max(is_normal.sum(), 1)))


def _losses(outputs: Tensor, encoded: Tensor) -> Tensor:
    return (outputs[..., ERROR] + outputs[..., PENALTY]) * encoded
