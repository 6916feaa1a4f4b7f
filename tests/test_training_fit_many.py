"""Fused == alone: each trial of a group comes out as `fit` would have made it by itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from company import DOUBLE, MODELS, Materials, alone, assert_equal, rounds, together, trials_of
from lessons import ACCURACY, LOSS, Classroom, classroom

from nnsearch.components import BUILTINS
from nnsearch.models.stacked_layer import NotStackableError
from nnsearch.study.spec import Component, Objective
from nnsearch.training.fit import Kept
from nnsearch.training.group import make_group


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("diabetes"), "diabetes", "regression")


OPTIMIZERS = {
    "adam": [{"lr": 0.01}, {"lr": 0.003, "weight_decay": 0.01, "beta1": 0.8}],
    "adamw": [{"lr": 0.01}, {"lr": 0.003, "weight_decay": 0.1}],
    "sgd": [{"lr": 0.1}, {"lr": 0.03, "momentum": 0.9, "weight_decay": 0.001}],
    "rmsprop": [{"lr": 0.001}, {"lr": 0.003, "alpha": 0.9, "momentum": 0.5}],
    "adagrad": [{"lr": 0.01, "eps": 1e-6}, {"lr": 0.003, "lr_decay": 0.01, "eps": 1e-6}],
    "adadelta": [{"lr": 1.0}, {"lr": 0.5, "rho": 0.8, "weight_decay": 0.01}],
    "adamax": [{"lr": 0.01}, {"lr": 0.003, "beta2": 0.9}],
    "nadam": [{"lr": 0.01}, {"lr": 0.003, "beta1": 0.8}],
    "radam": [{"lr": 0.01}, {"lr": 0.003, "weight_decay": 0.1}],
}
SCHEDULES = sorted(BUILTINS["schedules"])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_families_and_optimizers(digits: Classroom, model: str, optimizer: str) -> None:
    is_wide = model.startswith("mlp") or model == "cnn"
    dropout = [0.0, 0.3, 0.6] if is_wide else [0.0, 0.0, 0.0]
    options = [*OPTIMIZERS[optimizer], OPTIMIZERS[optimizer][0]]
    changes = []
    for rate, chosen in zip(dropout, options, strict=True):
        given = MODELS[model].options | ({"dropout": rate} if is_wide else {})
        name = MODELS[model].name
        changes.append({"model": Component(name, given), "optimizer": Component(optimizer, chosen)})
    trials = trials_of(digits, changes, training__epochs=3)
    assert_equal(trials, Materials(digits, DOUBLE))


@pytest.mark.parametrize("batch_size", [33, 64])
@pytest.mark.parametrize("model", ["mlp", "cnn", "cnn-residual"])
def test_a_lone_trial(digits: Classroom, model: str, batch_size: int) -> None:
    """A CNN's batches then lie in two halves, but for those of 33."""
    common = {"model": MODELS[model], "training__batch_size": batch_size}
    trials = trials_of(digits, [{}], training__epochs=2, **common)
    assert_equal(trials, Materials(digits, DOUBLE))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(digits: Classroom, schedule: str) -> None:
    changes = [
        {"schedule": Component(schedule), "optimizer": Component(name, {"lr": 0.02})}
        for name in ("adam", "adamw", "sgd", "rmsprop")
    ]
    assert_equal(trials_of(digits, changes, training__epochs=4), Materials(digits, DOUBLE))


def test_each_trial_has_its_own_limits_and_smoothing(digits: Classroom) -> None:
    changes: list[dict[str, Any]] = [
        {"training__clip_norm": 0.5, "task__label_smoothing": 0.1},
        {"training__clip_value": 0.01, "task__label_smoothing": 0.1},
        {"training__l1": 0.001, "training__clip_norm": 1.0},
        {"task__class_weights": "balanced", "task__label_smoothing": 0.2},
        {"task__focal_gamma": 2.0},
        {},
    ]
    assert_equal(trials_of(digits, changes, training__epochs=3), Materials(digits, DOUBLE))


def test_each_trial_stops_by_its_own_patience(digits: Classroom) -> None:
    changes: list[dict[str, Any]] = [
        {"training__patience": 1, "optimizer__lr": 0.3},
        {"training__patience": 3, "optimizer__lr": 0.1},
        {"training__patience": 0, "optimizer__lr": 0.01},
        {"training__patience": 1, "training__min_delta": 0.5, "optimizer__lr": 0.01},
        {"training__epochs": 5, "optimizer__lr": 0.01, "training__restore_best": False},
        {"training__patience": 2, "optimizer__lr": 0.3, "training__restore_best": False},
    ]
    trials = trials_of(digits, changes, training__epochs=9)
    materials = Materials(digits, DOUBLE)
    assert_equal(trials, materials, LOSS)
    lengths = {len(events) for events, _ in together(trials, materials, LOSS).values()}
    assert len(lengths) >= 3, "the group was compacted more than once"


@pytest.mark.parametrize("loss", ["squared", "absolute", "huber", "log_cosh", "quantile"])
def test_regressions(diabetes: Classroom, loss: str) -> None:
    changes: list[dict[str, Any]] = [{"optimizer__lr": rate} for rate in (0.03, 0.003)]
    trials = trials_of(diabetes, changes, task__loss=loss, training__epochs=4)
    assert_equal(trials, Materials(diabetes, DOUBLE), Objective("rmse", "minimize"))


def test_a_diverging_trial_leaves_the_others_alone(digits: Classroom) -> None:
    changes = [{"optimizer": Component("sgd", {"lr": rate})} for rate in (0.1, 1e300, 0.05)]
    trials = trials_of(digits, changes, training__epochs=3)
    assert_equal(trials, Materials(digits, DOUBLE))
    assert isinstance(together(trials, Materials(digits, DOUBLE), ACCURACY)[1][1], str)


def test_a_last_batch_of_another_size_and_of_one_row(digits: Classroom) -> None:
    changes: list[dict[str, Any]] = [{"model__dropout": rate} for rate in (0.2, 0.5)]
    for num_rows in (130, 129, 40):
        trials = trials_of(digits, changes, training__epochs=2)
        assert_equal(trials, Materials(digits, DOUBLE, num_rows))


def test_float32_stays_within_the_stated_tolerance(digits: Classroom) -> None:
    """20 epochs of Adam on all rows: accuracies within 2 of 288 images, weights to 1e-3."""
    changes: list[dict[str, Any]] = [
        {"optimizer__lr": rate, "model__dropout": rate * 20} for rate in (0.001, 0.003, 0.01)
    ]
    trials = trials_of(digits, changes, training__epochs=20, training__restore_best=False)
    materials = Materials(digits, torch.float32, 10_000)
    found = together(trials, materials, ACCURACY)
    for trial in trials:
        events, kept = alone(trial, materials, ACCURACY)
        fused_events, fused = found[trial.number]
        assert isinstance(kept, Kept)
        assert isinstance(fused, Kept)
        one, other = events[-1].metrics, fused_events[-1].metrics
        assert abs(one["valid/accuracy"] - other["valid/accuracy"]) <= 2.01 / 288
        for name, value in kept.weights.items():
            torch.testing.assert_close(fused.weights[name], value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("model", ["mlp-batch", "cnn"])
def test_a_trial_has_the_same_bits_in_any_company(digits: Classroom, model: str) -> None:
    changes: list[dict[str, Any]] = [
        {"model": MODELS[model], "optimizer__lr": rate} for rate in (0.01, 0.02, 0.03, 0.04)
    ]
    trials = trials_of(digits, changes, training__epochs=2)
    materials = Materials(digits, torch.float32)
    whole = together(trials, materials, ACCURACY)
    part = together(trials[1:3], materials, ACCURACY)
    for number in (1, 2):
        kept, other = whole[number][1], part[number][1]
        assert isinstance(kept, Kept)
        assert isinstance(other, Kept)
        assert all(torch.equal(each, other.weights[name]) for name, each in kept.weights.items())


@pytest.mark.parametrize("stop", [1, 3])
def test_a_group_goes_on_from_a_snapshot_bit_for_bit(
    digits: Classroom, stop: int, tmp_path: Path
) -> None:
    changes: list[dict[str, Any]] = [
        {"model": MODELS["mlp-batch"], "optimizer": Component("adam", {"lr": 0.01})},
        {"model": MODELS["mlp-batch"], "optimizer": Component("sgd", {"lr": 0.1, "momentum": 0.9})},
        {"model": MODELS["mlp-batch"], "training__epochs": 2},
    ]
    trials = trials_of(digits, changes, training__epochs=5, schedule=Component("plateau"))
    materials = Materials(digits, torch.float32)
    whole = list(rounds(trials, materials, ACCURACY))
    broken = rounds(trials, materials, ACCURACY)
    for _ in range(stop):
        part = next(broken)
    torch.save(part.snapshot(), tmp_path / "past.pt")
    past = torch.load(tmp_path / "past.pt", weights_only=True)
    rest = list(rounds(trials, materials, ACCURACY, past))
    # The trial that ended with the epoch of the snapshot is still in it: it ends again, at once.
    assert [each.events[-1].epoch for each in rest] == list(range(stop + 1, 6))
    for number in (0, 1):
        kept, other = whole[-1].finished[number], rest[-1].finished[number]
        assert kept.metrics == other.metrics
        assert all(torch.equal(each, other.weights[name]) for name, each in kept.weights.items())


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_images_of_several_channels_are_read_as_alone(digits: Classroom, model: str) -> None:
    changes: list[dict[str, Any]] = [{"model": MODELS[model]}, {"optimizer__lr": 0.1}]
    trials = trials_of(digits, changes, model=MODELS[model], training__epochs=2)
    materials = Materials(digits, DOUBLE)
    grey = materials(trials[0])
    colored: dict[str, Any] = {
        name: torch.cat([image, image.flip(3), 1 - image], 1).to(memory_format=torch.channels_last)
        for name, image in (("train", grey.train), ("valid", grey.valid))
    }
    materials.made = {str(trials[0].task): replace(grey, **colored)}
    assert_equal(trials, materials)


def test_trials_of_two_shapes_make_no_group(digits: Classroom) -> None:
    changes: list[dict[str, Any]] = [{"model__width": width} for width in (8, 9)]
    materials = Materials(digits, torch.float32)
    with pytest.raises(NotStackableError, match="2 shapes"):
        make_group(trials_of(digits, changes), materials, digits.code)
