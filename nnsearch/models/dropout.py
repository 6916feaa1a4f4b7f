"""Dropout whose masks are a trial's own. Knows no seed's origin and no other layer.

torch's dropout draws from one generator for the whole process, so a trial's masks would depend on
what else is trained beside it. Here each layer of each trial has a stream of its own for each
epoch, and trials that train together drop what each would have dropped alone.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnsearch.components import Unit
from nnsearch.study.spec import derived_seed

LEVELS = 2**16
LANES = 4  # numbers of 16 bits in what a generator draws at once

Stream = np.random.SFC64


class Dropout(nn.Module):
    """Drops a share `rate` of what passes in training, and scales up the rest.

    The share is kept to 16 bits, one part in 65,536. Before `begin` the masks come from torch's
    generator, as those of `nn.Dropout` do.
    """

    def __init__(self, rate: Unit) -> None:
        super().__init__()
        self.rate = rate
        self.stream: Stream | None = None

    def begin(self, seed: int, epoch: int, layer: int) -> None:
        """Start the masks of an epoch; `layer` is this layer's place among the model's dropouts."""
        self.stream = stream(seed, epoch, layer)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] to [B, ...]."""
        if not self.training or self.rate == 0:
            return x
        if self.stream is None:
            return nn.functional.dropout(x, self.rate)
        is_kept = draws(self.stream, 1, x.numel()) >= threshold(self.rate)
        # As numbers: torch turns truth values into floats several times slower.
        mask = torch.from_numpy(is_kept.view(np.int8)).to(x.device, x.dtype)
        return x * mask.view(x.shape).mul_(scale(self.rate))

    def extra_repr(self) -> str:
        """The rate, for print(model)."""
        return f"rate={self.rate}"


def stream(seed: int, epoch: int, layer: int) -> Stream:
    """The random numbers of one layer of one trial in one epoch."""
    return np.random.SFC64(derived_seed("dropout", seed, epoch, layer))


def draws(source: Stream, steps: int, count: int) -> npt.NDArray[np.int16]:
    """The next `steps` draws of `count` numbers each, [steps, count], all values of int16 alike.

    Several steps at once are what as many calls for one step would have given.
    """
    whole = -(-count // LANES)
    raw = source.random_raw(steps * whole)
    return raw.view(np.int16).reshape(steps, whole * LANES)[:, :count]


def threshold(rate: float) -> int:
    """What a draw must reach to be kept."""
    return _dropped(rate) - LEVELS // 2


def scale(rate: float) -> float:
    """The factor of what is kept, so that the expected value stays."""
    return LEVELS / (LEVELS - _dropped(rate))


def _dropped(rate: float) -> int:
    return min(round(rate * LEVELS), LEVELS - 1)
