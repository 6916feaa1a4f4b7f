"""What a stacked optimizer is: K trials' weights as rows, their options as columns.

Knows no optimizer in particular.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

State = dict[str, Tensor]


class Options(NamedTuple):
    """What a study file says of K optimizers of one name, defaults filled in.

    `numbers` are the options that may differ, K values each; `columns` the same as [K, 1], of the
    weights' type and on their device; `flags` those that are alike for all.
    """

    numbers: dict[str, list[float]]
    columns: dict[str, Tensor]
    flags: dict[str, bool]


class Rows(NamedTuple):
    """Weights and gradients [K, P], what the rule remembers of each weight, and the options."""

    weights: Tensor
    grads: Tensor
    state: State
    options: Options


@dataclass(frozen=True, slots=True)
class Rule:
    """An optimizer: what it remembers of each weight, and one step of it.

    `step(rows, rates, count)` makes step `count`, from 1, at K learning rates; the gradients are
    spent by it. `remembers` names the arrays that there are under given options; each begins as
    zeros like the weights, or where it is named in `of_trial` as zeros [K, 1] of torch's default
    type, in which torch's classes keep such a number.
    """

    remembers: Callable[[Options], tuple[str, ...]]
    step: Callable[[Rows, Sequence[float], int], None]
    of_trial: tuple[str, ...] = ()


def collect(given: Sequence[Mapping[str, Any]], like: Tensor) -> Options:
    """The options of K trials side by side; `like` is a tensor of the weights' type."""
    flags = {name: value for name, value in given[0].items() if isinstance(value, bool)}
    numbers = {
        name: [float(each[name]) for each in given]
        for name in given[0]
        if name not in flags and name != "lr"
    }
    columns = {name: like.new_tensor(values)[:, None] for name, values in numbers.items()}
    return Options(numbers, columns, flags)


def fresh_state(rule: Rule, weights: Tensor, options: Options) -> State:
    """What a rule remembers before the first step."""
    dtype = torch.get_default_dtype()
    return {
        name: weights.new_zeros((len(weights), 1), dtype=dtype)
        if name in rule.of_trial
        else torch.zeros_like(weights)
        for name in rule.remembers(options)
    }


def column(rows: Rows, values: Sequence[float]) -> Tensor:
    """A number for each trial as [K, 1], to go with the weights."""
    return _sent(rows, values)[:, None]


def columns(rows: Rows, *values: Sequence[float]) -> tuple[Tensor, ...]:
    """Several columns, at the price of one copy to a GPU."""
    return _sent(rows, values)[..., None].unbind()


def _sent(rows: Rows, values: Any) -> Tensor:
    """The numbers beside the weights; a GPU's queue is not waited for, as `new_tensor` would."""
    if rows.weights.is_cpu:
        return rows.weights.new_tensor(values)
    made = torch.tensor(values, dtype=rows.weights.dtype)
    return made.to(rows.weights.device, non_blocking=True)


def rest(rows: Rows, name: str) -> list[float]:
    """1 less the option: in float32 1 - 0.999 would be wrong from the fifth digit on."""
    return [1 - value for value in rows.options.numbers[name]]


def add_decay(rows: Rows) -> None:
    """Add the weights' decay to the gradients, as an L2 penalty does."""
    if any(rows.options.numbers["weight_decay"]):
        rows.grads.addcmul_(rows.weights, rows.options.columns["weight_decay"])
