"""Learning-rate schedules as pure functions of the step. Knows no optimizer and no clock.

Each takes the step (from 0), the number of all steps and the validation losses of the epochs so
far, and returns the factor by which the optimizer's learning rate is multiplied in that step. A
`warmup` is the share of all steps in which the factor first climbs in a straight line.
"""

from collections.abc import Sequence
from math import cos, inf, pi
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from nnsearch.components import Count, NonNegative, Positive, Share, Unit

Losses = Sequence[float]
Factor = Annotated[float, Gt(0), Le(1)]


def constant(step: int, total: int, losses: Losses, *, warmup: Unit = 0.0) -> float:
    """1 throughout, after the warm-up."""
    del losses
    return _climb(step, _num_warmup(total, warmup))


def step_decay(
    step: int,
    total: int,
    losses: Losses,
    *,
    num_drops: Count = 2,
    factor: Factor = 0.1,
    warmup: Unit = 0.0,
) -> float:
    """`factor` to the power of the drops so far; the drops divide the training in equal parts.

    The warm-up is no part of what is divided.
    """
    del losses
    num_warmup = _num_warmup(total, warmup)
    if step < num_warmup:
        return _climb(step, num_warmup)
    num_done = (step - num_warmup) * (num_drops + 1) // max(total - num_warmup, 1)
    return float(factor ** min(num_done, num_drops))


def exponential(
    step: int, total: int, losses: Losses, *, final: Factor = 0.01, warmup: Unit = 0.0
) -> float:
    """The same ratio from step to step, from 1 to `final` at the end, after the warm-up."""
    del losses
    num_warmup = _num_warmup(total, warmup)
    if step < num_warmup:
        return _climb(step, num_warmup)
    return float(final ** _share_done(step, total, num_warmup))


def polynomial(
    step: int,
    total: int,
    losses: Losses,
    *,
    power: Positive = 1.0,
    floor: Share = 0.0,
    warmup: Unit = 0.0,
) -> float:
    """What is left of training, to a power, from 1 to `floor`; a straight line if `power` is 1."""
    del losses
    num_warmup = _num_warmup(total, warmup)
    if step < num_warmup:
        return _climb(step, num_warmup)
    return floor + (1 - floor) * float((1 - _share_done(step, total, num_warmup)) ** power)


def cosine(
    step: int, total: int, losses: Losses, *, warmup: Unit = 0.0, floor: Share = 0.0
) -> float:
    """Half a cosine from 1 to `floor` at the end, after the warm-up (Loshchilov, 2017)."""
    del losses
    num_warmup = _num_warmup(total, warmup)
    if step < num_warmup:
        return _climb(step, num_warmup)
    return _half_cosine(1, floor, _share_done(step, total, num_warmup))


def cosine_restarts(
    step: int,
    total: int,
    losses: Losses,
    *,
    num_cycles: Annotated[int, Ge(1), Le(100)] = 3,
    growth: Annotated[float, Ge(1), Le(10)] = 2.0,
    floor: Share = 0.0,
    warmup: Unit = 0.0,
) -> float:
    """Half a cosine from 1 to `floor`, begun anew `num_cycles` times (Loshchilov, 2017).

    Each cycle is `growth` times as long as the one before; after the warm-up they fill training.
    """
    del losses
    num_warmup = _num_warmup(total, warmup)
    if step < num_warmup:
        return _climb(step, num_warmup)
    length, start = 1.0, 0.0  # in first cycles, which lets each restart fall on its step exactly
    all_cycles = sum(growth**index for index in range(num_cycles))
    place = (step - num_warmup) * all_cycles / max(total - num_warmup, 1)
    for _ in range(num_cycles - 1):
        if place < start + length:
            break
        start += length
        length *= growth
    return _half_cosine(1, floor, min((place - start) / length, 1.0))


def one_cycle(
    step: int,
    total: int,
    losses: Losses,
    *,
    climb: Annotated[float, Gt(0), Lt(1)] = 0.3,
    start: Factor = 0.04,
    final: Factor = 4e-6,
    shape: Literal["cosine", "linear"] = "cosine",
) -> float:
    """From `start` up to 1, then down to `final` (Smith and Topin, Super-Convergence, 2018).

    The optimizer's learning rate is the peak, so it may be several times the usual one. `climb` is
    the share of all steps that go up. As torch's OneCycleLR, but that the momentum stays.
    """
    del losses
    top = climb * total - 1
    if step <= top:
        return _between(start, 1, step / top if top else 1.0, shape)
    last = total - 1 - top
    return _between(1, final, min((step - top) / last, 1.0) if last else 1.0, shape)


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


def _share_done(step: int, total: int, num_warmup: int) -> float:
    return min((step - num_warmup) / max(total - num_warmup, 1), 1.0)


def _between(begin: float, end: float, done: float, shape: Literal["cosine", "linear"]) -> float:
    return _half_cosine(begin, end, done) if shape == "cosine" else begin + (end - begin) * done


def _half_cosine(begin: float, end: float, done: float) -> float:
    return end + (begin - end) * (1 + cos(pi * done)) / 2
