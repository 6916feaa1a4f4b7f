"""The contracts of an optimizer and of a schedule. Know no model but a small one, and no data."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from nnsearch.testing.conformance import (
    copied_state,
    draws_nothing,
    is_finite,
    require,
    same_bits,
    same_tensors,
    stored,
    title,
)

NUM_STEPS = 4
TOTALS = (1, 2, 7, 1000)
LONGER = 10
SAME_END = 0.05
LOSSES = (1.0, 0.8, 0.9, 0.7)

Make = Callable[..., torch.optim.Optimizer]
Options = Mapping[str, Any]


def check_optimizer(make: Make, *, options: Options | None = None) -> None:
    """Raise ConformanceError where `make(params, **options)` is no optimizer as it should be.

    It moves every parameter and lowers a loss; it takes its rate from `param_groups`, where a
    schedule sets it; without gradient and at rate 0 nothing moves; and after a checkpoint it goes
    on bit for bit as it would have without.
    """
    name, options = title(make), options or {}
    model, optimizer = _begun(make, options)
    require(
        all("lr" in group for group in optimizer.param_groups), name, "it has no rate 'lr' to set."
    )
    before = copied_state(model)
    first = _loss(model)
    with draws_nothing(name):
        _train(model, optimizer, NUM_STEPS)
    after = model.state_dict()
    for key, value in before.items():
        require(is_finite(after[key]), name, f"'{key}' is not finite after {NUM_STEPS} steps.")
        require(not same_bits(value, after[key]), name, f"'{key}' does not move.")
    _train(model, optimizer, 10 * NUM_STEPS)
    require(_loss(model) < first, name, "the loss does not fall.")
    _check_checkpoint(make, options, name)
    _check_rate(make, options, name)


def check_schedule(schedule: Callable[..., float], *, options: Options | None = None) -> None:
    """Raise ConformanceError where `schedule(step, total, losses, **options)` is none.

    It is a pure function: equal arguments give an equal factor, in any order of the steps; the
    factor is finite and not below 0 at every step, of however many; and the schedule stretches
    with `total`, so that it has come to its end when training has.
    """
    name, options = title(schedule), options or {}

    def factor(step: int, total: int) -> float:
        found: object = schedule(step, total, (), **options)
        is_number = isinstance(found, int | float) and isfinite(found) and found >= 0
        require(is_number, name, f"at step {step} of {total} it gives {found!r}.")
        return float(found) if isinstance(found, int | float) else 0.0

    for total in TOTALS:
        steps = range(total)
        with draws_nothing(name):
            forward = [factor(step, total) for step in steps]
            backward = [factor(step, total) for step in reversed(steps)]
        require(forward == backward[::-1], name, f"it is not pure: of {total} steps some changed.")
    total = TOTALS[-1]
    last, longer = factor(total - 1, total), factor(LONGER * total - 1, LONGER * total)
    is_end = abs(last - longer) <= SAME_END
    message = f"it ends at {last:g} after {total} steps, at {longer:g} after {LONGER * total}."
    require(is_end, name, message)
    given = list(LOSSES)
    schedule(total - 1, total, given, **options)
    require(given == list(LOSSES), name, "it changes the list of losses.")


def _begun(make: Make, options: Options) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    return model, make(model.parameters(), **options)


def _batch() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(4)
    rows = torch.randn(16, 4, generator=draw)
    return rows, rows[:, :2] * 2 + 1


def _loss(model: nn.Module) -> float:
    rows, wanted = _batch()
    with torch.no_grad():
        return float((model(rows) - wanted).square().mean())


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, num_steps: int) -> None:
    rows, wanted = _batch()
    for _ in range(num_steps):
        optimizer.zero_grad(set_to_none=True)
        (model(rows) - wanted).square().mean().backward()
        optimizer.step()


def _check_checkpoint(make: Make, options: Options, name: str) -> None:
    model, optimizer = _begun(make, options)
    _train(model, optimizer, NUM_STEPS)
    weights, state = copied_state(model), stored(optimizer.state_dict(), name)
    _train(model, optimizer, NUM_STEPS)
    resumed, again = _begun(make, options)
    resumed.load_state_dict(weights)
    again.load_state_dict(state)
    _train(resumed, again, NUM_STEPS)
    is_same = same_tensors(model.state_dict(), resumed.state_dict())
    require(is_same, name, "after a checkpoint it goes on differently.")


def _check_rate(make: Make, options: Options, name: str) -> None:
    model, optimizer = _begun(make, options)
    _train(model, optimizer, 1)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = copied_state(model)
    _train(model, optimizer, 1)
    is_still = same_tensors(before, model.state_dict())
    require(is_still, name, "at the rate 0 of a schedule it still moves.")
