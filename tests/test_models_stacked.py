"""Stacked networks: forward and backward as K networks of torch's own, each by itself."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nnsearch.errors import UsageError
from nnsearch.models.cnn import cnn
from nnsearch.models.dropout import Dropout
from nnsearch.models.layers import ACTIVATIONS
from nnsearch.models.mlp import linear, mlp
from nnsearch.models.stacked import stack
from nnsearch.models.stacked_layer import Means, Mode, NotStackableError, Weights, lay_out

NETWORKS: list[tuple[Any, tuple[int, ...], dict[str, Any]]] = [
    (linear, (6,), {}),
    (linear, (1, 4, 4), {}),
    *(
        (mlp, (7,), {"width": 5, "depth": 2, "norm": norm, "activation": activation})
        for norm in ("none", "batch", "layer")
        for activation in ACTIVATIONS
    ),
    (mlp, (7,), {"width": 5, "depth": 3, "dropout": 0.4}),
    *(
        (cnn, (2, 9, 9), {"channels": 4, "depth": 2, "norm": norm, "block": block, "pool": pool})
        for norm in ("none", "batch", "layer", "group")
        for block in ("plain", "residual")
        for pool in ("max", "average", "stride")
    ),
    # Of one channel the trials' norms have one weight each, far from the next trial's.
    *(
        (cnn, (1, 8, 8), {"channels": 1, "depth": 1, "norm": norm, "block": "residual"})
        for norm in ("none", "batch", "layer", "group")
    ),
    *((cnn, (2, 8, 8), {"channels": 2, "activation": activation}) for activation in ACTIVATIONS),
    (cnn, (1, 8, 8), {"channels": 3, "kernel": 5, "head": "average", "dropout": 0.3}),
    (cnn, (3, 8, 8), {"channels": 2, "depth": 3, "activation": "gelu", "head": "average"}),
]


FOLDED = [each for each in NETWORKS if each[0] is cnn and each[2].get("norm", "none") == "none"]


@pytest.mark.parametrize(("make", "shape", "options"), NETWORKS)
@pytest.mark.parametrize("num_trials", [1, 3])
def test_a_stack_does_what_each_network_does(
    make: Any, shape: tuple[int, ...], options: dict[str, Any], num_trials: int
) -> None:
    torch.manual_seed(3)
    models = [make(shape, 3, **options).double() for _ in range(num_trials)]
    weights = _weights(models)
    x, pull = torch.randn(num_trials, 6, *shape).double(), torch.randn(num_trials, 6, 3).double()
    mode = Mode()
    masks = _masks(options.get("dropout", 0.0), num_trials)
    net = stack(models[0], Means(weights, masks, mode, num_trials))
    given = x.transpose(0, 1).flatten(1, 2) if make is cnn else x.flatten(2)
    out = net.forward(given)
    net.backward(pull)
    for number, model in enumerate(models):
        for layer, each in enumerate(d for d in model.modules() if isinstance(d, Dropout)):
            each.begin(number, 1, layer)
        alone = model.train()(x[number])
        torch.testing.assert_close(out[number], alone, rtol=1e-10, atol=1e-10)
        (alone * pull[number]).sum().backward()
        grads = weights.layout.unpack(weights.grads[number])
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(grads[name], parameter.grad, rtol=1e-9, atol=1e-10)
        buffers = weights.buffer_layout.unpack(weights.buffers[number])
        for name, buffer in model.named_buffers():
            torch.testing.assert_close(buffers[name], buffer.double(), rtol=1e-10, atol=1e-10)
    mode.is_training = False
    out = net.forward(given)
    for number, model in enumerate(models):
        torch.testing.assert_close(out[number], model.eval()(x[number]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("norm", "x"),
    [(nn.BatchNorm1d(7), torch.randn(1, 7)), (nn.BatchNorm2d(2), torch.randn(1, 2, 1, 1))],
)
def test_a_batch_norm_of_one_value_is_refused_as_torch_does(norm: nn.Module, x: Tensor) -> None:
    model = nn.Sequential(norm)
    with pytest.raises(ValueError, match="more than 1 value"):
        model.train()(x)
    net = stack(model, Means(_weights([model]), _masks(0.0, 1), Mode(), 1))
    with pytest.raises(UsageError, match="no variance of a single example"):
        net.forward(x if x.dim() == 4 else x[None])


def test_a_module_that_has_no_stacked_form_says_so() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Bilinear(3, 3, 3))
    with pytest.raises(NotStackableError, match="Bilinear"):
        stack(model, Means(_weights([model]), _masks(0.0, 1), Mode(), 1))


def test_each_array_of_a_row_begins_at_64_bytes() -> None:
    model = mlp((7,), 3, width=5)
    layout = lay_out(model.named_parameters())
    assert all(offset % 16 == 0 for offset in layout.offsets.values())
    assert layout.size % 16 == 0
    row = layout.pack([dict(model.named_parameters())], torch.zeros(0))[0].detach()
    assert all(
        torch.equal(value, layout.unpack(row)[name]) for name, value in model.named_parameters()
    )


@pytest.mark.parametrize(("make", "shape", "options"), FOLDED)
@pytest.mark.parametrize("num_trials", [1, 2])
def test_parts_of_a_batch_lie_side_by_side(
    make: Any, shape: tuple[int, ...], options: dict[str, Any], num_trials: int
) -> None:
    torch.manual_seed(3)
    models = [make(shape, 3, **options).double() for _ in range(num_trials)]
    x, pull = torch.randn(num_trials, 6, *shape).double(), torch.randn(num_trials, 6, 3).double()
    found = []
    for folds in (1, 3):
        weights = _weights(models)
        masks = _masks(options.get("dropout", 0.0), num_trials)
        net = stack(models[0], Means(weights, masks, Mode(folds=folds), num_trials))
        parts = x.unflatten(1, (folds, -1)).flatten(0, 1)
        found.append([net.forward(parts.transpose(0, 1).flatten(1, 2)), weights.grads])
        net.backward(pull)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-10, atol=1e-10)


def _masks(rate: float, num_trials: int) -> Any:
    """The masks that trial k draws in epoch 1 with seed k."""

    def mask(layer: int, count: int) -> Tensor:
        rows = []
        for number in range(num_trials):
            alone = Dropout(rate)
            alone.begin(number, 1, layer)
            rows.append(alone(torch.ones(count, dtype=torch.float64)))
        return torch.stack(rows)

    return mask


def _weights(models: list[nn.Module]) -> Weights:
    layout = lay_out(models[0].named_parameters())
    like = torch.zeros(0, dtype=torch.float64)
    values = layout.pack((dict(each.named_parameters()) for each in models), like).detach()
    buffers = lay_out(models[0].named_buffers())
    rows = buffers.pack((dict(each.named_buffers()) for each in models), like)
    return Weights(layout, values, torch.zeros_like(values), buffers, rows)
