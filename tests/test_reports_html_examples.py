"""What the page shows of answers that are pictures or series, and of all measures."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
from PIL import Image
from reported import parsed
from test_reports_html import made

from nnsearch import events
from nnsearch.reports.html import page
from nnsearch.reports.html_content import Cell, Examples, Mistake, Mistakes, Report, Scored
from nnsearch.reports.html_examples import examples
from nnsearch.reports.html_rows import mistakes

RANDOM = np.random.default_rng(0)


def sheets(text: str) -> list[np.ndarray]:
    """The PNGs of a page."""
    found = re.findall(r"data:image/png;base64,([^\"]+)", text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


def test_images_stand_in_lines_with_their_names_and_what_is_to_know() -> None:
    bytes_ = np.full((17, 1, 8, 8), 100, np.uint8)
    shown = {"note": np.array("blue is <b>"), "faint": bytes_, "many": RANDOM.random((2, 3, 4, 6))}
    drawn = examples(Examples(shown))
    found = parsed(f"<body>{drawn.text}</body>")
    assert [each.text for each in found.all("th")] == ["faint", "many"]
    assert "Blue is <b>." in found.text
    assert "Forecasts" not in found.text
    faint, many = sheets(drawn.text)
    # Bytes are not stretched; the seventeenth begins a second line, and beside it is nothing.
    assert faint.shape == (2 * 42, 16 * 42, 4)
    assert set(faint[..., 0][faint[..., 3] > 0].tolist()) == {100}
    assert faint[..., 3][42:, 42:].max() == 0
    assert many.shape == (4 * 6 + 2, 2 * (6 * 6 + 2), 4)
    assert len(np.unique(many[..., 0])) > 20


def test_large_images_are_made_smaller() -> None:
    (sheet,) = sheets(examples(Examples({"large": RANDOM.random((1, 1, 300, 200))})).text)
    assert max(sheet.shape) < 90


def test_forecasts_are_drawn_against_the_truth_with_their_numbers() -> None:
    targets = RANDOM.normal(size=(40, 3, 5))
    predictions = targets[:, 0] + 0.5
    drawn = examples(Examples(forecasts=Scored("valid", predictions, targets)))
    found = parsed(f"<body>{drawn.text}</body>")
    assert "Six of 40 validation rows" in found.text
    assert len([each for each in found.all("svg") if each.attributes.get("role") == "img"]) == 7
    head, *rows = found.rows("All rows")
    assert head == ["steps ahead", "forecast", "season before", "last value"]
    assert {row[1] for row in rows} == {"0.500"}
    for row in found.rows("The largest error")[1:]:
        assert abs(float(row[2]) - float(row[1]) - 0.5) < 1e-3


def test_a_forecast_of_one_step_can_be_seen() -> None:
    one = Scored("valid", RANDOM.normal(size=(9, 1)), RANDOM.normal(size=(9, 3, 1)))
    found = parsed(f"<body>{examples(Examples(forecasts=one)).text}</body>")
    assert len(found.all("circle")) >= 6 * 4 + 3


def of_pictures() -> Report:
    """A study whose answers are pictures."""
    return replace(made(), labels=(), examples=Examples({"image": RANDOM.random((3, 8, 8))}))


def test_answers_that_are_no_numbers_have_their_measures_and_are_not_called_gone() -> None:
    tested = events.Tested(30, 2.0, {"iou": 0.8, "dice": 0.9}, {"iou": (0.7, 0.85)}, 120)
    found = parsed(page(replace(of_pictures(), tested=tested)))
    assert "no predictions" not in found.text
    assert "All measures of the winner, on 120 rows of the test split." in found.text
    assert found.rows("All measures")[1:] == [
        ["iou", "0.800", "0.700", "0.850"],
        ["dice", "0.900", "", ""],
    ]


def test_before_test_was_looked_at_the_measures_are_of_validation() -> None:
    found = parsed(page(replace(of_pictures(), tested=None)))
    assert "on the validation rows" in found.text
    assert found.rows("All measures")[1:] == [["accuracy", "0.990"]]


def test_scores_of_anomalies_are_not_held_against_probabilities() -> None:
    odd = RANDOM.random(50)
    scored = Scored("test", np.stack([1 - odd, odd], 1), (odd > 0.5).astype(int))
    study = replace(made(), labels=("normal", "anomaly"), scored=scored)
    assert "Calibration" in parsed(page(study)).text
    of_anomalies = replace(study, settings={**study.settings, "task": {"name": "anomaly"}})
    assert "Calibration" not in parsed(page(of_anomalies)).text


def test_a_value_at_the_mean_is_not_called_far_from_usual() -> None:
    cells = (Cell("age", "74", 1.5), Cell("calls", "2", 0.02))
    found = Mistakes("valid", (Mistake(3, "no", "yes", 0.9, 0.1, cells=cells),), 1, 10)
    text = str(mistakes(replace(made(), mistakes=found)))
    assert "age 74 (+1.5 sd)" in text
    assert "+0.0 sd" not in text
