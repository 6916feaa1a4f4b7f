"""The optimizers' stacked form: K trials' weights as rows, each with rates of its own.

A rule changes rows [K, P] in place, as torch's optimizer of the same name changes one model.
torch's classes are not used: the first of them costs a process more than a second of imports.
Knows no model and no schedule.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from nnsearch.optim.stacked_adaptive import ADAPTIVE
from nnsearch.optim.stacked_rows import (
    Options,
    Rows,
    Rule,
    State,
    add_decay,
    collect,
    column,
    columns,
    fresh_state,
    rest,
)

# Training sees this module alone.
__all__ = ["RULES", "Options", "Rows", "Rule", "State", "adam_by_column", "collect", "fresh_state"]


def _adam(rows: Rows, rates: Sequence[float], count: int, *, is_decoupled: bool) -> None:
    step = _adam_by_row if rows.weights.is_cpu else adam_by_column
    step(rows, rates, count, is_decoupled=is_decoupled)


def adam_by_column(rows: Rows, rates: Sequence[float], count: int, *, is_decoupled: bool) -> None:
    """Adam for all rows at once, as a GPU wants it."""
    numbers, state = rows.options.numbers, rows.state
    # Worked out in double precision; the root of the squares' correction goes from K x P to K.
    roots = [(1 - beta2**count) ** 0.5 for beta2 in numbers["beta2"]]
    paces = [
        -rate * root / (1 - beta1**count)
        for rate, root, beta1 in zip(rates, roots, numbers["beta1"], strict=True)
    ]
    small = [eps * root for eps, root in zip(numbers["eps"], roots, strict=True)]
    first, second, pace, eps = columns(rows, rest(rows, "beta1"), rest(rows, "beta2"), paces, small)
    if is_decoupled:
        rows.weights.mul_(1 - column(rows, rates) * rows.options.columns["weight_decay"])
    else:
        add_decay(rows)
    state["mean"].lerp_(rows.grads, first)
    square = state["square"].lerp_(rows.grads.square(), second)
    if rows.options.flags["amsgrad"]:
        square = torch.maximum(state["largest"], square, out=state["largest"])
    step = torch.div(state["mean"], square.sqrt().add_(eps))
    rows.weights.addcmul_(step, pace)


def _adam_by_row(rows: Rows, rates: Sequence[float], count: int, *, is_decoupled: bool) -> None:
    """Torch's own kernel row by row: on a CPU one pass over the memory beats seven for K rows."""
    kernel: Any = torch._fused_adamw_ if is_decoupled else torch._fused_adam_
    numbers, state = rows.options.numbers, rows.state
    largest = list(state["largest"]) if "largest" in state else []
    steps = [torch.tensor(float(count))]
    per_row = zip(rows.weights, rows.grads, state["mean"], state["square"], strict=True)
    for index, (weights, grads, mean, square) in enumerate(per_row):
        kernel(
            [weights],
            [grads],
            [mean],
            [square],
            largest[index : index + 1],
            steps,
            lr=rates[index],
            beta1=numbers["beta1"][index],
            beta2=numbers["beta2"][index],
            weight_decay=numbers["weight_decay"][index],
            eps=numbers["eps"][index],
            amsgrad=rows.options.flags["amsgrad"],
            maximize=False,
        )


def _sgd(rows: Rows, rates: Sequence[float], count: int) -> None:
    columns, grads = rows.options.columns, rows.grads
    add_decay(rows)
    if "velocity" in rows.state:
        velocity = rows.state["velocity"]
        if count == 1:
            velocity.copy_(grads)
        else:
            velocity.mul_(columns["momentum"]).add_(grads)
        is_nesterov = rows.options.flags["nesterov"]
        grads = grads.addcmul_(velocity, columns["momentum"]) if is_nesterov else velocity
    rows.weights.addcmul_(grads, -column(rows, rates))


def _rmsprop(rows: Rows, rates: Sequence[float], count: int) -> None:
    del count
    options, state, grads = rows.options, rows.state, rows.grads
    add_decay(rows)
    share = column(rows, rest(rows, "alpha"))
    state["square"].lerp_(grads.square(), share)
    if options.flags["centered"]:
        state["mean"].lerp_(grads, share)
        below = state["square"].addcmul(state["mean"], state["mean"], value=-1).sqrt_()
    else:
        below = state["square"].sqrt()
    step = grads.div_(below.add_(options.columns["eps"]))
    if "velocity" in state:
        step = state["velocity"].mul_(options.columns["momentum"]).add_(step)
    rows.weights.addcmul_(step, -column(rows, rates))


def _of_adam(options: Options) -> tuple[str, ...]:
    return ("mean", "square", "largest") if options.flags["amsgrad"] else ("mean", "square")


def _of_sgd(options: Options) -> tuple[str, ...]:
    return ("velocity",) if any(options.numbers["momentum"]) else ()


def _of_rmsprop(options: Options) -> tuple[str, ...]:
    centre = ("mean",) if options.flags["centered"] else ()
    return ("square", *centre, *_of_sgd(options))


RULES: dict[str, Rule] = {
    "adam": Rule(_of_adam, partial(_adam, is_decoupled=False)),
    "adamw": Rule(_of_adam, partial(_adam, is_decoupled=True)),
    "sgd": Rule(_of_sgd, _sgd),
    "rmsprop": Rule(_of_rmsprop, _rmsprop),
    **ADAPTIVE,
}
