"""Networks with a leading trial axis: K networks of one shape as one, forward and backward.

Each layer is a pair of functions written by hand, for autograd would cost more than the arithmetic
of a small network. Knows no loss, no optimizer and no trial.

Shape suffixes: K trials, B examples, F and G features, C channels, H height, W width. Rows are
[K, B, F], images [B, K * C, H, W] with the channels last in memory, as grouped convolutions want
them.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from nnsearch.models import stacked_norms
from nnsearch.models.cnn import Residual
from nnsearch.models.dropout import Dropout
from nnsearch.models.images import channels_last
from nnsearch.models.stacked_layer import Layer, Means, NotStackableError, Place

aten: Any = torch.ops.aten

# What these kernels are told by position.
TRANSPOSED = False
OF_RESULT = False
SELU = (1.6732632423543772, 1.0507009873554805)  # alpha and scale (Klambauer et al., 2017)


def stack(model: nn.Module, means: Means) -> Layer:
    """The layer that does for K trials what `model` does for one.

    Raises NotStackableError for a module that has no stacked form.
    """
    return _stack(model, Place(means, count()))


def _stack(module: nn.Module, place: Place) -> Layer:
    make = _MAKERS.get(type(module))
    if make is not None:
        return make(module, place)
    if type(module) in _PLAIN:
        return _PLAIN[type(module)](module)
    raise NotStackableError(f"{type(module).__name__} has no stacked form.")


def _chain(model: nn.Sequential, place: Place) -> Layer:
    layers: list[Layer] = []
    is_first = place.is_first
    for key, child in model.named_children():
        name = f"{place.name}.{key}" if place.name else key
        layers.append(_stack(child, place._replace(name=name, is_first=is_first)))
        is_first = is_first and not any(True for _ in child.parameters())

    def forward(x: Tensor) -> Tensor:
        for layer in layers:
            x = layer.forward(x)
        return x

    def backward(g: Tensor) -> Tensor:
        for layer in reversed(layers):
            g = layer.backward(g)
        return g

    return Layer(forward, backward)


def _residual(module: Residual, place: Place) -> Layer:
    inner = place._replace(is_first=False)
    body = _stack(module.body, inner._replace(name=f"{place.name}.body"))
    skip = _stack(module.skip, inner._replace(name=f"{place.name}.skip"))
    return Layer(
        lambda x: body.forward(x) + skip.forward(x),
        lambda g: body.backward(g) + skip.backward(g),
    )


def _dropout(module: Dropout, place: Place) -> Layer:
    del module
    means, number = place.means, next(place.dropouts)
    kept: list[Tensor | None] = []

    def forward(x_KBF: Tensor) -> Tensor:
        if not means.mode.is_training:
            return x_KBF
        mask = means.mask(number, x_KBF[0].numel())
        kept[:] = [None if mask is None else mask.view(x_KBF.shape)]
        return x_KBF if kept[0] is None else x_KBF * kept[0]

    return Layer(forward, lambda g: g if kept[0] is None else g * kept[0])


def _linear(module: nn.Linear, place: Place) -> Layer:
    del module
    weights = place.means.weights
    weight_KGF, grad_KGF = weights.pair(f"{place.name}.weight")
    bias_KG, bias_grad_KG = weights.pair(f"{place.name}.bias", is_optional=True)
    kept: list[Tensor] = []

    def forward(x_KBF: Tensor) -> Tensor:
        kept[:] = [x_KBF]
        if bias_KG is None:
            return torch.bmm(x_KBF, weight_KGF.mT)
        return torch.baddbmm(bias_KG[:, None], x_KBF, weight_KGF.mT)

    def backward(g_KBG: Tensor) -> Tensor:
        torch.bmm(g_KBG.mT, kept[0], out=grad_KGF)
        if bias_grad_KG is not None:
            torch.sum(g_KBG, 1, out=bias_grad_KG)
        return g_KBG if place.is_first else torch.bmm(g_KBG, weight_KGF)

    return Layer(forward, backward)


def _convolution(module: nn.Conv2d, place: Place) -> Layer:
    means = place.means
    weight, grad = means.weights.pair(f"{place.name}.weight")
    bias, bias_grad = means.weights.pair(f"{place.name}.bias", is_optional=True)
    geometry: Any = (module.stride, module.padding, module.dilation, TRANSPOSED, [0, 0])
    kept: list[Tensor] = []

    def num_groups() -> int:
        return means.num_trials * means.mode.folds * module.groups

    def forward(x: Tensor) -> Tensor:
        # The weights of K trials do not lie side by side, and the kernel wants them to.
        folds = means.mode.folds
        kept[:] = [x, channels_last(_for_each_fold(weight, folds))]
        flat = None if bias is None else _for_each_fold(bias, folds)
        y: Tensor = aten.convolution(x, kept[1], flat, *geometry, num_groups())
        return y

    def backward(g: Tensor) -> Tensor:
        needed = [not place.is_first, True, bias is not None]
        sizes = None if bias is None else [g.shape[1]]
        g_x, g_weight, g_bias = aten.convolution_backward(
            g, *kept, sizes, *geometry, num_groups(), needed
        )
        torch.sum(g_weight.unflatten(0, (len(grad), -1, grad.shape[1])), 1, out=grad)
        if bias_grad is not None:
            torch.sum(g_bias.view(len(bias_grad), -1, bias_grad.shape[1]), 1, out=bias_grad)
        return g if place.is_first else g_x

    return Layer(forward, backward)


def _for_each_fold(arrays: Tensor, folds: int) -> Tensor:
    """An array of K trials, [K, C, ...], for each fold of each of them: [K * folds * C, ...]."""
    return arrays[:, None].expand(-1, folds, *arrays.shape[1:]).flatten(0, 2)


def _flatten(module: nn.Flatten, place: Place) -> Layer:
    del module
    means = place.means
    shapes: list[torch.Size] = []

    def forward(x: Tensor) -> Tensor:
        shapes[:] = [x.shape]
        if x.dim() == 3:  # noqa: PLR2004 - [K, B, F]
            return x
        parts = x.reshape(len(x), means.num_trials * means.mode.folds, -1).transpose(0, 1)
        return parts.reshape(means.num_trials, -1, parts.shape[2])

    def backward(g: Tensor) -> Tensor:
        if len(shapes[0]) == 3:  # noqa: PLR2004 - [K, B, F]
            return g
        parts = g.reshape(-1, shapes[0][0], g.shape[2])
        return channels_last(parts.transpose(0, 1).reshape(shapes[0]))

    return Layer(forward, backward)


def _of_output(run: Callable[[Tensor], Tensor], back: Callable[[Tensor, Tensor], Tensor]) -> Layer:
    """A layer whose gradient is worked out from what it put out."""
    kept: list[Tensor] = []

    def forward(x: Tensor) -> Tensor:
        kept[:] = [run(x)]
        return kept[0]

    return Layer(forward, lambda g: back(g, kept[0]))


def _of_input(run: Callable[[Tensor], Tensor], back: Callable[[Tensor, Tensor], Tensor]) -> Layer:
    """A layer whose gradient is worked out from what it was given."""
    kept: list[Tensor] = []

    def forward(x: Tensor) -> Tensor:
        kept[:] = [x]
        return run(x)

    return Layer(forward, lambda g: back(g, kept[0]))


def _identity(module: nn.Identity) -> Layer:
    del module
    return Layer(lambda x: x, lambda g: g)


def _relu(module: nn.ReLU) -> Layer:
    del module
    # In place: no layer needs what it handed to an activation.
    return _of_output(torch.relu_, lambda g, y: aten.threshold_backward(g, y, 0))


def _leaky_relu(module: nn.LeakyReLU) -> Layer:
    slope = module.negative_slope
    return _of_input(module, lambda g, x: aten.leaky_relu_backward(g, x, slope, OF_RESULT))


def _elu(module: nn.ELU) -> Layer:
    alpha = module.alpha
    return _of_input(module, lambda g, x: aten.elu_backward(g, alpha, 1, 1, OF_RESULT, x))


def _selu(module: nn.SELU) -> Layer:
    return _of_input(module, lambda g, x: aten.elu_backward(g, *SELU, 1, OF_RESULT, x))


def _softplus(module: nn.Softplus) -> Layer:
    bend = module.beta, module.threshold
    return _of_input(module, lambda g, x: aten.softplus_backward(g, x, *bend))


def _max_pool(module: nn.MaxPool2d) -> Layer:
    window = (module.kernel_size, module.stride, module.padding, module.dilation)
    options = tuple([each, each] if isinstance(each, int) else list(each) for each in window)
    kept: list[Tensor] = []

    def forward(x: Tensor) -> Tensor:
        y: Tensor
        y, indices = aten.max_pool2d_with_indices(x, *options, module.ceil_mode)
        kept[:] = [x, indices]
        return y

    def backward(g: Tensor) -> Tensor:
        x, indices = kept
        g_x: Tensor = aten.max_pool2d_with_indices_backward(
            g, x, *options, module.ceil_mode, indices
        )
        return g_x

    return Layer(forward, backward)


def _average_pool(module: nn.AvgPool2d) -> Layer:
    window = (module.kernel_size, module.stride, module.padding)
    options = tuple([each, each] if isinstance(each, int) else list(each) for each in window)
    rest = (module.ceil_mode, module.count_include_pad, module.divisor_override)
    return _of_input(module, lambda g, x: aten.avg_pool2d_backward(g, x, *options, *rest))


def _whole_average(module: nn.AdaptiveAvgPool2d) -> Layer:
    if module.output_size not in {1, (1, 1)}:
        raise NotStackableError(f"AdaptiveAvgPool2d({module.output_size}) has no stacked form.")

    def back(g: Tensor, x: Tensor) -> Tensor:
        spread = (g / (x.shape[2] * x.shape[3])).expand(x.shape)
        return channels_last(spread)

    return _of_input(lambda x: x.mean((2, 3), keepdim=True), back)


_PLAIN: dict[type[nn.Module], Callable[[Any], Layer]] = {
    nn.ReLU: _relu,
    nn.LeakyReLU: _leaky_relu,
    nn.ELU: _elu,
    nn.SELU: _selu,
    nn.GELU: lambda module: _of_input(module, aten.gelu_backward),
    nn.SiLU: lambda module: _of_input(module, aten.silu_backward),
    nn.Mish: lambda module: _of_input(module, aten.mish_backward),
    nn.Hardswish: lambda module: _of_input(module, aten.hardswish_backward),
    nn.Softplus: _softplus,
    nn.Tanh: lambda module: _of_output(module, aten.tanh_backward),
    nn.Sigmoid: lambda module: _of_output(module, aten.sigmoid_backward),
    nn.Identity: _identity,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: _whole_average,
}

_MAKERS: dict[type[nn.Module], Callable[[Any, Place], Layer]] = {
    nn.Sequential: _chain,
    Residual: _residual,
    Dropout: _dropout,
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.Flatten: _flatten,
    **stacked_norms.NORMS,
}
