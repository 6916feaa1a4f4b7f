"""The contract of a model. Knows no task, no training and no data but random numbers."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnsearch.errors import NnsearchError
from nnsearch.exporting.onnx import onnx
from nnsearch.exporting.parity import parity
from nnsearch.exporting.predictor import Predictor
from nnsearch.models.layers import Shape
from nnsearch.testing.conformance import (
    ConformanceError,
    copied_state,
    is_finite,
    require,
    same_bits,
    same_tensors,
    stored,
    title,
)
from nnsearch.training.seeding import seed_epoch, seed_weights

NUM_ROWS = 7
CLOSE = 1e-4
SEED, OTHER_SEED = 11, 12
EXPORT_PACKAGES = ("onnx", "onnxruntime")


@dataclass(frozen=True, slots=True)
class _Model:
    """A model component with all that its checks need; `build` makes one from a seed."""

    name: str
    build: Callable[[int], nn.Module]
    rows: Tensor
    shape: tuple[int, ...]
    draws: bool


def check_model(
    make: Callable[..., nn.Module],
    inputs: Shape,
    outputs: int = 3,
    *,
    options: Mapping[str, Any] | None = None,
    rows: Tensor | None = None,
    returned: tuple[int, ...] | None = None,
    draws: bool = False,
) -> None:
    """Raise ConformanceError where `make(inputs, outputs, **options)` is no model as it should be.

    It takes [B, *inputs] to [B, outputs] for any B, in numbers that are finite, and judges each
    row by itself; its seed decides its weights and its dropout; the gradient reaches every
    parameter; a checkpoint holds all of it; and ONNX Runtime, where it is installed, says what
    torch says. `rows` [B, *inputs], two or more, are to try it with, where numbers drawn from a
    normal distribution will not do; `returned` is the shape of one output where it is not
    (outputs,). A model that `draws` makes pictures out of noise, whatever its rows are: what it
    makes of one may depend on the others, and it is not exported as it stands.
    """

    def build(seed: int) -> nn.Module:
        seed_weights(seed)
        return make(inputs, outputs, **(options or {}))

    if rows is None:
        rows = torch.randn(NUM_ROWS, *inputs, generator=torch.Generator().manual_seed(0))
    shape = (outputs,) if returned is None else returned
    model = _Model(title(make), build, rows, shape, draws)
    _check_seed(model)
    _check_outputs(model)
    _check_gradients(model)
    _check_state(model)
    if not draws:
        _check_export(model)


def _check_seed(model: _Model) -> None:
    first, again, other = model.build(SEED), model.build(SEED), model.build(OTHER_SEED)
    require(isinstance(first, nn.Module), model.name, f"it returns {type(first).__name__}.")
    is_equal = same_tensors(first.state_dict(), again.state_dict())
    require(is_equal, model.name, "one seed gives different weights.")
    has_drawn = any(each.detach().abs().sum() > 0 for each in first.parameters())
    is_other = not same_tensors(first.state_dict(), other.state_dict())
    require(is_other or not has_drawn, model.name, "every seed gives the same weights.")
    outputs = []
    for each in (first, again):
        seed_epoch(each.train(), SEED, 1)
        outputs.append(each(model.rows))
    require(is_finite(outputs[0]), model.name, "in training it gives numbers that are not finite.")
    require(same_bits(*outputs), model.name, "one seed gives different outputs in training.")


def _check_outputs(model: _Model) -> None:
    network = model.build(SEED).eval()
    with torch.no_grad():
        whole = network(model.rows)
        again = network(model.rows)
        alone = torch.cat([network(model.rows[index : index + 1]) for index in range(2)])
    wanted = (len(model.rows), *model.shape)
    require(
        tuple(whole.shape) == wanted,
        model.name,
        f"it gives the shape {tuple(whole.shape)} where {wanted} is wanted.",
    )
    require(whole.is_floating_point(), model.name, f"it gives {whole.dtype}, no real numbers.")
    require(is_finite(whole), model.name, "it gives numbers that are not finite.")
    require(same_bits(whole, again), model.name, "in evaluation, two calls differ.")
    is_close = torch.allclose(whole[:2], alone, rtol=CLOSE, atol=CLOSE)
    message = "in evaluation, a row's output depends on the other rows."
    require(is_close or model.draws, model.name, message)


def _check_gradients(model: _Model) -> None:
    network = model.build(SEED)
    seed_epoch(network.train(), SEED, 1)
    parameters = dict(network.named_parameters())
    require(parameters, model.name, "it has no parameter to train.")
    before = copied_state(network)
    outputs = network(model.rows)
    draw = torch.Generator().manual_seed(1)
    (outputs * torch.randn(outputs.shape, generator=draw)).sum().backward()
    for name, parameter in parameters.items():
        require(parameter.requires_grad, model.name, f"'{name}' asks for no gradient.")
        require(parameter.grad is not None, model.name, f"no gradient reaches '{name}'.")
        gradient = torch.zeros(()) if parameter.grad is None else parameter.grad
        require(is_finite(gradient), model.name, f"the gradient of '{name}' is not finite.")
        require(gradient.abs().sum() > 0, model.name, f"the gradient of '{name}' is all 0.")
        is_same = same_bits(before[name], parameter)
        require(is_same, model.name, f"'{name}' changes without an optimizer.")


def _check_state(model: _Model) -> None:
    network = model.build(SEED)
    seed_epoch(network.train(), SEED, 1)
    network(model.rows)  # what normalises has seen something now
    with torch.no_grad():
        restored = model.build(OTHER_SEED)
        state = stored(network.state_dict(), model.name)
        try:
            restored.load_state_dict(state)
        except RuntimeError as error:
            text = " ".join(str(error).split())[:200]
            raise ConformanceError(f"{model.name}: its state cannot be loaded: {text}") from error
        is_equal = same_bits(network.eval()(model.rows), restored.eval()(model.rows))
    require(is_equal, model.name, "a checkpoint does not hold all of it: outputs differ after one.")


def _check_export(model: _Model) -> None:
    if any(find_spec(package) is None for package in EXPORT_PACKAGES):
        return
    network = nn.Sequential(model.build(SEED), nn.Flatten())
    predictor = Predictor(nn.Identity(), network, nn.Identity())
    rows = model.rows.numpy()
    with tempfile.TemporaryDirectory() as folder:
        try:
            parity(predictor, onnx(predictor, rows[:2], Path(folder)), rows)
        except NnsearchError as error:
            raise ConformanceError(f"{model.name}: {error}") from error
