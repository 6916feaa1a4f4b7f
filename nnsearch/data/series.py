"""The transform of series: scaled, filled, with a channel that says where they end.

Fitted on train alone; knows no model and no task. Legend: B rows, C channels, T steps.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnsearch.data.examples import Examples
from nnsearch.errors import DataError, Problem

SeriesScale = Literal["standard", "none"]

_CHUNK = 4096


def series(train: Examples, *, scale: SeriesScale = "standard") -> nn.Module:
    """Series float32 [B, C, T] to float32 [B, C + 1, T]: the last channel is 1 until the end.

    A series ends with the last step at which any channel has a value; NaN stands behind it, and
    becomes 0 there. A value that is missing before the end becomes train's mean. "standard" gives
    each channel of train's steps mean 0 and deviation 1. Raises DataError where the examples are
    no series.
    """
    if train.signature.kind != "series":
        hint = f"Use the transform {train.signature.kind}."
        raise DataError([Problem("E371", "the transform series wants series.", hint=hint)])
    mean, deviation = _moments(train.inputs)
    factor = np.ones_like(deviation)
    if scale == "standard":
        factor = 1 / np.where(deviation > 0, deviation, 1)
    return SeriesTransform(mean, factor, is_scaled=scale != "none")


class SeriesTransform(nn.Module):
    """(x - mean) * factor where there is a value, 0 elsewhere; then which steps there are."""

    mean: Tensor
    factor: Tensor

    def __init__(
        self,
        mean: npt.NDArray[np.float64],
        factor: npt.NDArray[np.float64],
        *,
        is_scaled: bool = True,
    ) -> None:
        super().__init__()
        self.is_scaled = is_scaled
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1))
        self.register_buffer("factor", torch.tensor(factor, dtype=torch.float32).view(-1, 1))

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Float32 [B, C + 1, T]."""
        is_there_BCT = ~torch.isnan(x_BCT)
        places_T = torch.arange(1, x_BCT.shape[2] + 1, device=x_BCT.device)
        length_B11 = (is_there_BCT.any(1, keepdim=True) * places_T).amax(2, keepdim=True)
        real_B1T = (places_T <= length_B11).float()
        filled_BCT = torch.where(is_there_BCT, x_BCT, self.mean)
        scaled_BCT = (filled_BCT - self.mean) * self.factor if self.is_scaled else filled_BCT
        return torch.cat([scaled_BCT * real_B1T, real_B1T], dim=1)


def _moments(inputs: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.float64], ...]:
    """The mean and the deviation of each channel over the values that there are, in pieces."""
    num_channels = inputs.shape[1]
    count, total, squares = (np.zeros(num_channels) for _ in range(3))
    for start in range(0, len(inputs), _CHUNK):
        piece = inputs[start : start + _CHUNK].astype(np.float64)
        count += (~np.isnan(piece)).sum(axis=(0, 2))
        total += np.nansum(piece, axis=(0, 2))
    mean = total / np.maximum(count, 1)
    for start in range(0, len(inputs), _CHUNK):
        piece = inputs[start : start + _CHUNK].astype(np.float64) - mean[:, None]
        squares += np.nansum(np.square(piece), axis=(0, 2))
    return mean, np.sqrt(squares / np.maximum(count, 1))
