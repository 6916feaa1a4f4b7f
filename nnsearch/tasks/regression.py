"""One number for each example. Knows no model."""

from collections.abc import Callable
from math import inf, log
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from annotated_types import Gt, Lt
from torch import Tensor, nn

from nnsearch.components import Positive
from nnsearch.errors import DataError, Problem
from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array, number_metrics, pinball
from nnsearch.tasks.task import Numbers, Task

Loss = Literal["squared", "absolute", "huber", "log_cosh", "quantile"]

DIRECTIONS: dict[str, Direction] = {
    "rmse": "minimize",
    "mae": "minimize",
    "r2": "maximize",
    "mape": "minimize",
    "medae": "minimize",
}
OF_QUANTILES: dict[str, Direction] = {"pinball": "minimize"}


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


def regression(
    targets: Numbers,
    *,
    loss: Loss = "squared",
    delta: Positive = 1.0,
    quantile: Annotated[float, Gt(0), Lt(1)] = 0.5,
) -> Annotated[Task, DIRECTIONS | OF_QUANTILES]:
    """A loss on numbers [N], standardised with the training split's mean and deviation.

    "squared" is the squared error, so that the mean loss over the training split of a model that
    always says the mean is 1; "huber" is quadratic up to `delta` standard deviations and linear
    beyond; "log_cosh" is like it without an edge. "quantile" is the pinball loss, by which a model
    learns the number that the share `quantile` of targets lies below; its objective is that loss
    in the target's unit. Raises DataError where the numbers are all the same or not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = mean_and_deviation(targets)
    if not 0 < deviation < inf:
        message = "the training split's targets are all the same, or not finite."
        raise DataError([Problem("E304", message, hint="Choose another target, or clean it.")])
    distance = _distance(loss, delta, quantile)

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
        metrics=_with_pinball(quantile) if loss == "quantile" else number_metrics,
        directions=OF_QUANTILES | DIRECTIONS if loss == "quantile" else DIRECTIONS,
        slopes=_slopes_of_squares if loss == "squared" else None,
    )


def mean_and_deviation(numbers: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Of numbers that are all the same the deviation is 0, which by rounding it might not be."""
    return float(np.mean(numbers)), float(np.std(numbers)) if np.ptp(numbers) else 0.0


def _slopes_of_squares(outputs: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
    errors = outputs.squeeze(-1) - encoded
    return errors.square(), 2 * errors[..., None]


def _with_pinball(quantile: float) -> Callable[[Array, Array], dict[str, float]]:
    def metrics(predictions: Array, raw: Array) -> dict[str, float]:
        found = {"pinball": pinball(predictions, raw, quantile)}
        return found | number_metrics(predictions, raw)

    return metrics


def _distance(loss: Loss, delta: float, quantile: float) -> Callable[[Tensor], Tensor]:
    """The loss as a function of prediction - target."""
    match loss:
        case "squared":
            return torch.square
        case "absolute":
            return torch.abs
        case "huber":
            return lambda errors: F.huber_loss(
                errors, torch.zeros_like(errors), reduction="none", delta=delta
            )
        case "log_cosh":
            # log(cosh(x)) without the cosh, which overflows.
            return lambda errors: errors + F.softplus(-2 * errors) - log(2)
        case "quantile":
            return lambda errors: torch.maximum(-quantile * errors, (1 - quantile) * errors)
