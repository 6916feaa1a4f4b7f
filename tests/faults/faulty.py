"""Networks with a fault of their own; each study has a copy of this file beside it."""

import os
import time
from pathlib import Path

import torch
from torch import Tensor, nn


class Nap(nn.Module):
    """Passes its input on after a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, inputs: Tensor) -> Tensor:
        """The input."""
        time.sleep(self.seconds)
        return inputs


class Broken(nn.Module):
    """Passes numbers on that are none."""

    def forward(self, inputs: Tensor) -> Tensor:
        """NaN."""
        return inputs * torch.nan


def _layers(inputs: tuple[int, ...], outputs: int, width: int) -> list[nn.Module]:
    return [nn.Linear(inputs[0], width), nn.ReLU(), nn.Linear(width, outputs)]


def slow(inputs: tuple[int, ...], outputs: int, *, width: int = 4) -> nn.Module:
    """Takes a tenth of a second a batch."""
    return nn.Sequential(Nap(0.1), *_layers(inputs, outputs, width))


def hanging(inputs: tuple[int, ...], outputs: int, *, width: int = 4) -> nn.Module:
    """Sleeps for ever the first time that it is built."""
    return nn.Sequential(Nap(10_000.0 if _is_first() else 0.0), *_layers(inputs, outputs, width))


def broken(inputs: tuple[int, ...], outputs: int, *, width: int = 4) -> nn.Module:
    """Has no finite loss where it is 8 wide, or where the whole study is to break."""
    bad = width == 8 or "FAULT_ALL" in os.environ
    return nn.Sequential(*_layers(inputs, outputs, width), *([Broken()] if bad else []))


def greedy(inputs: tuple[int, ...], outputs: int, *, width: int = 4) -> nn.Module:
    """Takes more memory than there is where it is 8 wide."""
    if width == 8:
        torch.zeros(1 << 42)
    return nn.Sequential(*_layers(inputs, outputs, width))


def simulated(inputs: tuple[int, ...], outputs: int, *, width: int = 4) -> nn.Module:
    """Says, as CUDA does, that memory has run out where it is 8 wide."""
    if width == 8:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    return nn.Sequential(*_layers(inputs, outputs, width))


def failing(inputs: tuple[int, ...], outputs: int, *, width: int = 4) -> nn.Module:
    """Always raises the same error."""
    raise ValueError("the same")


def _is_first() -> bool:
    try:
        Path(os.environ["FAULT_MARK"]).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
