"""The mean of a network's weights over its training, judged in their place.

Knows no epoch's metrics and no optimizer. How much the newest weights count is a number, so that
`group_averages` does the same for the rows of many trials.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import floor

import torch
from torch import Tensor, nn

from nnsearch.data.batches import batches, order
from nnsearch.training.recipe import Recipe

MEASURED_ROWS = 4096
MEASURED_AT_ONCE = 512

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def share_of_step(chosen: Recipe, step: int) -> float:
    """What the weights after step `step`, from 1, count in the mean; 0 where it stays as it is.

    The first count all, and the later ones as in a moving average from 0 that is divided by the
    sum of its factors (Kingma and Ba, Adam, 2015).
    """
    averaging = chosen.averaging
    if averaging.kind != "ema":
        return 0.0
    return (1 - averaging.ema_decay) / (1 - averaging.ema_decay**step)


def share_of_epoch(chosen: Recipe, epoch: int) -> float:
    """What the weights after epoch `epoch`, from 1, count in the mean; 0 where it stays."""
    if chosen.averaging.kind != "swa" or not is_averaged(chosen, epoch):
        return 0.0
    return 1 / (epoch - floor(chosen.averaging.swa_start * chosen.epochs))


def is_averaged(chosen: Recipe, epoch: int) -> bool:
    """Whether after this epoch the mean takes the place of the weights."""
    if chosen.averaging.kind == "swa":
        return epoch > floor(chosen.averaging.swa_start * chosen.epochs)
    return chosen.averaging.kind == "ema"


def begin_mean(model: nn.Module, chosen: Recipe) -> list[Tensor]:
    """Room for the mean of the model's parameters; empty where none is wanted."""
    if chosen.averaging.kind == "none":
        return []
    return [each.detach().clone() for each in model.parameters()]


def add_to_mean(mean: Sequence[Tensor], model: nn.Module, share: float) -> None:
    """Move the mean by this share of the way to the model's weights."""
    if not share:
        return
    with torch.no_grad():
        for each, parameter in zip(mean, model.parameters(), strict=True):
            each.lerp_(parameter, share)


@contextmanager
def with_mean(
    model: nn.Module, mean: Sequence[Tensor], inputs: Callable[[], Iterable[Tensor]]
) -> Iterator[None]:
    """The model with the mean for its weights, and as it was again afterwards.

    Its batch norms are measured on `inputs()`, batches of the training split.
    """
    before = {name: each.detach().clone() for name, each in model.state_dict().items()}
    with torch.no_grad():
        for each, parameter in zip(mean, model.parameters(), strict=True):
            parameter.copy_(each)
    _measure(model, inputs)
    try:
        yield
    finally:
        model.load_state_dict(before)


def measured(num_rows: int, seed: int, epoch: int) -> list[Tensor]:
    """The rows of the training split, batch by batch, on which batch norms are measured."""
    rows = order(num_rows, seed, epoch)[:MEASURED_ROWS]
    return [rows[each] for each in batches(len(rows), MEASURED_AT_ONCE)]


def _measure(model: nn.Module, inputs: Callable[[], Iterable[Tensor]]) -> None:
    """Let batch norms that learn take the means over these batches, and nothing else train."""
    norms = [
        each
        for each in model.modules()
        if isinstance(each, BATCH_NORMS) and all(part.requires_grad for part in each.parameters())
    ]
    if not norms:
        return
    model.eval()
    own = [each.momentum for each in norms]
    for each in norms:
        each.train()
    num_seen = 0
    with torch.no_grad():
        for batch in inputs():
            num_seen += len(batch)
            for each in norms:
                each.momentum = len(batch) / num_seen
            model(batch)
    for each, momentum in zip(norms, own, strict=True):
        each.momentum = momentum
    model.eval()
