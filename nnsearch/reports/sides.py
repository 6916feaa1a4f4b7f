"""Several classifiers of the same rows in one picture: ROC curves, and calibration. Pure."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nnsearch.reports.calibration import calibration
from nnsearch.reports.canvas import (
    PALETTE,
    QUIET,
    SMALL,
    TITLE,
    Figure,
    Legend,
    Words,
    figure,
    legend,
    readable,
    stroke,
    width_of,
    write,
)
from nnsearch.reports.curves import Curve, macro, roc
from nnsearch.reports.panels import Frame, Panel, panel, shares

Scored = tuple[NDArray[np.floating], NDArray[np.integer]]
_BINARY, _SIDE, _LEFT, _BOTTOM = 2, 250.0, 58.0, 44.0


def roc_sides(studies: Mapping[str, Scored], where: str) -> Figure:
    """A ROC curve a study; of more than two classes the mean of each against the rest.

    The predictions are probabilities [N, C], the targets class indices [N].
    """
    curves = {name: _curve(*scored) for name, scored in studies.items()}
    labels = {name: f"{name} ({each.area:.3f})" for name, each in curves.items()}
    told = f"on {where}; in brackets the area"
    names = ("false positive rate", "true positive rate")
    drawn, made = _page("ROC", told, labels, names)
    for place, each in enumerate(curves.values()):
        xs, ys = made.place(each.xs, each.ys)
        stroke(drawn, xs, ys, color=_color(place), width=1.8)
    return drawn


def calibration_sides(studies: Mapping[str, Scored], where: str) -> Figure:
    """How often each study's answers are right against how sure it was of them.

    On the dashed line a model is as often right as it says; below it is too sure.
    """
    found = {
        name: calibration(predictions.max(axis=1), predictions.argmax(axis=1) == targets)
        for name, (predictions, targets) in studies.items()
    }
    labels = {name: f"{name} ({each.error:.3f})" for name, each in found.items()}
    told = f"on {where}; in brackets the mean gap, below the line is too sure"
    names = ("how sure of its answer", "share that is right")
    drawn, made = _page("Calibration", told, labels, names)
    for place, each in enumerate(found.values()):
        xs, ys = made.place([one.said for one in each.bins], [one.share for one in each.bins])
        stroke(drawn, xs, ys, color=_color(place), width=1.8, marker="o")
        for one in each.bins:
            ends = made.place([one.said] * 2, [one.low, one.high])
            stroke(drawn, *ends, color=_color(place), width=0.6)
    return drawn


def _curve(predictions: NDArray[np.floating], targets: NDArray[np.integer]) -> Curve:
    num_classes = predictions.shape[1]
    if num_classes == _BINARY:
        return roc(predictions[:, 1], targets == 1, "")
    curves = [roc(predictions[:, each], targets == each, "") for each in range(num_classes)]
    return macro(curves, label="")


def _page(
    title: str, told: str, labels: Mapping[str, str], names: tuple[str, str]
) -> tuple[Figure, Panel]:
    shown = readable(list(labels.values()), 44)
    room = max((width_of(label) for label in shown), default=0.0) + 46
    drawn = figure(_LEFT + _SIDE + 18 + room, _SIDE + 96)
    write(drawn, [Words(title, 14, _SIDE + 76, "left")], size=TITLE, bold=True)
    write(drawn, [Words(told, 14, _SIDE + 62, "left")], size=SMALL, color=QUIET)
    frame = Frame(_LEFT, _BOTTOM, _SIDE, _SIDE)
    made = panel(drawn, frame, shares(), shares(), x_label=names[0], y_label=names[1])
    stroke(drawn, *made.place([0, 1], [0, 1]), color="#9a9a9a", width=1, dashed=True)
    entries = [Legend(label, _color(place)) for place, label in enumerate(shown)]
    legend(drawn, entries, _LEFT + _SIDE + 16, _BOTTOM + _SIDE - 8)
    return drawn, made


def _color(place: int) -> str:
    return PALETTE[place % len(PALETTE)]
