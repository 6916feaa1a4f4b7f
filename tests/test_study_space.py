"""Trials resolved from a study: what is drawn, in which order, and what comes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nnsearch.study.space import Drawn, sample
from nnsearch.study.spec import (
    Choice,
    Component,
    FloatRange,
    IntRange,
    Range,
    Search,
    Space,
    Split,
    Study,
    TrialSpec,
)

STUDY = Study(
    name="small",
    seed=0,
    root=Path(),
    source=Component("digits"),
    split=Split(),
    task=Space("task", {"classification": {}}),
    model=Space(
        "model",
        {
            "mlp": {"width": Choice((32, 64)), "depth": IntRange(1, 3), "norm": "none"},
            "cnn": {"channels": IntRange(8, 32), "kernels": (3, 3)},
        },
    ),
    optimizer=Space(
        "optimizer",
        {
            "adam": {"lr": FloatRange(1e-4, 0.1, log=True), "beta": 0.9},
            "sgd": {"lr": FloatRange(1e-4, 0.1, log=True), "momentum": FloatRange(0.0, 0.9)},
        },
        frozenset({"lr"}),
    ),
    schedule=Space("schedule", {"constant": {}}),
    training=Space("training", {"recipe": {"epochs": 3, "batch_size": Choice((16, 32))}}),
    transforms=(Space("data.image", {"image": {"scale": Choice(("unit", "none"))}}),),
    search=Search(Component("tpe"), Component("none"), trials=3),
)


def drawing(branch: int) -> tuple[list[str], Callable[[str, Range], Drawn]]:
    """Where what was drawn is noted, and what draws that branch, and the lower end elsewhere."""
    paths: list[str] = []

    def draw(path: str, each: Range) -> Drawn:
        paths.append(path)
        if isinstance(each, Choice):
            return each.choices[branch if path.endswith(".name") else 0]
        return each.low

    return paths, draw


def test_only_the_drawn_branch_is_drawn_and_in_the_order_of_the_spaces() -> None:
    paths, draw = drawing(0)
    trial = sample(STUDY, draw, number=4, seed=11)
    assert paths == [
        "data.image.scale",
        "model.name",
        "model.mlp.width",
        "model.mlp.depth",
        "optimizer.name",
        "optimizer.lr",
        "training.batch_size",
    ]
    assert list(trial.params) == paths
    assert trial.model == Component("mlp", {"width": 32, "depth": 1, "norm": "none"})
    assert trial.optimizer == Component("adam", {"lr": 1e-4, "beta": 0.9})
    assert trial.transforms == (Component("image", {"scale": "unit"}),)
    assert (trial.number, trial.seed, trial.uid) == (4, 11, "")


def test_the_other_branch_draws_its_own_and_the_shared() -> None:
    paths, draw = drawing(1)
    trial = sample(STUDY, draw, number=0, seed=0)
    assert "model.mlp.width" not in paths
    assert paths.count("optimizer.lr") == 1
    assert "optimizer.sgd.momentum" in paths
    assert trial.model == Component("cnn", {"channels": 8, "kernels": (3, 3)})


@pytest.mark.parametrize("branch", [0, 1])
def test_what_is_drawn_is_what_the_study_says_it_searches(branch: int) -> None:
    paths, draw = drawing(branch)
    sample(STUDY, draw, number=0, seed=0)
    assert set(paths) <= STUDY.ranges().keys()
    assert len(set(paths)) == len(paths)


def test_a_trial_comes_back_from_json() -> None:
    _, draw = drawing(1)
    trial = sample(STUDY, draw, number=2, seed=3)
    import json
    from dataclasses import asdict

    again = TrialSpec.from_json(json.loads(json.dumps(asdict(trial))))
    assert again == trial
    assert again.fingerprint == trial.fingerprint


def test_equal_draws_have_equal_fingerprints_whatever_their_number() -> None:
    first = sample(STUDY, drawing(0)[1], number=0, seed=0)
    second = sample(STUDY, drawing(0)[1], number=9, seed=5)
    other = sample(STUDY, drawing(1)[1], number=0, seed=0)
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != other.fingerprint
