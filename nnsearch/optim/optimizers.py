"""Torch's optimizers as components. Knows nothing of models, schedules or training.

The fused kernels do a step in one call, on a CPU too, where torch would otherwise loop over the
parameters in Python; torch has none for RMSprop.
"""

from collections.abc import Iterable

import torch
from torch import nn

from nnsearch.components import NonNegative, Positive, Unit
from nnsearch.errors import UsageError

Parameters = Iterable[nn.Parameter]


def adam(
    params: Parameters,
    *,
    lr: Positive = 1e-3,
    weight_decay: NonNegative = 0.0,
    beta1: Unit = 0.9,
    beta2: Unit = 0.999,
    eps: Positive = 1e-8,
    amsgrad: bool = False,
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba, 2015); `weight_decay` is added to the gradient, as an L2 penalty."""
    return torch.optim.Adam(
        params,
        lr=lr,
        betas=(beta1, beta2),
        eps=eps,
        weight_decay=weight_decay,
        amsgrad=amsgrad,
        fused=True,
    )


def adamw(
    params: Parameters,
    *,
    lr: Positive = 1e-3,
    weight_decay: NonNegative = 0.01,
    beta1: Unit = 0.9,
    beta2: Unit = 0.999,
    eps: Positive = 1e-8,
    amsgrad: bool = False,
) -> torch.optim.Optimizer:
    """Adam with the weights themselves decayed, apart from the gradient (Loshchilov, 2019)."""
    return torch.optim.AdamW(
        params,
        lr=lr,
        betas=(beta1, beta2),
        eps=eps,
        weight_decay=weight_decay,
        amsgrad=amsgrad,
        fused=True,
    )


def sgd(
    params: Parameters,
    *,
    lr: Positive = 1e-2,
    weight_decay: NonNegative = 0.0,
    momentum: Unit = 0.0,
    nesterov: bool = False,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent, with momentum where asked for.

    Raises UsageError for Nesterov's form without momentum.
    """
    if nesterov and momentum == 0:
        raise UsageError("the optimizer 'sgd' with nesterov = true needs momentum.", "Try 0.9.")
    return torch.optim.SGD(
        params, lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov, fused=True
    )


def rmsprop(
    params: Parameters,
    *,
    lr: Positive = 1e-2,
    weight_decay: NonNegative = 0.0,
    alpha: Unit = 0.99,
    momentum: Unit = 0.0,
    eps: Positive = 1e-8,
    centered: bool = False,
) -> torch.optim.Optimizer:
    """RMSprop (Hinton, 2012): gradients divided by the root of their mean square.

    `alpha` is what the mean square keeps at each step; `centered` subtracts the mean's square.
    """
    return torch.optim.RMSprop(
        params,
        lr=lr,
        weight_decay=weight_decay,
        alpha=alpha,
        momentum=momentum,
        eps=eps,
        centered=centered,
    )
