"""Stacked optimizers: each row changes as torch's own optimizer changes it by itself."""

from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from nnsearch import components
from nnsearch.optim.stacked import RULES, Rows, adam_by_column, collect, fresh_state
from nnsearch.training.fuse import UNSTACKED

VARIANTS: list[tuple[str, dict[str, Any], list[dict[str, float]]]] = [
    *(
        (name, {"amsgrad": amsgrad}, [{"weight_decay": 0.0}, {"beta1": 0.5, "weight_decay": 0.2}])
        for name, amsgrad in product(("adam", "adamw"), (False, True))
    ),
    ("adam", {}, [{"eps": 1e-3, "beta2": 0.9}, {}, {"beta1": 0.0}]),
    ("sgd", {}, [{}, {"weight_decay": 0.1}]),
    ("sgd", {}, [{"momentum": 0.0}, {"momentum": 0.9, "weight_decay": 0.1}]),
    ("sgd", {"nesterov": True}, [{"momentum": 0.5}, {"momentum": 0.9}, {"momentum": 0.0}]),
    ("rmsprop", {}, [{}, {"alpha": 0.5, "eps": 1e-3}]),
    ("rmsprop", {"centered": True}, [{"momentum": 0.0}, {"momentum": 0.9, "weight_decay": 0.1}]),
    ("adagrad", {}, [{}, {"lr_decay": 0.1, "weight_decay": 0.1}, {"initial": 0.3, "eps": 1e-3}]),
    ("adadelta", {}, [{}, {"rho": 0.5, "eps": 1e-3, "weight_decay": 0.1}, {"rho": 0.0}]),
    ("adamax", {}, [{}, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.1}]),
    *(
        (name, {"decoupled": decoupled}, [{}, {"beta1": 0.5, "weight_decay": 0.2}, {"eps": 1e-3}])
        for name, decoupled in product(("nadam", "radam"), (False, True))
    ),
    ("nadam", {}, [{"momentum_decay": 0.0}, {"momentum_decay": 0.5}, {"beta2": 0.9}]),
    # The mean squares of these can be trusted from step 6 on, from step 7 on, and never.
    ("radam", {}, [{"beta2": 0.999}, {"beta2": 0.8}, {"beta2": 0.3}]),
    ("radam", {}, [{"beta1": 0.0, "weight_decay": 0.1}]),
]


@pytest.mark.parametrize(("name", "flags", "trials"), VARIANTS)
def test_a_row_changes_as_a_model_does_by_itself(
    name: str, flags: dict[str, bool], trials: list[dict[str, float]]
) -> None:
    torch.manual_seed(0)
    rates = [10.0 ** -(index + 1) for index in range(len(trials))]
    make = components.load("optimizers", name)
    defaults = {key: each.default for key, each in components.options(make).items()}
    weights = torch.randn(len(trials), 48, dtype=torch.float64)
    alone = [nn.Parameter(row.clone()) for row in weights]
    optimizers = [
        make([parameter], lr=rate, **flags, **options)
        for parameter, rate, options in zip(alone, rates, trials, strict=True)
    ]
    options = collect([defaults | flags | each for each in trials], weights)
    grads = torch.empty_like(weights)
    rule = RULES[name]
    rows = Rows(weights, grads, fresh_state(rule, weights, options), options)
    for step in range(1, 13):
        factor = 1 / step
        grads.normal_()
        for parameter, row, optimizer, rate in zip(alone, grads, optimizers, rates, strict=True):
            parameter.grad = row.clone()
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
        rule.step(rows, [rate * factor for rate in rates], step)
        for parameter, row in zip(alone, weights, strict=True):
            torch.testing.assert_close(row, parameter.detach(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("is_decoupled", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_by_column_is_adam_by_row(is_decoupled: bool, amsgrad: bool) -> None:
    name = "adamw" if is_decoupled else "adam"
    given = {"beta1": 0.9, "beta2": 0.99, "eps": 1e-4, "weight_decay": 0.1, "amsgrad": amsgrad}
    sides = []
    for step in (RULES[name].step, partial(adam_by_column, is_decoupled=is_decoupled)):
        generator = torch.Generator().manual_seed(1)
        weights = torch.randn(2, 40, dtype=torch.float64, generator=generator)
        options = collect([given, given | {"beta1": 0.5}], weights)
        rows = Rows(weights, weights.clone(), fresh_state(RULES[name], weights, options), options)
        for count in range(1, 6):
            rows.grads.normal_(generator=generator)
            step(rows, [0.1, 0.01], count)
        sides.append(weights)
    torch.testing.assert_close(*sides, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_what_a_rule_remembers_can_be_taken_apart_by_trial(name: str) -> None:
    make = components.load("optimizers", name)
    defaults = {key: each.default for key, each in components.options(make).items()}
    weights = torch.randn(3, 16, dtype=torch.float64)
    both = [weights.clone(), weights[[0, 2]]]
    states = []
    for each in both:
        options = collect([defaults] * len(each), each)
        states.append(fresh_state(RULES[name], each, options))
    for count in range(1, 9):
        grads = torch.randn(3, 16, dtype=torch.float64)
        for each, state, chosen in zip(both, states, ([0, 1, 2], [0, 2]), strict=True):
            options = collect([defaults] * len(each), each)
            rows = Rows(each, grads[chosen], state, options)
            RULES[name].step(rows, [0.1] * len(each), count)
        if count == 4:  # as a group is when its second trial leaves
            both[1] = both[0][[0, 2]]
            states[1] = {key: value[[0, 2]] for key, value in states[0].items()}
    torch.testing.assert_close(both[0][[0, 2]], both[1], rtol=1e-12, atol=1e-12)


def test_every_optimizer_has_a_stacked_form_but_those_that_are_alone() -> None:
    assert set(RULES) == set(components.BUILTINS["optimizers"]) - UNSTACKED
