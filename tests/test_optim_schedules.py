"""Known values of the schedules, and torch's where torch has the same."""

from collections.abc import Callable
from itertools import pairwise
from math import inf, nan
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnsearch import components
from nnsearch.optim.schedules import (
    constant,
    cosine,
    cosine_restarts,
    exponential,
    one_cycle,
    plateau,
    polynomial,
    step_decay,
)

Scheduler = torch.optim.lr_scheduler.LRScheduler


def torchs(make: Callable[[torch.optim.Optimizer], Scheduler], total: int) -> list[float]:
    """The factor that a scheduler of torch gives before each of `total` steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, factors = make(optimizer), []
    for _ in range(total):
        factors.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return factors


def test_constant_is_one() -> None:
    assert {constant(step, 10, []) for step in range(10)} == {1.0}


def test_a_warm_up_climbs_in_a_straight_line() -> None:
    factors = [constant(step, 10, [], warmup=0.4) for step in range(10)]
    assert factors == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]
    assert [cosine(step, 10, [], warmup=0.4) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert plateau(0, 10, [], warmup=0.4) == 0.25


def test_drops_divide_the_training_in_equal_parts() -> None:
    factors = [step_decay(step, 9, [], num_drops=2, factor=0.5) for step in range(9)]
    assert factors == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_exponential_and_cosine_equal_torchs() -> None:
    total = 37
    decayed = torchs(
        lambda each: torch.optim.lr_scheduler.ExponentialLR(each, 0.02 ** (1 / total)), total
    )
    curved = torchs(
        lambda each: torch.optim.lr_scheduler.CosineAnnealingLR(each, total, eta_min=0.1), total
    )
    steps = range(total)
    assert [exponential(step, total, [], final=0.02) for step in steps] == pytest.approx(decayed)
    assert [cosine(step, total, [], floor=0.1) for step in steps] == pytest.approx(curved)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_polynomial_equals_torchs(power: float) -> None:
    total = 37
    expected = torchs(
        lambda each: torch.optim.lr_scheduler.PolynomialLR(each, total, power), total + 5
    )
    found = [polynomial(step, total, [], power=power) for step in range(total + 5)]
    assert found == pytest.approx(expected, abs=1e-12)
    assert polynomial(total, total, [], power=power, floor=0.2) == pytest.approx(0.2)


@pytest.mark.parametrize(("growth", "num_cycles", "first"), [(2, 3, 11), (1, 4, 5), (3, 2, 7)])
def test_restarts_equal_torchs(growth: int, num_cycles: int, first: int) -> None:
    total = first * sum(growth**index for index in range(num_cycles))
    expected = torchs(
        lambda each: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
            each, first, growth, eta_min=0.1
        ),
        total,
    )
    found = [
        cosine_restarts(step, total, [], num_cycles=num_cycles, growth=growth, floor=0.1)
        for step in range(total)
    ]
    assert found == pytest.approx(expected)
    assert found.count(1.0) == num_cycles


def test_restarts_of_any_length_fill_the_training() -> None:
    found = [cosine_restarts(step, 100, [], num_cycles=4, growth=1.37) for step in range(101)]
    assert found[-1] == pytest.approx(0, abs=1e-12)
    assert sum(after > before for before, after in pairwise(found)) == 3
    assert cosine_restarts(5, 100, [], num_cycles=1) == cosine(5, 100, [])


@pytest.mark.parametrize("shape", ["cosine", "linear"])
@pytest.mark.parametrize(("total", "climb"), [(40, 0.3), (37, 0.5), (101, 0.1), (10, 0.9)])
def test_one_cycle_equals_torchs(
    shape: Literal["cosine", "linear"], total: int, climb: float
) -> None:
    expected = torchs(
        lambda each: torch.optim.lr_scheduler.OneCycleLR(
            each,
            1.0,
            total,
            pct_start=climb,
            anneal_strategy="cos" if shape == "cosine" else "linear",
            cycle_momentum=False,
            div_factor=10,
            final_div_factor=100,
        ),
        total - 1,  # torch's raises where one more is asked for
    )
    options: dict[str, Any] = {"climb": climb, "start": 0.1, "final": 1e-3, "shape": shape}
    found = [one_cycle(step, total, [], **options) for step in range(total)]
    assert found[:-1] == pytest.approx(expected)
    assert found[-1] == pytest.approx(1e-3)


def test_one_cycles_defaults_are_torchs() -> None:
    expected = torchs(
        lambda each: torch.optim.lr_scheduler.OneCycleLR(each, 1.0, 30, cycle_momentum=False), 29
    )
    assert [one_cycle(step, 30, []) for step in range(29)] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["step", "exponential", "polynomial", "cosine", "cosine_restarts"])
def test_after_a_warm_up_comes_the_same_in_what_is_left(name: str) -> None:
    schedule = components.load("schedules", name)
    found = [schedule(step, 50, [], warmup=0.2) for step in range(60)]
    assert found[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert found[10:] == [schedule(step, 40, []) for step in range(50)]


def test_the_ends_are_what_the_options_say() -> None:
    assert exponential(50, 50, [], final=0.03) == pytest.approx(0.03)
    assert cosine(50, 50, [], floor=0.2, warmup=0.3) == pytest.approx(0.2)
    assert cosine(25, 50, []) == pytest.approx(0.5)


def test_plateau_waits_and_then_drops() -> None:
    losses = [1.0, 0.5, 0.6, 0.7, 0.55, 0.51, 0.2]
    reached = [plateau(0, 1, losses[:n], patience=2, factor=0.5) for n in range(len(losses) + 1)]
    assert reached == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_plateau_never_falls_below_its_least_factor() -> None:
    assert plateau(0, 1, [1.0] * 100, patience=1, factor=0.1, min_factor=0.05) == 0.05


def test_plateau_counts_no_improvement_below_its_threshold() -> None:
    losses = [1.0, 0.95, 0.91]
    assert plateau(0, 1, losses, patience=2, factor=0.5, threshold=0.1) == 0.5
    assert plateau(0, 1, losses, patience=2, factor=0.5, threshold=0.01) == 1.0
    assert plateau(0, 1, [1.0, 0.95, 0.89], patience=2, factor=0.5, threshold=0.1) == 1.0


def test_plateau_takes_no_nan_for_an_improvement() -> None:
    assert plateau(0, 1, [1.0, nan, inf], patience=2, factor=0.5) == 0.5
    assert plateau(0, 1, [inf, nan, 1.0], patience=3, factor=0.5) == 1.0


@given(
    losses=st.lists(st.floats(0.01, 2.0), max_size=30),
    patience=st.integers(1, 4),
    threshold=st.sampled_from([0.0, 1e-4, 0.1]),
)
def test_plateau_equals_torchs(losses: list[float], patience: int, threshold: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience - 1, threshold=threshold, min_lr=0.05, eps=0
    )
    for loss in losses:
        scheduler.step(loss)
    ours = plateau(0, 1, losses, patience=patience, threshold=threshold, min_factor=0.05)
    assert ours == pytest.approx(float(optimizer.param_groups[0]["lr"]))


@pytest.mark.parametrize("name", components.names("schedules"))
@given(step=st.integers(0, 200), total=st.integers(0, 200))
def test_every_factor_is_between_nothing_and_one(name: str, step: int, total: int) -> None:
    schedule = components.load("schedules", name)
    factor = schedule(step, total, [1.0, 0.9, 0.95])
    assert isinstance(factor, float)
    assert 0 <= factor <= 1


@pytest.mark.parametrize("name", components.names("schedules"))
def test_only_plateau_looks_at_the_losses(name: str) -> None:
    schedule = components.load("schedules", name)
    assert (schedule(3, 10, [1.0] * 20) != schedule(3, 10, [])) == (name == "plateau")


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("constant", "warmup", 1.0),
        ("step", "num_drops", 0),
        ("step", "factor", 0.0),
        ("exponential", "final", 1.1),
        ("cosine", "floor", -0.1),
        ("polynomial", "power", 0.0),
        ("cosine_restarts", "growth", 0.9),
        ("one_cycle", "climb", 1.0),
        ("one_cycle", "shape", "square"),
        ("plateau", "patience", 0),
        ("plateau", "factor", 2.0),
    ],
)
def test_options_out_of_their_range_are_complained_of(
    name: str, option: str, value: object
) -> None:
    known = components.options(components.load("schedules", name))
    assert known[option].complaint(value)
    assert not known[option].complaint(known[option].default)
