"""The picture of forecasts: which rows it shows, and that any numbers are taken."""

import re

import numpy as np

from nnsearch.reports.canvas import PALETTE, svg
from nnsearch.reports.forecasts import are_forecasts, forecasts
from nnsearch.reports.pictures import pictures

RANDOM = np.random.default_rng(0)
TARGETS = RANDOM.normal(size=(40, 3, 5))
PREDICTIONS = RANDOM.normal(size=(40, 5)).astype(np.float32)


def test_forecasts_are_known_by_their_shape() -> None:
    assert are_forecasts(TARGETS)
    assert not are_forecasts(TARGETS[:, 0])
    assert not are_forecasts(TARGETS[:, :2])


def test_a_trial_of_forecasts_has_their_picture_and_no_other() -> None:
    made = pictures(PREDICTIONS, TARGETS, (), [], objective_key="valid/mase", kept_epoch=1)
    assert list(made) == ["forecasts.svg"]
    plain = pictures(PREDICTIONS[:, :1], TARGETS[:, 0, 0], (), [], objective_key="", kept_epoch=1)
    assert "forecasts.svg" not in plain


def test_it_shows_the_truth_beside_three_forecasts_and_the_worst_row() -> None:
    predictions = TARGETS[:, 0] + 0.1
    predictions[7] += 50.0
    drawn = svg(forecasts(predictions, TARGETS)).decode()
    for name in ("truth", "forecast", "season before", "last value", "the largest error"):
        assert f">{name}</text>" in drawn
    assert "six of 40 from" in drawn
    # Two of three panels in a row have a scale that reaches no further than the data.
    assert re.search(r">(40|50)</text>", drawn)
    assert drawn.count(PALETTE[1]) == 9  # six rows, their mean, all in order, and the legend


def test_a_single_row_of_one_step_and_numbers_all_alike_do_no_harm() -> None:
    assert svg(forecasts(np.zeros((1, 1)), np.zeros((1, 3, 1))))
    lost = np.full((2, 4), np.nan)
    assert svg(forecasts(lost, np.ones((2, 3, 4))))
