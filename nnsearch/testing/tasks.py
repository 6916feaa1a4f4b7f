"""The contract of a task. Knows no model: outputs are drawn at random, then made better."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnsearch.tasks.metrics import Array
from nnsearch.tasks.task import Task
from nnsearch.testing.conformance import (
    draws_nothing,
    is_finite,
    require,
    same_bits,
    stored,
    title,
)

Options = Mapping[str, Any]
CLOSE = 1e-4
NUM_STEPS = 400
RATE = 0.05
NUM_TRIALS = 2


def check_task(
    make: Callable[..., Task], targets: Array, *, options: Options | None = None
) -> None:
    """Raise ConformanceError where `make(targets, **options)` is no task as it should be.

    For random outputs the losses are finite, one an example, alike for fused trials, and so is
    their gradient; decoding gives a row of finite numbers each, and is all in its state; the
    metrics are finite numbers under the names that have a direction. Outputs that lower the loss
    make no metric worse by its direction, and what is there for speed agrees with what is not.
    A task that goes around its model, or has as many outputs as inputs, is not asked for more
    than its names and its encoding.
    """
    name, options = title(make), options or {}
    before = targets.tobytes()
    with draws_nothing(name):
        task = make(targets, **options)
        encoded = task.encode(targets)
    require(targets.tobytes() == before, name, "it changes the targets.")
    require(isinstance(task, Task), name, f"it returns {type(task).__name__}, no Task.")
    _check_names(task, name)
    require(len(encoded) == len(targets), name, f"{len(encoded)} encoded of {len(targets)}.")
    is_real = not encoded.is_floating_point() or is_finite(encoded)
    require(is_real, name, "encoded targets are not finite.")
    if task.around is not None or not task.outputs:
        return
    outputs = torch.randn(
        len(targets), task.outputs, generator=torch.Generator().manual_seed(5)
    ).requires_grad_()
    _check_losses(task, outputs, encoded, name)
    _check_predictions(task, outputs.detach(), targets, name)
    _check_directions(task, outputs.detach(), encoded, targets=targets, name=name)


def _check_names(task: Task, name: str) -> None:
    require(task.directions, name, "it has no metric.")
    strange = [each for each in task.directions.values() if each not in {"minimize", "maximize"}]
    require(not strange, name, f"{strange} is no direction.")
    require(task.outputs >= 0, name, f"{task.outputs} outputs.")
    has_training = bool(list(task.decode.parameters()))
    require(not has_training, name, "its decoding has parameters; they should be buffers.")


def _check_losses(task: Task, outputs: Tensor, encoded: Tensor, name: str) -> None:
    losses = task.losses(outputs, encoded)
    wanted = tuple(outputs.shape[:-1])
    message = f"losses of shape {tuple(losses.shape)} where {wanted} is wanted."
    require(tuple(losses.shape) == wanted, name, message)
    require(is_finite(losses), name, "losses are not finite.")
    (gradient,) = torch.autograd.grad(losses.mean(), outputs)
    require(is_finite(gradient), name, "the gradient of the loss is not finite.")
    require(gradient.abs().sum() > 0, name, "the gradient of the loss is 0.")
    with torch.no_grad():
        fused = task.losses(
            outputs.expand(NUM_TRIALS, *outputs.shape), encoded.expand(NUM_TRIALS, *encoded.shape)
        )
    require(fused.shape == (NUM_TRIALS, len(outputs)), name, "losses of fused trials lack an axis.")
    is_close = torch.allclose(fused[0], losses, rtol=CLOSE, atol=CLOSE)
    require(is_close, name, "losses of fused trials are not those of one alone.")
    if task.slopes is not None:
        closed, slopes = task.slopes(outputs.detach(), encoded)
        every = torch.autograd.grad(task.losses(outputs, encoded).sum(), outputs)[0]
        is_close = torch.allclose(closed, losses, rtol=CLOSE, atol=CLOSE)
        require(is_close, name, "the losses of its slopes are others.")
        is_close = torch.allclose(slopes, every, rtol=CLOSE, atol=CLOSE)
        require(is_close, name, "its slopes are not the derivative of its losses.")


def _check_predictions(task: Task, outputs: Tensor, targets: Array, name: str) -> None:
    predictions = _decoded(task.decode, outputs)
    require(predictions.ndim == 2, name, f"predictions of shape {predictions.shape}.")  # noqa: PLR2004 - [N, P]
    require(len(predictions) == len(targets), name, f"{len(predictions)} predictions.")
    require(np.isfinite(predictions).all(), name, "predictions are not finite.")
    state = stored(task.decode.state_dict(), name)
    require(
        all(same_bits(state[key], each) for key, each in task.decode.state_dict().items()),
        name,
        "the state of its decoding changes when it is stored.",
    )
    metrics = task.metrics(predictions, targets)
    message = f"metrics {sorted(metrics)}, but directions of {sorted(task.directions)}."
    require(metrics.keys() == task.directions.keys(), name, message)
    wrong = [key for key, value in metrics.items() if not _is_number(value)]
    require(not wrong, name, f"the metrics {wrong} are no finite numbers.")
    require(metrics == task.metrics(predictions, targets), name, "two calls give other metrics.")
    if task.metrics_many is not None:
        many = task.metrics_many(np.stack([predictions] * NUM_TRIALS), targets)
        require(len(many) == NUM_TRIALS, name, f"metrics of {len(many)} trials of {NUM_TRIALS}.")
        differing = [key for key in metrics if not np.isclose(many[-1][key], metrics[key])]
        require(not differing, name, f"of many trials at once, {differing} are others.")


def _check_directions(
    task: Task, outputs: Tensor, encoded: Tensor, *, targets: Array, name: str
) -> None:
    better = outputs.clone().requires_grad_()
    optimizer = torch.optim.Adam([better], lr=RATE)
    for _ in range(NUM_STEPS):
        optimizer.zero_grad()
        task.losses(better, encoded).sum().backward()
        optimizer.step()
    with torch.no_grad():
        first, last = (task.losses(each, encoded).mean() for each in (outputs, better))
    require(last < first, name, "the loss cannot be lowered by its gradient.")
    before, after = (
        task.metrics(_decoded(task.decode, each), targets) for each in (outputs, better.detach())
    )
    for key, direction in task.directions.items():
        gain = after[key] - before[key] if direction == "maximize" else before[key] - after[key]
        message = f"'{key}' is to {direction}, but gets worse as the loss falls."
        require(gain >= -CLOSE, name, message)


def _decoded(decode: nn.Module, outputs: Tensor) -> Any:
    with torch.no_grad():
        return np.ascontiguousarray(decode.eval()(outputs).float().numpy())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and isfinite(value)
