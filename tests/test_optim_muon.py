"""Muon on hidden matrices, AdamW on the rest: as torch's own two, and after a break."""

import copy
from typing import Any

import pytest
import torch
from lessons import ACCURACY, classroom, learned
from torch import nn

from nnsearch.errors import UsageError
from nnsearch.optim.muon import Several, muon
from nnsearch.study.spec import Component


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.Flatten(), *(nn.Linear(*each) for each in ((8, 5), (5, 7), (7, 3)))
    )


def step(model: nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    rows = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    for each in optimizers:
        each.zero_grad()
    model(rows).square().mean().backward()
    for each in optimizers:
        each.step()


def test_each_parameter_learns_by_torchs_own_optimizer() -> None:
    ours, theirs = network(), network()
    both = muon(ours.parameters(), lr=0.02, weight_decay=0.1, momentum=0.8, beta1=0.7)
    hidden = theirs.get_parameter("3.weight")
    others = [each for each in theirs.parameters() if each is not hidden]
    options: dict[str, Any] = {"lr": 0.02, "weight_decay": 0.1}
    pair = (
        torch.optim.Muon([hidden], **options, momentum=0.8, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, **options, betas=(0.7, 0.999)),
    )
    for count in range(6):
        for group in (*both.param_groups, *(each.param_groups[0] for each in pair)):
            group["lr"] = 0.02 / (count + 1)
        step(ours, both)
        step(theirs, *pair)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_break_changes_nothing() -> None:
    model = network()
    optimizer = muon(model.parameters())
    for _ in range(3):
        step(model, optimizer)
    again = network()
    again.load_state_dict(model.state_dict())
    resumed = muon(again.parameters())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each, one in ((model, optimizer), (again, resumed)):
        for group in one.param_groups:
            group["lr"] = 0.05
        step(each, one)
        step(each, one)
    pairs = zip(model.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_without_hidden_matrices_it_is_adamw() -> None:
    made = muon(nn.Linear(3, 2).parameters())
    assert isinstance(made, Several)
    assert [type(each) for each in made.parts] == [torch.optim.AdamW]


def test_layers_with_rates_of_their_own_are_refused() -> None:
    with pytest.raises(UsageError, match="rate_by_depth"):
        muon([{"params": list(network().parameters())}])  # type: ignore[list-item]


def test_a_trial_learns_by_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    room = classroom(tmp_path_factory.mktemp("digits"))
    chosen = room.changed(optimizer=Component("muon", {"lr": 0.01}), model__depth=3)
    assert learned(chosen.pupil(), ACCURACY).metrics["valid/accuracy"] > 0.9
