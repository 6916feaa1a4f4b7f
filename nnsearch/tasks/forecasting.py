"""The next numbers of a series, against what naive forecasts say. Knows no model and no series.

Shapes: N examples, H steps of the horizon.
"""

from math import inf
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nnsearch.components import Positive
from nnsearch.errors import DataError, Problem
from nnsearch.study.spec import Direction
from nnsearch.tasks.metrics import Array
from nnsearch.tasks.regression import Unscale, mean_and_deviation
from nnsearch.tasks.task import Task

Loss = Literal["squared", "absolute", "huber"]
# [N, 3, H]: the truth, the forecast by the season before, the forecast by the last value.
Forecasts = Annotated[npt.NDArray[np.float64], "raw"]
Floats = npt.NDArray[np.float64]

TRUTH, SEASONAL, LAST = range(3)
AXES = 3
DIRECTIONS: dict[str, Direction] = {
    "mase": "minimize",
    "mae": "minimize",
    "rmse": "minimize",
    "skill_seasonal": "maximize",
    "skill_last": "maximize",
}


def forecasting(
    targets: Forecasts, *, loss: Loss = "squared", delta: Positive = 1.0
) -> Annotated[Task, DIRECTIONS]:
    """A loss on the next H numbers, standardised with the training split's mean and deviation.

    "huber" is quadratic up to `delta` deviations and linear beyond. The targets [N, 3, H] hold the
    truth and what two naive forecasts say: as the season before, and as the last value. mase is
    the mean absolute error divided by that of the seasonal one over the training split (Hyndman and
    Koehler, 2006); skill_seasonal and skill_last are 1 - the error / that of the naive forecast on
    the same rows, so above 0 where the model is better. Raises DataError where the numbers are all
    the same, not finite, or no forecasts.
    """
    whole = _whole(targets)
    truth = whole[:, TRUTH]
    mean, deviation = mean_and_deviation(truth)
    if not 0 < deviation < inf:
        message = "the training split's targets are all the same, or not finite."
        raise DataError([Problem("E304", message, hint="Choose another series, or clean it.")])
    # A series that repeats itself exactly has no scale but its own deviation.
    scale = float(np.abs(truth - whole[:, SEASONAL]).mean()) or deviation

    def encode(raw: Array) -> Tensor:
        scaled = (_whole(raw)[:, TRUTH] - mean) / deviation
        return torch.from_numpy(scaled.astype(np.float32))

    def losses(outputs: Tensor, encoded: Tensor) -> Tensor:
        match loss:
            case "squared":
                found = F.mse_loss(outputs, encoded.expand_as(outputs), reduction="none")
            case "absolute":
                found = F.l1_loss(outputs, encoded.expand_as(outputs), reduction="none")
            case "huber":
                wanted = encoded.expand_as(outputs)
                found = F.huber_loss(outputs, wanted, reduction="none", delta=delta)
        return found.mean(-1)

    def metrics(predictions: Array, raw: Array) -> dict[str, float]:
        return _metrics(np.asarray(predictions, np.float64), _whole(raw), scale)

    return Task(
        outputs=truth.shape[1],
        encode=encode,
        losses=losses,
        decode=Unscale(mean, deviation),
        metrics=metrics,
        directions=DIRECTIONS,
    )


def _metrics(predictions: Floats, targets: Floats, scale: float) -> dict[str, float]:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        errors = predictions - targets[:, TRUTH]
        mae = float(np.abs(errors).mean())
        naive = [float(np.abs(targets[:, each] - targets[:, TRUTH]).mean()) for each in (1, 2)]
        return {
            "mase": mae / scale,
            "mae": mae,
            "rmse": float(np.sqrt(np.square(errors).mean())),
            "skill_seasonal": _skill(mae, naive[0]),
            "skill_last": _skill(mae, naive[1]),
        }


def _skill(error: float, naive: float) -> float:
    """Of a naive forecast without a fault: 0 where ours has none either, else no number."""
    if naive > 0:
        return 1 - error / naive
    return 0.0 if error == 0 else float("nan")


def _whole(targets: Any) -> Floats:
    """Targets [N, 3, H]; single numbers [N] stand for forecasts of one step without naive ones."""
    array = np.asarray(targets, np.float64)
    if array.ndim == 1:
        return np.repeat(array[:, None, None], AXES, axis=1)
    if array.ndim != AXES or array.shape[1] != AXES:
        hint = "Use a source of windows, such as series_table."
        message = f"targets of shape {list(array.shape)} are no forecasts."
        raise DataError([Problem("E304", message, hint=hint)])
    return array
