"""Batch, layer and group norm with a leading trial axis. Knows no other layer.

Shape suffixes as in `stacked`: K trials, B examples, F features; images are [B, K * C, H, W].
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nnsearch.errors import UsageError
from nnsearch.models.stacked_layer import Layer, Place

aten: Any = torch.ops.aten

IS_TRAINING = True  # what the kernel of the backward pass is told by position


def _batch_rows(module: nn.BatchNorm1d, place: Place) -> Layer:
    """Batch norm of rows [K, B, F] (Ioffe and Szegedy, 2015)."""
    scale_KF, scale_grad_KF = place.means.weights.pair(f"{place.name}.weight")
    shift_KF, shift_grad_KF = place.means.weights.pair(f"{place.name}.bias")
    mean_KF, var_KF = (
        place.means.weights.buffer(f"{place.name}.running_mean"),
        place.means.weights.buffer(f"{place.name}.running_var"),
    )
    num_batches = place.means.weights.buffer(f"{place.name}.num_batches_tracked")
    momentum, epsilon = module.momentum or 0.0, module.eps
    kept: list[Tensor] = []

    def forward(x_KBF: Tensor) -> Tensor:
        mode = place.means.mode
        if not (mode.is_training or mode.measuring):
            rate_KF = scale_KF * (var_KF + epsilon).rsqrt()
            return torch.addcmul((shift_KF - mean_KF * rate_KF)[:, None], x_KBF, rate_KF[:, None])
        num_rows = x_KBF.shape[1]
        _refuse_one(num_rows)
        var, mean = torch.var_mean(x_KBF, 1, correction=0, keepdim=True)
        share = mode.measuring or momentum
        mean_KF.lerp_(mean[:, 0], share)
        var_KF.lerp_(var[:, 0] * (num_rows / max(num_rows - 1, 1)), share)
        num_batches.add_(1)
        rstd = var.add_(epsilon).rsqrt_()
        kept[:] = [(x_KBF - mean).mul_(rstd), rstd]
        return torch.addcmul(shift_KF[:, None], kept[0], scale_KF[:, None])

    def backward(g_KBF: Tensor) -> Tensor:
        unit_KBF, rstd = kept
        torch.sum(g_KBF, 1, out=shift_grad_KF)
        torch.sum(g_KBF * unit_KBF, 1, out=scale_grad_KF)
        share = 1 / g_KBF.shape[1]
        centred = torch.addcmul(g_KBF, unit_KBF, scale_grad_KF[:, None], value=-share)
        centred.sub_(shift_grad_KF[:, None], alpha=share)
        return centred.mul_(scale_KF[:, None] * rstd)

    return Layer(forward, backward)


def _batch_images(module: nn.BatchNorm2d, place: Place) -> Layer:
    """Batch norm of images: K * C channels are normalised each by itself, so torch's own serves."""
    scale, scale_grad = place.means.weights.pair(f"{place.name}.weight")
    shift, shift_grad = place.means.weights.pair(f"{place.name}.bias")
    mean, var = (
        place.means.weights.buffer(f"{place.name}.running_mean"),
        place.means.weights.buffer(f"{place.name}.running_var"),
    )
    num_batches = place.means.weights.buffer(f"{place.name}.num_batches_tracked")
    momentum, epsilon = module.momentum or 0.0, module.eps
    kept: list[Tensor] = []

    def forward(x: Tensor) -> Tensor:
        mode = place.means.mode
        is_training = mode.is_training or mode.measuring > 0
        if is_training:
            _refuse_one(x[:, 0].numel())
        flat = [_side_by_side(each) for each in (scale, shift, mean, var)]
        y: Tensor
        share = mode.measuring or momentum
        y, *saved = aten.native_batch_norm(x, *flat, is_training, share, epsilon)
        if is_training:
            kept[:] = [x, flat[0], flat[2], flat[3], *saved]
            mean.copy_(flat[2].view_as(mean))
            var.copy_(flat[3].view_as(var))
            num_batches.add_(1)
        return y

    def backward(g: Tensor) -> Tensor:
        g_x: Tensor
        g_x, g_scale, g_shift = aten.native_batch_norm_backward(
            g, *kept, IS_TRAINING, epsilon, [True, True, True]
        )
        scale_grad.copy_(g_scale.view_as(scale_grad))
        shift_grad.copy_(g_shift.view_as(shift_grad))
        return g_x

    return Layer(forward, backward)


def _refuse_one(num_values: int) -> None:
    """Torch's own batch norms refuse it too, and would else give 0 whatever the input is."""
    if num_values == 1:
        message = "batch norm has no variance of a single example."
        raise UsageError(message, "Set batch_size to 2 or more, or another norm.")


def _layer_rows(module: nn.LayerNorm | nn.GroupNorm, place: Place, num_groups: int = 1) -> Layer:
    """Layer norm of rows [K, B, F] (Ba et al., 2016), of each group of features by itself."""
    scale_KF, scale_grad_KF = place.means.weights.pair(f"{place.name}.weight")
    shift_KF, shift_grad_KF = place.means.weights.pair(f"{place.name}.bias")
    shape, epsilon = [scale_KF.shape[1] // num_groups], module.eps
    kept: list[Tensor] = []

    def forward(x_KBF: Tensor) -> Tensor:
        grouped = x_KBF.unflatten(2, (num_groups, -1))
        unit, mean, rstd = aten.native_layer_norm(grouped, shape, None, None, epsilon)
        unit_KBF = unit.flatten(2)
        kept[:] = [grouped, unit_KBF, mean, rstd]
        return torch.addcmul(shift_KF[:, None], unit_KBF, scale_KF[:, None])

    def backward(g_KBF: Tensor) -> Tensor:
        grouped, unit_KBF, mean, rstd = kept
        torch.sum(g_KBF, 1, out=shift_grad_KF)
        torch.sum(g_KBF * unit_KBF, 1, out=scale_grad_KF)
        scaled = (g_KBF * scale_KF[:, None]).contiguous().view_as(grouped)
        back = aten.native_layer_norm_backward
        g_x: Tensor = back(scaled, grouped, shape, mean, rstd, None, None, [True, False, False])[0]
        return g_x.flatten(2)

    return Layer(forward, backward)


def _group(module: nn.GroupNorm, place: Place) -> Layer:
    """Group norm of whatever comes: rows [K, B, F] or images."""
    rows, images = _layer_rows(module, place, module.num_groups), _group_images(module, place)
    chosen: list[Layer] = []

    def forward(x: Tensor) -> Tensor:
        chosen[:] = [rows if x.dim() == 3 else images]  # noqa: PLR2004 - [K, B, F]
        return chosen[0].forward(x)

    def backward(g: Tensor) -> Tensor:
        return chosen[0].backward(g)

    return Layer(forward, backward)


def _group_images(module: nn.GroupNorm, place: Place) -> Layer:
    """Group norm of images: K times as many groups, none of which spans two trials."""
    scale, scale_grad = place.means.weights.pair(f"{place.name}.weight")
    shift, shift_grad = place.means.weights.pair(f"{place.name}.bias")
    num_groups, epsilon = place.means.num_trials * module.num_groups, module.eps
    kept: list[Tensor] = []

    def forward(x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=_lying(x))
        sizes = (x.shape[0], x.shape[1], x.shape[2] * x.shape[3], num_groups)
        flat = [_side_by_side(each) for each in (scale, shift)]
        y: Tensor
        y, mean, rstd = aten.native_group_norm(x, *flat, *sizes, epsilon)
        kept[:] = [x, mean, rstd, flat[0]]
        return y

    def backward(g: Tensor) -> Tensor:
        x, g = kept[0], g.contiguous(memory_format=_lying(g))
        sizes = (x.shape[0], x.shape[1], x.shape[2] * x.shape[3], num_groups)
        g_x: Tensor
        g_x, g_scale, g_shift = aten.native_group_norm_backward(g, *kept, *sizes, [True] * 3)
        scale_grad.copy_(g_scale.view_as(scale_grad))
        shift_grad.copy_(g_shift.view_as(shift_grad))
        return g_x

    return Layer(forward, backward)


def _side_by_side(of_trials: Tensor) -> Tensor:
    """Arrays [K, C] as [K * C], with no gap between trials: the kernels read one after another.

    Of one channel a reshape alone would be a view with gaps, and they would read other weights.
    """
    return of_trials.reshape(-1).contiguous()


def _lying(x: Tensor) -> torch.memory_format:
    """How group norm's two kernels want their inputs in memory, or they read wrong numbers."""
    return torch.channels_last if x.is_cpu else torch.contiguous_format


NORMS: dict[type[nn.Module], Callable[[Any, Place], Layer]] = {
    nn.BatchNorm1d: _batch_rows,
    nn.BatchNorm2d: _batch_images,
    nn.LayerNorm: _layer_rows,
    nn.GroupNorm: _group,
}
