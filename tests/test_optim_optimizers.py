"""Each optimizer takes torch's own steps."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from nnsearch import components
from nnsearch.optim.optimizers import (
    adadelta,
    adagrad,
    adam,
    adamax,
    adamw,
    nadam,
    radam,
    rmsprop,
    sgd,
)

Make = Callable[..., torch.optim.Optimizer]

CASES: list[tuple[Make, dict[str, Any], Make, dict[str, Any]]] = [
    (adam, {}, torch.optim.Adam, {}),
    (
        adam,
        {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "weight_decay": 0.1, "amsgrad": True},
        torch.optim.Adam,
        {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.1, "amsgrad": True},
    ),
    (adamw, {}, torch.optim.AdamW, {}),
    (
        adamw,
        {"lr": 0.1, "weight_decay": 0.3, "eps": 1e-3},
        torch.optim.AdamW,
        {"lr": 0.1, "weight_decay": 0.3, "eps": 1e-3},
    ),
    (sgd, {}, torch.optim.SGD, {"lr": 1e-2}),
    (
        sgd,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    (rmsprop, {}, torch.optim.RMSprop, {}),
    (
        rmsprop,
        {"lr": 0.1, "alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1},
        torch.optim.RMSprop,
        {"lr": 0.1, "alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1},
    ),
    (adagrad, {}, torch.optim.Adagrad, {}),
    (
        adagrad,
        {"lr": 0.1, "lr_decay": 0.2, "initial": 0.5, "eps": 1e-3, "weight_decay": 0.1},
        torch.optim.Adagrad,
        {
            "lr": 0.1,
            "lr_decay": 0.2,
            "initial_accumulator_value": 0.5,
            "eps": 1e-3,
            "weight_decay": 0.1,
        },
    ),
    (adadelta, {}, torch.optim.Adadelta, {}),
    (
        adadelta,
        {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1},
        torch.optim.Adadelta,
        {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1},
    ),
    (adamax, {}, torch.optim.Adamax, {}),
    (
        adamax,
        {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.1},
        torch.optim.Adamax,
        {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1},
    ),
    (nadam, {}, torch.optim.NAdam, {}),
    (
        nadam,
        {"lr": 0.1, "beta1": 0.8, "momentum_decay": 0.1, "weight_decay": 0.1, "decoupled": True},
        torch.optim.NAdam,
        {
            "lr": 0.1,
            "betas": (0.8, 0.999),
            "momentum_decay": 0.1,
            "weight_decay": 0.1,
            "decoupled_weight_decay": True,
        },
    ),
    (radam, {}, torch.optim.RAdam, {}),
    (
        radam,
        {"lr": 0.1, "beta2": 0.8, "eps": 1e-3, "weight_decay": 0.1, "decoupled": True},
        torch.optim.RAdam,
        {
            "lr": 0.1,
            "betas": (0.9, 0.8),
            "eps": 1e-3,
            "weight_decay": 0.1,
            "decoupled_weight_decay": True,
        },
    ),
]


def trained(make: Make, options: dict[str, Any]) -> list[torch.Tensor]:
    """The weights of a small network in float64 after 20 steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    inputs, targets = torch.randn(2, 10, 4).double()[0], torch.randn(10, 2).double()
    optimizer = make(model.parameters(), **options)
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        torch.autograd.backward(loss)
        optimizer.step()
    return [each.detach() for each in model.parameters()]


@pytest.mark.parametrize(("ours", "options", "torchs", "same"), CASES)
def test_twenty_steps_equal_torchs_plain_ones(
    ours: Make, options: dict[str, Any], torchs: Make, same: dict[str, Any]
) -> None:
    plain = {**same, "foreach": False}
    for one, other in zip(trained(ours, options), trained(torchs, plain), strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", components.names("optimizers"))
def test_a_restored_optimizer_goes_on_as_the_old_one(name: str) -> None:
    make = components.load("optimizers", name)
    torch.manual_seed(0)
    inputs, first, second = torch.randn(8, 3), nn.Linear(3, 1), nn.Linear(3, 1)
    old, new = make(first.parameters(), lr=0.1), make(second.parameters(), lr=0.1)

    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()

    step(first, old)
    second.load_state_dict(first.state_dict())
    new.load_state_dict(deepcopy(old.state_dict()))  # torch would share the tensors
    step(first, old)
    step(second, new)
    assert torch.equal(first.weight, second.weight)


@pytest.mark.parametrize("name", components.names("optimizers"))
def test_rates_out_of_their_range_are_complained_of(name: str) -> None:
    known = components.options(components.load("optimizers", name))
    assert known["lr"].complaint(0.0)
    assert known["lr"].complaint("0.1")
    assert known["weight_decay"].complaint(-1e-9)
    assert not any(option.complaint(option.default) for option in known.values())
