"""Forecasting: the loss, the metrics against what they are defined as, and naive forecasts."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from company import DOUBLE, Materials, assert_equal, trials_of
from lessons import classroom_of

from nnsearch.errors import DataError
from nnsearch.study.spec import Objective
from nnsearch.tasks.forecasting import DIRECTIONS, Loss, forecasting
from nnsearch.tasks.task import target_kind

RANDOM = np.random.default_rng(0)
TRAIN = RANDOM.normal(5, 3, (50, 3, 4))
VALID = RANDOM.normal(5, 3, (20, 3, 4))


def test_the_task_wants_targets_as_the_source_has_them() -> None:
    assert target_kind(forecasting) == "raw"
    task = forecasting(TRAIN)
    assert task.outputs == 4
    assert next(iter(task.directions)) == "mase"
    assert task.directions == DIRECTIONS


def test_metrics_are_what_they_are_defined_as() -> None:
    task = forecasting(TRAIN)
    predictions = RANDOM.normal(5, 3, (20, 4)).astype(np.float32)
    found = task.metrics(predictions, VALID)
    errors = np.abs(predictions - VALID[:, 0])
    assert found["mae"] == pytest.approx(errors.mean())
    assert found["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    in_train = np.abs(TRAIN[:, 0] - TRAIN[:, 1]).mean()
    assert found["mase"] == pytest.approx(errors.mean() / in_train)
    for name, place in (("skill_seasonal", 1), ("skill_last", 2)):
        naive = np.abs(VALID[:, place] - VALID[:, 0]).mean()
        assert found[name] == pytest.approx(1 - errors.mean() / naive)
    assert found.keys() == DIRECTIONS.keys()


def test_a_naive_forecast_has_no_skill_and_the_truth_all_of_it() -> None:
    task = forecasting(TRAIN)
    assert task.metrics(VALID[:, 1], VALID)["skill_seasonal"] == 0
    assert task.metrics(VALID[:, 2], VALID)["skill_last"] == 0
    assert task.metrics(VALID[:, 0], VALID)["skill_seasonal"] == 1
    perfect = np.repeat(VALID[:, :1], 3, axis=1)
    assert task.metrics(perfect[:, 0], perfect)["skill_last"] == 0
    assert np.isnan(task.metrics(perfect[:, 0] + 1, perfect)["skill_last"])


def test_decoding_takes_back_what_encoding_did() -> None:
    task = forecasting(TRAIN)
    encoded = task.encode(TRAIN)
    assert encoded.shape == (50, 4)
    assert float(encoded.mean()) == pytest.approx(0, abs=1e-6)
    assert float(encoded.std(correction=0)) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(task.decode(encoded).numpy(), TRAIN[:, 0], atol=1e-5)


@pytest.mark.parametrize("loss", get_args(Loss))
def test_losses_are_one_an_example_with_any_leading_axes(loss: Loss) -> None:
    task = forecasting(TRAIN, loss=loss)
    outputs, encoded = torch.randn(3, 20, 4), task.encode(VALID)
    found = task.losses(outputs, encoded)
    assert found.shape == (3, 20)
    for trial, own in zip(outputs, found, strict=True):
        assert torch.allclose(task.losses(trial, encoded), own, atol=1e-6)
    assert task.losses(encoded, encoded).abs().max() == 0


def test_each_loss_is_the_one_it_is_called() -> None:
    outputs, encoded = torch.tensor([[0.0, 3.0]]), torch.tensor([[0.0, 0.0]])
    wanted = {"squared": 4.5, "absolute": 1.5, "huber": 1.25}
    for name in get_args(Loss):
        assert float(forecasting(TRAIN, loss=name).losses(outputs, encoded)) == wanted[name]


def test_targets_that_are_no_forecasts_are_refused() -> None:
    with pytest.raises(DataError, match="no forecasts"):
        forecasting(TRAIN[:, :2])
    with pytest.raises(DataError, match="all the same"):
        forecasting(np.ones((5, 3, 2)))
    assert forecasting(np.array([0.0, 1.0])).outputs == 1


@pytest.mark.parametrize("model", ["mlp", "linear"])
def test_forecasts_that_are_trained_together_are_those_of_trials_alone(
    model: str, tmp_path: Path
) -> None:
    places = np.arange(400)
    lines = [f"{3600 * place},{value}" for place, value in zip(places, np.sin(places), strict=True)]
    (tmp_path / "hours.csv").write_text("\n".join(["time,sea", *lines]))
    room = classroom_of(
        tmp_path,
        "hours",
        f"""
        [data]
        split = {{ by = "time" }}
        [data.series_table]
        path = "hours.csv"
        time = "time"
        target = "sea"
        window = 8
        horizon = 4
        [task]
        name = "forecasting"
        [model]
        name = "{model}"
        [optimizer]
        name = "adam"
        [training]
        epochs = 2
        [search]
        trials = 1
        """,
    )
    changes: list[dict[str, Any]] = [
        {"optimizer__lr": 0.01},
        {"optimizer__lr": 0.001},
        {"task__loss": "huber"},
    ]
    trials = trials_of(room, changes)
    assert_equal(trials, Materials(room, DOUBLE), Objective("mase", "minimize"))
