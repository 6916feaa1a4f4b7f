"""Components that fail when they are told to, to test what is around them. Never for real work.

A study runs them as it runs any code of the user's: a file beside the study file imports what it
needs (`from nnsearch.testing.faults import failing`), the study names `"faults.py:failing"`, and
is run with `--allow-code`.

A model counts its epochs in a buffer, which is part of every checkpoint: a trial that goes on
counts on. `only_width` restricts a fault to trials of that width; with 0 all have it. `mark` is a
file that the fault leaves behind and that keeps it from coming again.
"""

import os
import signal
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from nnsearch.components import Count, NonNegative
from nnsearch.data.examples import Examples
from nnsearch.models.layers import Shape
from nnsearch.signature import Column, Signature

How = Literal["error", "nan", "inf", "out_of_gpu"]

FOR_EVER = 1e6
_BYTES = 2**30


class Fault(nn.Module):
    """Passes its input on; in training only after `act` has had its way with it.

    So it can be exported like any other, and what the fault spares can come to its end.
    """

    epochs: Tensor

    def __init__(self, act: Callable[[Tensor, int], Tensor]) -> None:
        super().__init__()
        self.act = act
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))

    def train(self, mode: bool = True) -> "Fault":  # noqa: FBT001, FBT002 - as torch has it
        """Each epoch begins with this."""
        if mode:
            self.epochs += 1
        return super().train(mode)

    def forward(self, inputs: Tensor) -> Tensor:
        """The input, or what `act` makes of it."""
        return self.act(inputs, int(self.epochs)) if self.training else inputs


def failing(
    inputs: Shape,
    outputs: int,
    *,
    width: Count = 4,
    epoch: Count = 1,
    how: How = "error",
    only_width: int = 0,
) -> nn.Module:
    """Fails at each step from `epoch` on.

    By the same ValueError, by outputs that are "nan" or "inf", or by saying, as CUDA does, that the
    memory of the GPU has run out.
    """

    def act(values: Tensor, now: int) -> Tensor:
        if now < epoch:
            return values
        if how == "error":
            raise ValueError(f"epoch {epoch} fails, as it was told to")
        if how == "out_of_gpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return values + float(how)

    return _network((inputs, width, outputs), act, only_width)


def hungry(
    inputs: Shape,
    outputs: int,
    *,
    width: Count = 4,
    gigabytes: NonNegative = 2.0**22,
    only_width: int = 0,
) -> nn.Module:
    """Asks for `gigabytes` of memory at each step, by default for more than there is anywhere."""

    def act(values: Tensor, _now: int) -> Tensor:
        return values + torch.ones(int(gigabytes * _BYTES) // 4)[0] - 1

    return _network((inputs, width, outputs), act, only_width)


def hanging(
    inputs: Shape,
    outputs: int,
    *,
    width: Count = 4,
    epoch: Count = 1,
    seconds: NonNegative = FOR_EVER,
    mark: str = "",
    only_width: int = 0,
) -> nn.Module:
    """Sleeps for `seconds` at each step from `epoch` on; with `mark` once only."""

    def act(values: Tensor, now: int) -> Tensor:
        if now >= epoch and is_first(mark):
            time.sleep(seconds)
        return values

    return _network((inputs, width, outputs), act, only_width)


def dying(
    inputs: Shape,
    outputs: int,
    *,
    width: Count = 4,
    epoch: Count = 1,
    mark: str = "",
    only_width: int = 0,
) -> nn.Module:
    """Kills its own process with SIGKILL in `epoch`; with `mark` once only."""

    def act(values: Tensor, now: int) -> Tensor:
        if now >= epoch and is_first(mark):
            os.kill(os.getpid(), signal.SIGKILL)
        return values

    return _network((inputs, width, outputs), act, only_width)


def unreadable(_root: Path, *, message: str = "the data cannot be read") -> Examples:
    """A source that raises OSError."""
    raise OSError(message)


def sleeping(_root: Path, *, seconds: NonNegative = FOR_EVER, rows: Count = 60) -> Examples:
    """A source that gives its rows after `seconds`: two columns, two classes."""
    time.sleep(seconds)
    draw = np.random.default_rng(0)
    targets = np.arange(rows, dtype=np.int64) % 2
    cells = draw.normal(size=(rows, 2)) + targets[:, None]
    columns = (Column("first"), Column("second"))
    signature = Signature("table", (2,), "float64", "target", columns, ("no", "yes"))
    return Examples(cells, targets, signature)


def is_first(mark: str) -> bool:
    """Whether a fault with this mark has not come yet; from now on it has. True without a mark."""
    if not mark:
        return True
    try:
        Path(mark).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _network(
    sizes: tuple[Shape, int, int], act: Callable[[Tensor, int], Tensor], only_width: int
) -> nn.Module:
    """A perceptron of one hidden layer, `sizes` its inputs, width and outputs, with the fault."""
    inputs, width, outputs = sizes
    layers = [nn.Flatten(), nn.Linear(prod(inputs), width), nn.ReLU(), nn.Linear(width, outputs)]
    return nn.Sequential(*layers, *([Fault(act)] if only_width in {0, width} else []))
