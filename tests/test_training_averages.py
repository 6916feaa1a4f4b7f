"""Means of weights: exact by hand, the same in company, and after a break; batches of batches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from company import DOUBLE, MODELS, Materials, assert_equal, rounds, trials_of
from lessons import ACCURACY, Classroom, classroom, learned
from torch import nn

from nnsearch.data.prepare import open_part
from nnsearch.study.folder import StudyFolder
from nnsearch.study.spec import Component
from nnsearch.training.averages import (
    add_to_mean,
    begin_mean,
    is_averaged,
    share_of_epoch,
    share_of_step,
    with_mean,
)
from nnsearch.training.examine import predict, rebuild
from nnsearch.training.fit import fit
from nnsearch.training.job import run_job, write_job
from nnsearch.training.recipe import recipe
from nnsearch.training.steps import size, steps

EMA: dict[str, Any] = {"training__average": "ema", "training__ema_decay": 0.9}
SWA: dict[str, Any] = {"training__average": "swa", "training__swa_start": 0.5}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("digits"))


def means_of(options: dict[str, Any], values: list[float]) -> list[float]:
    """The mean of one weight that takes these values, an epoch of one step each."""
    chosen = recipe(epochs=len(values), **options)
    model = nn.Linear(1, 1, bias=False).double()
    mean, found = begin_mean(model, chosen), []
    for step, value in enumerate(values, start=1):
        nn.init.constant_(model.weight, value)
        add_to_mean(mean, model, share_of_step(chosen, step))
        add_to_mean(mean, model, share_of_epoch(chosen, step))
        found.append(float(mean[0]) if is_averaged(chosen, step) else value)
    return found


def test_a_moving_average_is_the_weighted_mean_of_all_steps() -> None:
    values = [3.0, -1.0, 4.0, 2.0]
    found = means_of({"average": "ema", "ema_decay": 0.8}, values)
    for last, each in enumerate(found):
        factors = [0.8 ** (last - step) for step in range(last + 1)]
        pairs = zip(factors, values, strict=False)
        assert each == pytest.approx(sum(f * value for f, value in pairs) / sum(factors))
    assert means_of({"average": "ema", "ema_decay": 0.0}, values) == values


def test_a_late_average_is_the_mean_of_the_epochs_from_its_start() -> None:
    values = [9.0, 8.0, 3.0, -1.0, 4.0]
    found = means_of({"average": "swa", "swa_start": 0.4}, values)
    assert found == pytest.approx([9.0, 8.0, 3.0, 1.0, 2.0])
    assert means_of({"average": "swa", "swa_start": 0.0}, values)[-1] == pytest.approx(23 / 5)


def test_a_model_is_itself_again_after_it_was_judged() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
    before = {name: each.clone() for name, each in model.state_dict().items()}
    mean = [torch.full_like(each, 0.5) for each in model.parameters()]
    inputs = torch.randn(1000, 3)
    with with_mean(model, mean, lambda: inputs.split(250)):
        inner = model.state_dict()
        assert torch.equal(inner["0.weight"], mean[0])
        seen = inputs @ torch.full((3, 4), 0.5) + 0.5
        torch.testing.assert_close(inner["1.running_mean"], seen.mean(0))
        each = torch.stack([part.var(0) for part in seen.split(250)]).mean(0)
        torch.testing.assert_close(inner["1.running_var"], each)
    after = model.state_dict()
    assert all(torch.equal(after[name], each) for name, each in before.items())
    assert model[1].momentum == 0.1


@pytest.mark.parametrize("options", [EMA, SWA])
def test_batch_norms_suit_the_mean(digits: Classroom, options: dict[str, Any]) -> None:
    """Kept are statistics that the kept weights themselves have on the training split."""
    room = digits.changed(model__norm="batch", training__epochs=4, **options)
    pupil = room.pupil()
    kept = learned(pupil, ACCURACY)
    assert kept.epoch > 2 or options is EMA
    first = nn.functional.linear(
        pupil.material.train.flatten(1), kept.weights["1.0.weight"], kept.weights.get("1.0.bias")
    )
    # The mean is exact; the variance is that within batches of 512.
    torch.testing.assert_close(
        kept.weights["1.1.running_mean"], first.mean(0), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(kept.weights["1.1.running_var"], first.var(0), atol=1e-5, rtol=0.03)


@pytest.mark.parametrize("options", [EMA, SWA])
def test_the_mean_is_what_is_judged_and_kept(digits: Classroom, options: dict[str, Any]) -> None:
    wild = digits.changed(
        optimizer=Component("sgd", {"lr": 0.5}), training__epochs=8, training__restore_best=False
    )
    plain, steady = wild.pupil(), wild.changed(**options).pupil()
    ends = [learned(each, ACCURACY) for each in (plain, steady)]
    assert ends[1].metrics["valid/loss"] < 0.6 * ends[0].metrics["valid/loss"]
    state = steady.model.state_dict()
    assert all(torch.equal(state[name], each) for name, each in ends[1].weights.items())
    again = steady.material.task.metrics(ends[1].predictions, steady.material.valid_raw)
    assert again["accuracy"] == ends[1].metrics["valid/accuracy"]


@pytest.mark.parametrize("model", ["mlp", "mlp-batch", "cnn-residual"])
def test_company_changes_no_mean(digits: Classroom, model: str) -> None:
    changes: list[dict[str, Any]] = [
        EMA,
        SWA,
        {},
        {**EMA, "optimizer": Component("sgd", {"lr": 0.1}), "training__patience": 1},
        {**SWA, "training__swa_start": 0.0, "training__epochs": 3},
    ]
    chosen: dict[str, Any] = {"model": MODELS[model], "training__epochs": 5}
    assert_equal(trials_of(digits, changes, **chosen), Materials(digits, DOUBLE))


@pytest.mark.parametrize("accumulate", [2, 7])
@pytest.mark.parametrize("model", ["mlp", "mlp-batch", "cnn"])
def test_company_changes_no_larger_step(digits: Classroom, model: str, accumulate: int) -> None:
    changes: list[dict[str, Any]] = [
        {"schedule": Component("cosine"), "training__clip_norm": 0.5, "training__l1": 0.001},
        {**EMA, "optimizer": Component("sgd", {"lr": 0.1, "momentum": 0.9})},
    ]
    options = {"training__accumulate": accumulate, "training__batch_size": 32}
    if model == "mlp":
        changes[0]["model__dropout"] = 0.3
    trials = trials_of(digits, changes, model=MODELS[model], training__epochs=3, **options)
    assert_equal(trials, Materials(digits, DOUBLE))


@pytest.mark.parametrize("num_rows", [200, 193, 65])
def test_small_batches_make_the_step_of_a_large_one(digits: Classroom, num_rows: int) -> None:
    room = digits.changed(
        schedule=Component("cosine"),
        training__epochs=3,
        training__clip_norm=0.3,
        training__l1=0.001,
        training__clip_value=0.05,
        model__norm="layer",
    )
    materials = Materials(room, DOUBLE, num_rows)
    ends = []
    for options in (
        {"training__batch_size": 64},
        {"training__batch_size": 16, "training__accumulate": 4},
        {"training__batch_size": 1, "training__accumulate": 64},
    ):
        (trial,) = trials_of(room, [options])
        *_, last = rounds([trial], materials, ACCURACY)
        ends.append(last.finished[0])
    for each in ends[1:]:
        assert each.metrics == pytest.approx(ends[0].metrics, rel=1e-6)
        for name, value in ends[0].weights.items():
            torch.testing.assert_close(each.weights[name], value, rtol=1e-7, atol=1e-9)


def test_a_step_covers_every_row_once() -> None:
    for num_rows in (1, 2, 63, 64, 65, 129, 130, 257):
        for accumulate in (1, 2, 3):
            chosen = recipe(batch_size=64, accumulate=accumulate)
            plan = steps(num_rows, chosen)
            rows = [row for some in plan for each in some for row in range(num_rows)[each]]
            assert rows == list(range(num_rows))
            assert sum(map(size, plan)) == num_rows
            assert all(len(some) <= accumulate for some in plan)


@pytest.mark.parametrize("options", [EMA, SWA])
@pytest.mark.parametrize("stop", [1, 3])
def test_a_trial_that_goes_on_has_the_same_mean(
    digits: Classroom, options: dict[str, Any], stop: int, tmp_path: Path
) -> None:
    room = digits.changed(
        model__norm="batch",
        model__dropout=0.2,
        training__epochs=5,
        training__accumulate=3,
        training__restore_best=False,
        **options,
    )
    kept = learned(room.pupil(), ACCURACY)
    run = fit(room.pupil(), ACCURACY, 0)
    step = next(run)
    for _ in range(stop - 1):
        step = run.send(True)  # noqa: FBT003 - a generator takes no names
    torch.save(step.snapshot(), tmp_path / "past.pt")
    past = torch.load(tmp_path / "past.pt", weights_only=True)
    again = learned(room.pupil(), ACCURACY, past)
    assert again.metrics == kept.metrics
    assert all(torch.equal(each, again.weights[name]) for name, each in kept.weights.items())


def test_a_group_that_goes_on_has_the_same_means(digits: Classroom, tmp_path: Path) -> None:
    changes = [EMA, SWA, {"training__epochs": 3}]
    trials = trials_of(digits, changes, model=MODELS["mlp-batch"], training__epochs=5)
    materials = Materials(digits, torch.float32)
    whole = list(rounds(trials, materials, ACCURACY))
    broken = rounds(trials, materials, ACCURACY)
    for _ in range(3):
        part = next(broken)
    torch.save(part.snapshot(), tmp_path / "past.pt")
    past = torch.load(tmp_path / "past.pt", weights_only=True)
    rest = list(rounds(trials, materials, ACCURACY, past))
    for number in (0, 1):
        kept, other = whole[-1].finished[number], rest[-1].finished[number]
        assert kept.metrics == other.metrics
        assert all(torch.equal(each, other.weights[name]) for name, each in kept.weights.items())


@pytest.mark.parametrize("fuse", [True, False])
def test_what_is_left_of_a_job_is_the_mean(digits: Classroom, fuse: bool, tmp_path: Path) -> None:
    """The network that is exported gives the predictions that were judged."""
    room = digits.changed(model__norm="batch", training__fuse=fuse, training__epochs=3, **EMA)
    place = StudyFolder(tmp_path).job("a")
    write_job(place, room.job())
    run_job(str(place.root))
    _, parts, _ = rebuild(str(place.root), 0)
    valid = open_part(room.data, "valid")
    with np.load(place.trial(0).predictions) as stored:
        judged = stored["predictions"]
    np.testing.assert_allclose(predict(parts, np.asarray(valid.inputs)), judged, atol=1e-5)
