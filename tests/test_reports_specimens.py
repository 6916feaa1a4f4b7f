"""Pictures of examples and of scores: what they hold, and that any shape is taken."""

import base64
import io
import re

import numpy as np
from PIL import Image

from nnsearch.reports.canvas import svg
from nnsearch.reports.pictures import pictures
from nnsearch.reports.specimens import PER_LINE, scores, specimens


def images(drawn: bytes) -> list[np.ndarray]:
    """The pictures that an SVG file holds."""
    found = re.findall(rb"base64,([^\"]+)", drawn)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


def test_each_name_has_its_line_and_its_scale() -> None:
    grey = np.arange(2 * 6).reshape(2, 1, 2, 3) / 11
    colours = np.random.default_rng(0).random((1, 3, 2, 2))
    drawn = svg(specimens({"grey": grey, "in colour": colours}, "Some"))
    first, second, third = images(drawn)
    assert first.tolist() == [[0, 23, 46], [70, 93, 116]]
    assert int(second.max()) == 255
    assert third.shape == (2, 2, 3)
    assert b">grey</text>" in drawn
    assert b">in colour</text>" in drawn
    assert b">Some</text>" in drawn


def test_bytes_are_shown_as_they_are_and_a_note_below_the_title() -> None:
    faint = np.full((1, 2, 2), 100, np.uint8)
    faint[0, 0, 0] = 90
    drawn = svg(specimens({"note": np.array("of one scale"), "faint": faint}, "Some"))
    (tile,) = images(drawn)
    assert tile.tolist() == [[90, 100], [100, 100]]
    assert b">of one scale</text>" in drawn
    assert b">note</text>" not in drawn


def test_many_go_on_in_the_next_line_and_equal_or_lost_numbers_do_no_harm() -> None:
    drawn = svg(specimens({"many": np.full((PER_LINE + 1, 4, 4), np.nan)}, "Many"))
    assert len(images(drawn)) == PER_LINE + 1
    tops = set(re.findall(rb'<image x="[^"]+" y="([^"]+)"', drawn))
    assert len(tops) == 2


def test_scores_are_drawn_by_class() -> None:
    odd = np.array([0.1, 0.2, 0.9])
    predictions = np.stack([1 - odd, odd], axis=1)
    drawn = svg(scores(predictions, np.array([0, 0, 1]), ("normal", "anomaly")))
    assert b"2 normal; 1 anomaly" in drawn
    assert svg(scores(predictions[:0], np.empty(0, int), ("normal", "anomaly")))


def test_answers_of_several_numbers_have_no_residuals() -> None:
    made = pictures(
        np.zeros((4, 3)), np.zeros((4, 3)), (), [], objective_key="valid/f1", kept_epoch=1,
        shown={"image": np.zeros((4, 2, 2))},
    )  # fmt: skip
    assert set(made) == {"specimens.svg"}
    odd = pictures(
        np.full((4, 2), 0.5), np.array([0, 1, 0, 1]), ("normal", "anomaly"), [],
        objective_key="valid/roc_auc", kept_epoch=1,
    )  # fmt: skip
    assert {"scores.svg", "roc.svg"} <= set(odd)
