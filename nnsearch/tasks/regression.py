"""One number for each example. Knows no model."""

from collections.abc import Callable
from math import inf
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnsearch.errors import DataError, Problem
from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array, number_metrics
from nnsearch.tasks.task import Numbers, Task

Loss = Literal["squared", "absolute", "huber"]

DIRECTIONS: dict[str, Direction] = {
    "rmse": "minimize",
    "mae": "minimize",
    "r2": "maximize",
    "mape": "minimize",
}


class Unscale(nn.Module):
    """Standardised outputs [B, 1] in the target's own unit."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float32))

    def forward(self, outputs: Tensor) -> Tensor:
        """[B, 1] to [B, 1]."""
        return outputs * self.deviation + self.mean


def regression(targets: Numbers, *, loss: Loss = "squared") -> Task:
    """A loss on numbers [N], standardised with the training split's mean and deviation.

    "squared" is the squared error, so that the mean loss over the training split of a model that
    always says the mean is 1; "huber" is quadratic up to one standard deviation and linear beyond.
    Raises DataError where the numbers are all the same or not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(np.mean(targets)), float(np.std(targets))
    if not 0 < deviation < inf:
        message = "the training split's targets are all the same, or not finite."
        raise DataError([Problem("E304", message, hint="Choose another target, or clean it.")])
    distance = _DISTANCES[loss]

    def encode(raw: Array) -> Tensor:
        scaled = (np.asarray(raw, dtype=np.float64) - mean) / deviation
        return torch.from_numpy(scaled.astype(np.float32))

    def losses(outputs: Tensor, encoded: Tensor) -> Tensor:
        return distance(outputs.squeeze(-1) - encoded)

    return Task(
        outputs=1,
        encode=encode,
        losses=losses,
        decode=Unscale(mean, deviation),
        metrics=number_metrics,
        directions=DIRECTIONS,
    )


def _huber(errors: Tensor) -> Tensor:
    return F.huber_loss(errors, torch.zeros_like(errors), reduction="none")


_DISTANCES: dict[Loss, Callable[[Tensor], Tensor]] = {
    "squared": torch.square,
    "absolute": torch.abs,
    "huber": _huber,
}
