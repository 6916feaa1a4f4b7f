"""One trial, trained: what it reports, where it stops, and that a break changes nothing."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lessons import ACCURACY, Classroom, classroom

from nnsearch.study.spec import Component, Objective
from nnsearch.training.fit import Kept, NonFiniteLossError, Pupil, Step, fit

VALID_LOSS = Objective("loss", "minimize")
GO_ON = True


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("room"))


def learn(
    pupil: Pupil, objective: Objective = ACCURACY, past: dict[str, Any] | None = None
) -> tuple[list[Step], Kept]:
    """Train to the end; every step and what was kept."""
    run = fit(pupil, objective, 0, past)
    steps = [next(run)]
    while True:
        try:
            steps.append(run.send(GO_ON))
        except StopIteration as stop:
            return steps, stop.value


def weights(pupil: Pupil) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in pupil.model.parameters()])


def test_training_learns_and_reports_every_metric(room: Classroom) -> None:
    steps, kept = learn(room.pupil())
    assert [step.event.epoch for step in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[-1].event.metrics["train/loss"] < steps[0].event.metrics["train/loss"]
    assert kept.metrics["valid/accuracy"] > 0.8
    assert {"lr", "train/loss", "valid/loss", "valid/f1_macro"} <= steps[0].event.metrics.keys()
    assert kept.predictions.shape == (288, 10)
    np.testing.assert_allclose(kept.predictions.sum(1), 1, rtol=1e-5)


def test_equal_seeds_give_equal_weights_and_others_do_not(room: Classroom) -> None:
    dropped = room.changed(model__dropout=0.3)
    first, second, other = dropped.pupil(), dropped.pupil(), dropped.changed(seed=12).pupil()
    for each in (first, second, other):
        learn(each)
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau", "step", "exponential"])
def test_a_resumed_trial_equals_an_unbroken_one_bit_for_bit(
    room: Classroom, optimizer: str, schedule: str
) -> None:
    chosen = room.changed(
        optimizer=Component(optimizer, {"lr": 0.01}),
        schedule=Component(schedule),
        model__dropout=0.2,
        model__norm="batch",
        training__epochs=4,
    )
    whole = chosen.pupil()
    _, kept = learn(whole)
    broken = chosen.pupil()
    run = fit(broken, ACCURACY, 0)
    next(run)
    past = copy.deepcopy(run.send(GO_ON).snapshot())
    resumed = chosen.pupil()
    steps, kept_again = learn(resumed, past=past)
    assert [step.event.epoch for step in steps] == [3, 4]
    assert torch.equal(weights(whole), weights(resumed))
    assert kept_again.metrics == kept.metrics
    assert kept_again.epoch == kept.epoch


def test_the_best_epochs_weights_are_restored(room: Classroom) -> None:
    wild = room.changed(optimizer=Component("sgd", {"lr": 1.0}), training__epochs=8)
    pupil = wild.pupil()
    steps, kept = learn(pupil)
    values = [step.event.metrics["valid/accuracy"] for step in steps]
    assert kept.metrics["valid/accuracy"] == max(values)
    assert kept.epoch == values.index(max(values)) + 1
    state = pupil.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in kept.weights.items())


def test_without_restoring_the_last_epoch_is_kept(room: Classroom) -> None:
    wild = room.changed(
        optimizer=Component("sgd", {"lr": 1.0}), training__restore_best=False, training__epochs=5
    )
    steps, kept = learn(wild.pupil())
    assert kept.epoch == 5
    assert kept.metrics == steps[-1].event.metrics


def test_early_stopping_waits_for_patience_epochs(room: Classroom) -> None:
    still = room.changed(
        optimizer=Component("sgd", {"lr": 1e-12}), training__patience=2, training__epochs=50
    )
    steps, kept = learn(still.pupil())
    assert kept.epoch == 1
    assert len(steps) == 3


def test_early_stopping_waits_where_the_last_epoch_is_kept(room: Classroom) -> None:
    still = room.changed(
        optimizer=Component("sgd", {"lr": 1e-12}),
        training__patience=2,
        training__restore_best=False,
        training__epochs=50,
    )
    steps, kept = learn(still.pupil())
    assert (len(steps), kept.epoch) == (3, 3)
    run = fit(still.pupil(), ACCURACY, 0)
    next(run)
    past = copy.deepcopy(run.send(GO_ON).snapshot())
    assert [step.event.epoch for step in learn(still.pupil(), past=past)[0]] == [3]
    del past["kept"]["peak"]  # a checkpoint of an earlier version counts from what was kept
    assert [step.event.epoch for step in learn(still.pupil(), past=past)[0]] == [3, 4]


def test_min_delta_counts_small_gains_as_none(room: Classroom) -> None:
    patient = room.changed(training__patience=1, training__min_delta=2.0, training__epochs=50)
    steps, _ = learn(patient.pupil())
    assert len(steps) == 2


def test_the_best_epoch_is_kept_however_small_its_lead(room: Classroom) -> None:
    steps, kept = learn(room.changed(training__min_delta=2.0).pupil())
    values = [step.event.metrics["valid/accuracy"] for step in steps]
    assert values.index(max(values)) > 0
    assert (kept.epoch, kept.metrics["valid/accuracy"]) == (
        values.index(max(values)) + 1,
        max(values),
    )


def test_an_objective_to_be_minimised_keeps_the_least(room: Classroom) -> None:
    steps, kept = learn(room.changed(optimizer=Component("sgd", {"lr": 1.0})).pupil(), VALID_LOSS)
    losses = [step.event.metrics["valid/loss"] for step in steps]
    assert kept.metrics["valid/loss"] == min(losses)


def test_told_to_stop_it_stops(room: Classroom) -> None:
    run = fit(room.pupil(), ACCURACY, 0)
    next(run)
    with pytest.raises(StopIteration) as stop:
        run.send(not GO_ON)
    assert stop.value.value is None


def test_a_diverging_trial_names_the_step(room: Classroom) -> None:
    wild = room.changed(optimizer=Component("sgd", {"lr": 1e30}))
    with pytest.raises(NonFiniteLossError, match=r"non-finite loss at step [2-9]$"):
        learn(wild.pupil())


def test_the_schedule_reaches_the_optimizer(room: Classroom) -> None:
    steps, _ = learn(room.changed(schedule=Component("cosine")).pupil())
    rates = [step.event.metrics["lr"] for step in steps]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < rates[0] / 50


def test_clipping_bounds_the_step(room: Classroom) -> None:
    clipped = room.changed(
        optimizer=Component("sgd", {"lr": 1.0}), training__clip_norm=1e-3, training__epochs=1
    )
    pupil = clipped.pupil()
    before = weights(pupil)
    learn(pupil)
    num_steps = math.ceil(1150 / 64)
    assert 0 < float((weights(pupil) - before).norm()) <= 1e-3 * num_steps * 1.001


def test_value_clipping_bounds_each_weight(room: Classroom) -> None:
    clipped = room.changed(
        optimizer=Component("sgd", {"lr": 1.0}), training__clip_value=1e-4, training__epochs=1
    )
    pupil = clipped.pupil()
    before = weights(pupil)
    learn(pupil)
    assert 0 < float((weights(pupil) - before).abs().max()) <= 1e-4 * 18 * 1.001


def test_l1_shrinks_the_weights(room: Classroom) -> None:
    plain, shrunk = room.pupil(), room.changed(training__l1=1e-3).pupil()
    learn(plain)
    learn(shrunk)
    assert float(weights(shrunk).abs().sum()) < 0.9 * float(weights(plain).abs().sum())


def test_mixed_precision_trains_float32_weights(room: Classroom) -> None:
    mixed = room.changed(training__precision="bfloat16").pupil()
    _, kept = learn(mixed)
    assert weights(mixed).dtype == torch.float32
    assert kept.metrics["valid/accuracy"] > 0.8
    exact = room.pupil()
    learn(exact)
    assert not torch.equal(weights(mixed), weights(exact))


def test_regression_is_judged_in_the_targets_unit(tmp_path: Path) -> None:
    room = classroom(tmp_path, "diabetes", "regression").changed(training__epochs=20)
    _, kept = learn(room.pupil(), Objective("rmse", "minimize"))
    assert 40 < kept.metrics["valid/rmse"] < 75
    assert kept.predictions.shape[1] == 1


def test_no_test_row_is_needed_to_train(tmp_path: Path) -> None:
    import shutil

    room = classroom(tmp_path, "iris")
    shutil.rmtree(room.data / "test")
    _, kept = learn(room.pupil())
    assert kept.epoch >= 1
