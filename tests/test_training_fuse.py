"""Which trials share a program."""

from dataclasses import replace
from typing import Any

import pytest

from nnsearch.study.spec import Component, TrialSpec
from nnsearch.training.fuse import (
    MOST,
    MOST_ON_A_GPU,
    can_fuse,
    plan,
    shape_of,
    shape_params,
    spread,
)

TRIAL = TrialSpec(
    number=0,
    seed=0,
    params={
        "model.name": "mlp",
        "model.mlp.width": 8,
        "model.mlp.dropout": 0.5,
        "data.image.scale": "unit",
        "optimizer.name": "adam",
        "optimizer.lr": 0.1,
        "training.batch_size": 32,
        "training.patience": 3,
    },
    task=Component("classification"),
    model=Component("mlp", {"width": 8, "dropout": 0.5, "norm": "batch"}),
    optimizer=Component("adam", {"lr": 0.1}),
    schedule=Component("constant"),
    training=Component("recipe", {"batch_size": 32, "patience": 3}),
    transforms=(Component("image", {"scale": "unit"}),),
)


def changed(part: str, name: str | None = None, **options: Any) -> TrialSpec:
    old = getattr(TRIAL, part)
    new: dict[str, Any] = {part: Component(name or old.name, old.options | options)}
    return replace(TRIAL, **new)


@pytest.mark.parametrize(
    "other",
    [
        changed("model", dropout=0.1),
        changed("optimizer", "sgd", momentum=0.9),
        changed("schedule", "cosine"),
        changed("training", patience=9, epochs=5, clip_norm=1.0, l1=0.1),
        changed("training", average="ema", ema_decay=0.9, swa_start=0.5),
        changed("task", label_smoothing=0.1),
        replace(TRIAL, seed=5),
    ],
)
def test_what_may_differ_within_a_program(other: TrialSpec) -> None:
    assert shape_of(other) == shape_of(TRIAL)
    assert plan([TRIAL, other]) == [[TRIAL, other]]


@pytest.mark.parametrize(
    "other",
    [
        changed("model", width=9),
        changed("model", norm="none"),
        changed("model", "linear"),
        changed("training", batch_size=16),
        changed("training", accumulate=2),
        changed("training", device="cpu"),
        changed("task", "regression"),
        replace(TRIAL, transforms=(Component("image", {"scale": "none"}),)),
    ],
)
def test_what_makes_two_programs(other: TrialSpec) -> None:
    assert shape_of(other) != shape_of(TRIAL)
    assert plan([TRIAL, other, TRIAL]) == [[TRIAL, TRIAL], [other]]


@pytest.mark.parametrize(
    "other",
    [
        changed("model", "my.py:net"),
        changed("optimizer", "my.py:descend"),
        changed("task", "my.py:rank"),
        changed("training", precision="bfloat16"),
        changed("training", fuse=False),
        changed("optimizer", "muon"),
    ],
)
def test_what_is_trained_alone(other: TrialSpec) -> None:
    assert not can_fuse(other)
    assert shape_params(other) == {}
    assert plan([other, other]) == [[other], [other]]


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_program_holds_no_more_than_pays(model: str) -> None:
    trial = replace(TRIAL, model=Component(model))
    size = MOST[model]
    jobs = plan([replace(trial, number=number) for number in range(size + 1)])
    assert [[each.number for each in job] for job in jobs] == [list(range(size)), [size]]


@pytest.mark.parametrize(
    ("sizes", "num_jobs", "expected"),
    [
        ([10], 2, [5, 5]),
        ([7], 3, [2, 2, 3]),
        ([3, 3], 2, [3, 3]),
        ([1], 4, [1]),
        ([], 2, []),
    ],
)
def test_no_slot_is_idle_for_want_of_a_job(
    sizes: list[int], num_jobs: int, expected: list[int]
) -> None:
    made = [[replace(TRIAL, number=number) for number in range(size)] for size in sizes]
    found = spread(made, num_jobs)
    assert sorted(map(len, found)) == expected
    assert [each for group in found for each in group] == [each for one in made for each in one]


def test_what_depends_on_its_company_is_not_divided_for_a_slot() -> None:
    pair = [replace(TRIAL, model=Component("cnn", {"channels": 8}))] * 2
    assert spread([pair], 2) == [pair]
    four = [TRIAL] * 4
    assert spread([pair, four], 3) == [pair, four[:2], four[2:]]


def test_a_program_on_a_gpu_holds_what_its_memory_holds() -> None:
    trial = changed("training", device="cuda")
    jobs = plan([replace(trial, number=number) for number in range(MOST_ON_A_GPU + 1)])
    assert [len(job) for job in jobs] == [MOST_ON_A_GPU, 1]


def test_the_shape_of_a_cnn_stays_free() -> None:
    cnn = replace(TRIAL, model=Component("cnn", {"channels": 8}))
    assert can_fuse(cnn)
    assert shape_params(cnn) == {}


def test_the_searched_values_that_settle_a_shape() -> None:
    assert shape_params(TRIAL) == {
        "model.name": "mlp",
        "model.mlp.width": 8,
        "data.image.scale": "unit",
        "training.batch_size": 32,
    }
