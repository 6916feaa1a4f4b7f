"""Learning-rate schedules as pure functions of the step. Knows no optimizer and no clock.

Each takes the step (from 0), the number of all steps and the validation losses of the epochs so
far, and returns the factor by which the optimizer's learning rate is multiplied in that step. A
`warmup` is the share of all steps in which the factor first climbs in a straight line.
"""

from collections.abc import Sequence
from math import cos, inf, pi
from typing import Annotated

from annotated_types import Gt, Le

from nnsearch.components import Count, NonNegative, Share, Unit

Losses = Sequence[float]
Factor = Annotated[float, Gt(0), Le(1)]


def constant(step: int, total: int, losses: Losses, *, warmup: Unit = 0.0) -> float:
    """1 throughout, after the warm-up."""
    del losses
    return _climb(step, _num_warmup(total, warmup))


def step_decay(
    step: int, total: int, losses: Losses, *, num_drops: Count = 2, factor: Factor = 0.1
) -> float:
    """`factor` to the power of the drops so far; the drops divide the training in equal parts."""
    del losses
    num_done = min(step * (num_drops + 1) // max(total, 1), num_drops)
    return float(factor**num_done)


def exponential(step: int, total: int, losses: Losses, *, final: Factor = 0.01) -> float:
    """The same ratio from step to step, from 1 to `final` at the end of training."""
    del losses
    return float(final ** min(step / max(total, 1), 1.0))


def cosine(
    step: int, total: int, losses: Losses, *, warmup: Unit = 0.0, floor: Share = 0.0
) -> float:
    """Half a cosine from 1 to `floor` at the end, after the warm-up (Loshchilov, 2017)."""
    del losses
    num_warmup = _num_warmup(total, warmup)
    if step < num_warmup:
        return _climb(step, num_warmup)
    done = min((step - num_warmup) / max(total - num_warmup, 1), 1.0)
    return floor + (1 - floor) * (1 + cos(pi * done)) / 2


def plateau(
    step: int,
    total: int,
    losses: Losses,
    *,
    factor: Factor = 0.5,
    patience: Count = 5,
    threshold: NonNegative = 1e-4,
    min_factor: Share = 0.01,
    warmup: Unit = 0.0,
) -> float:
    """1, times `factor` whenever the validation loss has not improved for `patience` epochs.

    An improvement is a loss below the best one by the share `threshold` of it. The whole history
    is looked at each time, so that nothing has to be kept in a checkpoint. As torch's
    ReduceLROnPlateau, whose patience is one less.
    """
    bar, num_waited, reached = inf, 0, 1.0
    for loss in losses:
        if loss < bar:
            bar, num_waited = loss - threshold * abs(loss), 0
            continue
        num_waited += 1
        if num_waited == patience:
            reached, num_waited = max(reached * factor, min_factor), 0
    return reached * _climb(step, _num_warmup(total, warmup))


def _num_warmup(total: int, warmup: float) -> int:
    return round(total * warmup)


def _climb(step: int, num_warmup: int) -> float:
    return min((step + 1) / num_warmup, 1.0) if num_warmup else 1.0
