"""Several classifiers in one picture: the areas and gaps in the legend are the right ones."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from numpy.typing import NDArray

from nnsearch.reports.canvas import Figure, svg
from nnsearch.reports.sides import calibration_sides, roc_sides
from nnsearch.tasks.metrics import class_metrics

Array = NDArray[Any]


def scored(num_classes: int, seed: int, *, surety: float = 1.0) -> tuple[Array, Array]:
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, num_classes, 400)
    outputs = generator.normal(size=(400, num_classes))
    outputs[np.arange(400), targets] += 1.5
    powers = np.exp(surety * outputs)
    return powers / powers.sum(axis=1, keepdims=True), targets


def texts(drawn: Figure) -> list[str]:
    root = ET.fromstring(svg(drawn))  # noqa: S314 - our own
    return [each.text or "" for each in root.iter() if each.tag.endswith("text")]


@pytest.mark.parametrize("num_classes", [2, 5])
def test_a_roc_curve_a_study_with_its_area(num_classes: int) -> None:
    studies = {name: scored(num_classes, seed) for seed, name in enumerate(("one", "two"))}
    shown = texts(roc_sides(studies, "test rows"))
    for name, (predictions, targets) in studies.items():
        area = class_metrics(predictions, targets)["roc_auc"]
        assert f"{name} ({area:.3f})" in shown
    assert any("on test rows" in each for each in shown)


def test_a_model_that_is_too_sure_has_the_larger_gap() -> None:
    studies = {"right": scored(3, 0, surety=1.5), "too sure": scored(3, 0, surety=6.0)}
    shown = texts(calibration_sides(studies, "validation rows"))
    gaps = {
        found[1]: float(found[2])
        for each in shown
        if (found := re.fullmatch(r"(.+) \((0\.\d+)\)", each))
    }
    assert gaps["too sure"] > gaps["right"] + 0.05


def test_a_study_without_a_class_is_drawn_as_far_as_it_goes() -> None:
    predictions, _ = scored(2, 0)
    drawn = roc_sides({"single": (predictions, np.zeros(400, np.int64))}, "test rows")
    assert "single (nan)" in texts(drawn)
