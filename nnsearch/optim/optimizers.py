"""Torch's optimizers as components. Knows nothing of models, schedules or training.

The fused kernels do a step in one call, on a CPU too, where torch would otherwise loop over the
parameters in Python; torch has none for RMSprop.
"""

from collections.abc import Iterable

import torch
from torch import nn

from nnsearch.components import NonNegative, Positive, Unit

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
    """Stochastic gradient descent, with momentum where asked for, in Nesterov's form or not.

    Of a momentum of 0 there is no other form.
    """
    return torch.optim.SGD(
        params,
        lr=lr,
        weight_decay=weight_decay,
        momentum=momentum,
        nesterov=nesterov and momentum > 0,
        fused=True,
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


def adagrad(
    params: Parameters,
    *,
    lr: Positive = 1e-2,
    weight_decay: NonNegative = 0.0,
    lr_decay: NonNegative = 0.0,
    initial: NonNegative = 0.0,
    eps: Positive = 1e-10,
) -> torch.optim.Optimizer:
    """Adagrad (Duchi et al., 2011): gradients divided by the root of their sum of squares.

    The sums begin at `initial`; at step t the rate is also divided by 1 + (t - 1) x `lr_decay`.
    """
    return torch.optim.Adagrad(
        params,
        lr=lr,
        weight_decay=weight_decay,
        lr_decay=lr_decay,
        initial_accumulator_value=initial,
        eps=eps,
    )


def adadelta(
    params: Parameters,
    *,
    lr: Positive = 1.0,
    weight_decay: NonNegative = 0.0,
    rho: Unit = 0.9,
    eps: Positive = 1e-6,
) -> torch.optim.Optimizer:
    """Adadelta (Zeiler, 2012): steps in proportion to the root mean square of those before.

    `rho` is what both means of squares keep at each step. The method sets its own pace, so `lr` is
    near 1; from `eps` the first steps get their size.
    """
    return torch.optim.Adadelta(params, lr=lr, weight_decay=weight_decay, rho=rho, eps=eps)


def adamax(
    params: Parameters,
    *,
    lr: Positive = 2e-3,
    weight_decay: NonNegative = 0.0,
    beta1: Unit = 0.9,
    beta2: Unit = 0.999,
    eps: Positive = 1e-8,
) -> torch.optim.Optimizer:
    """Adam with the largest recent gradient for the mean square (Kingma and Ba, 2015)."""
    betas = (beta1, beta2)
    return torch.optim.Adamax(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def nadam(
    params: Parameters,
    *,
    lr: Positive = 2e-3,
    weight_decay: NonNegative = 0.0,
    beta1: Unit = 0.9,
    beta2: Unit = 0.999,
    eps: Positive = 1e-8,
    momentum_decay: NonNegative = 4e-3,
    decoupled: bool = False,
) -> torch.optim.Optimizer:
    """Adam with Nesterov's momentum (Dozat, 2016).

    The momentum climbs from half of `beta1` to `beta1`, the faster the larger `momentum_decay`.
    `decoupled` decays the weights themselves, as AdamW does.
    """
    return torch.optim.NAdam(
        params,
        lr=lr,
        betas=(beta1, beta2),
        eps=eps,
        weight_decay=weight_decay,
        momentum_decay=momentum_decay,
        decoupled_weight_decay=decoupled,
    )


def radam(
    params: Parameters,
    *,
    lr: Positive = 1e-3,
    weight_decay: NonNegative = 0.0,
    beta1: Unit = 0.9,
    beta2: Unit = 0.999,
    eps: Positive = 1e-8,
    decoupled: bool = False,
) -> torch.optim.Optimizer:
    """Adam that takes small steps until its mean square can be trusted (Liu et al., 2020).

    Such a warm-up follows from `beta2`; its first few steps are those of plain momentum.
    `decoupled` decays the weights themselves, as AdamW does.
    """
    return torch.optim.RAdam(
        params,
        lr=lr,
        betas=(beta1, beta2),
        eps=eps,
        weight_decay=weight_decay,
        decoupled_weight_decay=decoupled,
    )
