"""Forecasts against the truth and against naive ones. Knows no trial and no series.

Shapes: N examples, H steps of the horizon. Targets are [N, 3, H]: the truth, what the season before
says, what the last value says.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnsearch.reports.canvas import (
    INK,
    PALETTE,
    QUIET,
    TITLE,
    Drawn,
    Figure,
    Legend,
    Words,
    figure,
    legend,
    lines,
    stroke,
    write,
)
from nnsearch.reports.panels import Frame, panel, scale

Floats = NDArray[np.float64]

AXES = 3
LINES = (
    ("truth", INK, False),
    ("forecast", PALETTE[1], False),
    ("season before", PALETTE[0], True),
    ("last value", PALETTE[2], True),
)
# Which rows are shown: those whose error is larger than this share of all.
_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_MOST_IN_ORDER = 150
# Two to a row: in MLflow three would be shown too small to be read.
_WIDE, _HIGH, _LEFT, _BOTTOM, _ACROSS, _DOWN = 200.0, 110.0, 58.0, 40.0, 252.0, 178.0
_PER_ROW, _NUM_DOWN = 2, 5


class Chosen(NamedTuple):
    """What is drawn of `num_rows` forecasts: lines as in `LINES`, errors of all but the first.

    `rows` are some of them, [4, H] each, under what is said of their error; `errors` [3, H] are
    mean absolute ones by step.
    """

    num_rows: int
    rows: dict[str, Floats]
    errors: Floats


def are_forecasts(targets: NDArray[np.generic]) -> bool:
    """Whether these are targets of forecasts, by their shape."""
    return targets.ndim == AXES and targets.shape[1] == AXES


def chosen(predictions: NDArray[np.floating], targets: NDArray[np.floating]) -> Chosen:
    """Six rows from nearly the best to the worst, and the error of each step ahead.

    `predictions` are [N, H]. A row is taken whose mean absolute error is the 5 %, 25 %, 50 %, 75 %
    or 95 % quantile of all, or the largest.
    """
    whole = np.concatenate([np.asarray(targets, np.float64)[:, :1], predictions[:, None],
                            np.asarray(targets, np.float64)[:, 1:]], 1)  # fmt: skip
    errors = np.abs(whole[:, 1:] - whole[:, :1])
    order = np.argsort(errors[:, 0].mean(1), kind="stable")
    rows = {}
    for share in _SHARES:
        row = order[min(int(share * len(order)), len(order) - 1)]
        name = "the largest error" if share == 1 else f"larger error than {share:.0%} of all"
        rows[name] = whole[row]
    return Chosen(len(whole), rows, errors.mean(0))


def forecasts(predictions: NDArray[np.floating], targets: NDArray[np.floating]) -> Figure:
    """The last step of the last rows in order, the rows of `chosen`, and the errors by step."""
    found = chosen(predictions, targets)
    high = _NUM_DOWN * _DOWN
    drawn = figure(_LEFT + _PER_ROW * _ACROSS, high + 62)
    write(drawn, [Words("Forecasts", 14, high + 42, "left")], size=TITLE, bold=True)
    told = (
        f"validation rows in order, six of {found.num_rows} from nearly the best to the worst, all"
    )
    write(drawn, [Words(told, 14, high + 28, "left")], color=QUIET)
    legend(drawn, [Legend(*each) for each in LINES], 14, high + 12, across=True)
    last = slice(-_MOST_IN_ORDER, None)
    nothing = np.full(len(predictions[last]), np.nan)
    ends = np.stack([targets[last, 0, -1], predictions[last, -1], nothing, nothing])
    told = f"{predictions.shape[1]} steps ahead, the last {ends.shape[1]} rows"
    _panel(drawn, _frame(0, 0, is_wide=True), ends, (told, "row", "value"))
    for place, (name, lines_) in enumerate(found.rows.items()):
        down, across = divmod(place, _PER_ROW)
        names = (name, "steps ahead", "" if across else "value")
        _panel(drawn, _frame(down + 1, across), lines_, names)
    errors = np.concatenate([np.full_like(found.errors[:1], np.nan), found.errors])
    names = ("all rows", "steps ahead", "mean absolute error")
    _panel(drawn, _frame(_NUM_DOWN - 1, 0, is_wide=True), errors, names)
    return drawn


def _frame(down: int, across: int, *, is_wide: bool = False) -> Frame:
    bottom = (_NUM_DOWN - 1 - down) * _DOWN + _BOTTOM
    wide = _WIDE + (_PER_ROW - 1) * _ACROSS if is_wide else _WIDE
    return Frame(_LEFT + across * _ACROSS, bottom, wide, _HIGH)


def _panel(drawn: Figure, frame: Frame, values: Floats, names: tuple[str, str, str]) -> None:
    """Lines [4, S] in the colours of `LINES` under a name; one of NaN is left out."""
    title, x_label, y_label = names
    steps = np.arange(1, values.shape[1] + 1)
    finite = values[np.isfinite(values)]
    made = panel(
        drawn,
        frame,
        scale([1, len(steps)], whole=True, most=4),
        scale(finite.tolist(), most=4),
        x_label=x_label,
        y_label=y_label,
    )
    at = Words(title, frame.left, frame.bottom + frame.height + 6, "left")
    write(drawn, [at], bold=True)
    if len(steps) == 1:  # there is no line
        for line, (_, color, _) in zip(values, LINES, strict=True):
            stroke(drawn, *made.place(steps, line), color=color, width=0, marker="o")
    lines(
        drawn,
        [
            Drawn(*made.place(steps, line), color, 1.8 if not dashed else 1.2, dashed)
            for line, (_, color, dashed) in zip(values, LINES, strict=True)
            if np.isfinite(line).any()
        ],
    )
