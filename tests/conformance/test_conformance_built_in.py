"""Every built-in component keeps the contract of its kind."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from subjects import EXAMPLES, INPUTS, file_of, targets_of

from nnsearch import components
from nnsearch.commands.catalogue import catalogue
from nnsearch.components import BUILTINS
from nnsearch.errors import DataError, UsageError
from nnsearch.testing import (
    check_model,
    check_optimizer,
    check_schedule,
    check_source,
    check_task,
    check_transform,
)
from nnsearch.testing import models as testing_models

# What a source reads that is no part of its package: data sets of other packages and of Debian.
ELSEWHERE = {"japanese_vowels", "vader", "glucose"}


# Users and items are for these alone; what others make of such a shape is no matter.
OF_PAIRS = {"constant", "factorization", "neural_factorization"}


# Their outputs are a loss and a picture, which has nothing to do with the input.
GENERATORS = {"vae", "gan", "independent"}


def fits(model: str, kind: str) -> bool:
    """Whether a model can be built for inputs of a kind: it says so itself."""
    given = INPUTS[kind]
    if kind == "pairs" and model not in OF_PAIRS:
        return False
    if kind == "tokens" and model in {"autoencoder", "vae"}:  # give back numbers, no words
        return False
    try:
        components.load("models", model)(given.shape, given.outputs_of(model))
    except UsageError:
        return False
    return True


@pytest.mark.parametrize("model", BUILTINS["models"])
def test_a_model(model: str) -> None:
    kinds = [kind for kind in INPUTS if fits(model, kind)]
    assert kinds, f"{model} takes none of the inputs that it could be tried with"
    for kind in kinds:
        given = INPUTS[kind]
        outputs = given.outputs_of(model)
        draws = model in GENERATORS
        returned = (1 + outputs,) if draws else None
        make = components.load("models", model)
        check_model(make, given.shape, outputs, rows=given.rows, returned=returned, draws=draws)


def other_choices(make: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Each choice of each option, but for the default."""
    for option in components.options(make).values():
        is_choice = get_origin(option.annotation) is Literal
        choices = get_args(option.annotation) if is_choice else (True, False)
        is_known = is_choice or option.annotation is bool
        yield from ((option.name, each) for each in choices if is_known and each != option.default)


@pytest.mark.parametrize("model", BUILTINS["models"])
def test_a_model_with_each_choice_of_its_options(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On series, if it takes any, else the first kind that it takes; exports take seconds."""
    monkeypatch.setattr(testing_models, "_check_export", lambda _: None)
    given = next(INPUTS[kind] for kind in ("series", *INPUTS) if fits(model, kind))
    outputs = given.outputs_of(model)
    draws = model in GENERATORS
    returned = (1 + outputs,) if draws else None
    make = components.load("models", model)
    for name, value in other_choices(make):
        check_model(
            make,
            given.shape,
            outputs,
            options={name: value},
            rows=given.rows,
            returned=returned,
            draws=draws,
        )


@pytest.mark.parametrize("model", ["gan", "independent"])
def test_a_model_that_draws_three_classes(model: str) -> None:
    given = INPUTS["image"]
    outputs = given.outputs_of(model)
    returned = (1 + 3 + 1 + outputs,)
    make = components.load("models", model)
    check_model(make, given.shape, outputs + 3, rows=given.rows, returned=returned, draws=True)


@pytest.mark.parametrize("source", BUILTINS["sources"])
def test_a_source(source: str, own_folder: Path) -> None:
    options = file_of(own_folder, source)
    try:
        check_source(components.load("sources", source), own_folder, options=options)
    except (UsageError, DataError) as error:
        if source not in ELSEWHERE or "CI" in os.environ:
            raise
        pytest.skip(f"not installed here: {error}")


@pytest.mark.parametrize("transform", BUILTINS["transforms"])
def test_a_transform(transform: str) -> None:
    train, other = EXAMPLES[transform](), EXAMPLES[transform](30, seed=1)
    check_transform(components.load("transforms", transform), train, other)


@pytest.mark.parametrize("task", BUILTINS["tasks"])
def test_a_task(task: str) -> None:
    make = components.load("tasks", task)
    check_task(make, targets_of(task))
    (told,) = (each.metrics for each in catalogue("tasks") if each.name == task)
    found = {re.sub(r"_10$", "_k", each) for each in make(targets_of(task)).directions}
    assert found
    assert found <= {*told}


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("classification", {"resample": "over", "class_weights": "balanced"}),
        ("classification", {"resample": "under", "focal_gamma": 2.0}),
        ("generation", {"conditional": True}),
    ],
)
def test_a_task_with_options(task: str, options: dict[str, object]) -> None:
    check_task(components.load("tasks", task), targets_of(task), options=options)


@pytest.mark.parametrize("task", BUILTINS["tasks"])
def test_a_task_with_each_choice_of_its_options(task: str) -> None:
    make = components.load("tasks", task)
    for name, value in other_choices(make):
        check_task(make, targets_of(task), options={name: value})


@pytest.mark.parametrize("transform", BUILTINS["transforms"])
def test_a_transform_with_each_choice_of_its_options(transform: str) -> None:
    make = components.load("transforms", transform)
    train, other = EXAMPLES[transform](), EXAMPLES[transform](30, seed=1)
    for name, value in other_choices(make):
        check_transform(make, train, other, options={name: value})


@pytest.mark.parametrize("optimizer", BUILTINS["optimizers"])
def test_an_optimizer(optimizer: str) -> None:
    check_optimizer(components.load("optimizers", optimizer))


@pytest.mark.parametrize("schedule", BUILTINS["schedules"])
def test_a_schedule(schedule: str) -> None:
    check_schedule(components.load("schedules", schedule))


@pytest.mark.parametrize("kind", ["models", "transforms", "schedules"])
def test_a_whole_number_of_a_component_has_a_largest_value_where_it_costs(kind: str) -> None:
    costly = {"depth", "width", "channels", "layers", "heads", "factors", "code", "embedding"}
    free = [
        f"{name}.{option.name}"
        for name in BUILTINS[kind]
        for option in components.options(components.load(kind, name)).values()
        if option.name in costly and not option.complaint(2**40)
    ]
    assert free == []
