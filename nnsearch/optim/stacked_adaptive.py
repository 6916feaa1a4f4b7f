"""Adam's relatives in stacked form: Adagrad, Adadelta, Adamax, NAdam, RAdam.

Each step is that of torch's optimizer of the same name. Knows neither Adam itself nor what is
trained.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from nnsearch.optim.stacked_rows import Options, Rows, Rule, add_decay, column, columns, rest

RECTIFIED_FROM = 5  # the length of the moving average, as RAdam's authors have it


def _adagrad(rows: Rows, rates: Sequence[float], count: int) -> None:
    options, total = rows.options, rows.state["total"]
    add_decay(rows)
    if count == 1:
        total.add_(options.columns["initial"])
    total.addcmul_(rows.grads, rows.grads)
    step = rows.grads.div_(total.sqrt().add_(options.columns["eps"]))
    decays = zip(rates, options.numbers["lr_decay"], strict=True)
    slowed = [-rate / (1 + (count - 1) * decay) for rate, decay in decays]
    rows.weights.addcmul_(step, column(rows, slowed))


def _adadelta(rows: Rows, rates: Sequence[float], count: int) -> None:
    del count
    eps, square, moved = rows.options.columns["eps"], rows.state["square"], rows.state["moved"]
    add_decay(rows)
    rate, share = columns(rows, rates, rest(rows, "rho"))
    square.lerp_(rows.grads.square(), share)
    step = moved.add(eps).sqrt_()
    step.div_(square.add(eps).sqrt_()).mul_(rows.grads)
    moved.lerp_(step.square(), share)
    rows.weights.addcmul_(step, -rate)


def _adamax(rows: Rows, rates: Sequence[float], count: int) -> None:
    options, largest = rows.options, rows.state["largest"]
    add_decay(rows)
    pace, share = columns(rows, _unbiased(rows, rates, count), rest(rows, "beta1"))
    mean = rows.state["mean"].lerp_(rows.grads, share)
    size = rows.grads.abs_().add_(options.columns["eps"])
    torch.maximum(largest.mul_(options.columns["beta2"]), size, out=largest)
    rows.weights.addcmul_(mean / largest, -pace)


def _nadam(rows: Rows, rates: Sequence[float], count: int) -> None:
    numbers, product = rows.options.numbers, rows.state["product"]
    _decay(rows, rates)
    mean, square = _moments(rows)
    roots = [(1 - beta2**count) ** 0.5 for beta2 in numbers["beta2"]]
    momenta = _momenta(rows, count), _momenta(rows, count + 1)
    rate, root, now, after = columns(rows, rates, roots, *momenta)
    if count == 1:
        product.fill_(1)
    past = product.mul_(now.to(product.dtype)).to(now.dtype)
    below = square.sqrt().div_(root).add_(rows.options.columns["eps"])
    ahead = mean * (after / (1 - past * after))
    ahead.addcmul_(rows.grads, (1 - now) / (1 - past))
    rows.weights.addcmul_(ahead.div_(below), -rate)


def _momenta(rows: Rows, count: int) -> list[float]:
    """Each trial's momentum in step `count`."""
    numbers = rows.options.numbers
    pairs = zip(numbers["beta1"], numbers["momentum_decay"], strict=True)
    return [beta1 * (1 - 0.5 * 0.96 ** (count * decay)) for beta1, decay in pairs]


def _radam(rows: Rows, rates: Sequence[float], count: int) -> None:
    _decay(rows, rates)
    mean, square = _moments(rows)
    scales = [_rectification(beta2, count) for beta2 in rows.options.numbers["beta2"]]
    is_plain = [0.0 if scale else 1.0 for scale in scales]
    pace, scale, plain = columns(rows, _unbiased(rows, rates, count), scales, is_plain)
    step = mean
    if any(scales):
        factor = square.sqrt().add_(rows.options.columns["eps"]).reciprocal_().mul_(scale)
        step = mean * (factor.add_(plain) if any(is_plain) else factor)
    rows.weights.addcmul_(step, -pace)


def _rectification(beta2: float, count: int) -> float:
    """What RAdam multiplies an adaptive step by; 0 while its mean square tells too little."""
    correction = 1 - beta2**count
    most = 2 / (1 - beta2) - 1
    length = most - 2 * count * beta2**count / correction
    if length <= RECTIFIED_FROM:
        return 0.0
    share = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
    return float((share * correction) ** 0.5)


def _decay(rows: Rows, rates: Sequence[float]) -> None:
    """The weights' decay, from the weights themselves or by way of the gradients."""
    if not rows.options.flags["decoupled"]:
        add_decay(rows)
    elif any(rows.options.numbers["weight_decay"]):
        rows.weights.mul_(1 - column(rows, rates) * rows.options.columns["weight_decay"])


def _moments(rows: Rows) -> tuple[Tensor, Tensor]:
    """The moving means of the gradients and of their squares, with this step's."""
    first, second = columns(rows, rest(rows, "beta1"), rest(rows, "beta2"))
    mean = rows.state["mean"].lerp_(rows.grads, first)
    return mean, rows.state["square"].lerp_(rows.grads.square(), second)


def _unbiased(rows: Rows, rates: Sequence[float], count: int) -> list[float]:
    """The rates, corrected for the gradients' mean, which begins at 0."""
    pairs = zip(rates, rows.options.numbers["beta1"], strict=True)
    return [rate / (1 - beta1**count) for rate, beta1 in pairs]


def _always(options: Options, *, names: tuple[str, ...]) -> tuple[str, ...]:
    del options
    return names


ADAPTIVE: dict[str, Rule] = {
    "adagrad": Rule(partial(_always, names=("total",)), _adagrad),
    "adadelta": Rule(partial(_always, names=("square", "moved")), _adadelta),
    "adamax": Rule(partial(_always, names=("mean", "largest")), _adamax),
    "nadam": Rule(
        partial(_always, names=("mean", "square", "product")), _nadam, of_trial=("product",)
    ),
    "radam": Rule(partial(_always, names=("mean", "square")), _radam),
}
