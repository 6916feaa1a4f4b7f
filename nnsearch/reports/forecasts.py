"""Forecasts against the truth and against naive ones. Knows no trial and no series.

Shapes: N examples, H steps of the horizon. Targets are [N, 3, H]: the truth, what the season before
says, what the last value says.
"""

import numpy as np
from numpy.typing import NDArray

from nnsearch.reports.canvas import (
    INK,
    PALETTE,
    QUIET,
    SMALL,
    TITLE,
    Drawn,
    Figure,
    Legend,
    Words,
    figure,
    legend,
    lines,
    write,
)
from nnsearch.reports.panels import Frame, panel, scale

Floats = NDArray[np.float64]

AXES = 3
# Which rows are shown: those whose error is larger than this share of all.
_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_LINES = (
    ("truth", INK, False),
    ("forecast", PALETTE[1], False),
    ("season before", PALETTE[0], True),
    ("last value", PALETTE[2], True),
)
_WIDE, _HIGH, _LEFT, _BOTTOM, _ACROSS, _DOWN = 190.0, 120.0, 64.0, 46.0, 272.0, 196.0
_PER_ROW = 3


def are_forecasts(targets: NDArray[np.generic]) -> bool:
    """Whether these are targets of forecasts, by their shape."""
    return targets.ndim == AXES and targets.shape[1] == AXES


def forecasts(predictions: NDArray[np.floating], targets: NDArray[np.floating]) -> Figure:
    """Six rows from nearly the best to the worst, then the error of each step ahead.

    `predictions` are [N, H]. A row is shown whose mean absolute error is the 5 %, 25 %, 50 %, 75 %
    or 95 % quantile of all, or the largest.
    """
    whole = np.concatenate([np.asarray(targets, np.float64)[:, :1], predictions[:, None],
                            np.asarray(targets, np.float64)[:, 1:]], 1)  # fmt: skip
    errors = np.abs(whole[:, 1:] - whole[:, :1])
    order = np.argsort(errors[:, 0].mean(1), kind="stable")
    rows = [order[min(int(share * len(order)), len(order) - 1)] for share in _SHARES]
    high = 2 * _DOWN + _DOWN
    drawn = figure(_LEFT + _PER_ROW * _ACROSS, high + 66)
    write(drawn, [Words("Forecasts", 14, high + 46, "left")], size=TITLE, bold=True)
    told = f"six of {len(order)} rows, from nearly the best to the worst; below, all rows"
    write(drawn, [Words(told, 14, high + 32, "left")], size=SMALL, color=QUIET)
    entries = [Legend(*each) for each in _LINES]
    legend(drawn, entries, 14, high + 16, across=True)
    for place, (row, share) in enumerate(zip(rows, _SHARES, strict=True)):
        down, across = divmod(place, _PER_ROW)
        at = (_LEFT + across * _ACROSS, (2 - down) * _DOWN + _BOTTOM)
        name = "the largest error" if share == 1 else f"larger error than {share:.0%}"
        _panel(drawn, at, whole[row], (f"step ahead: {name}", "value" if not across else ""))
    means = errors.mean(0)
    _panel(drawn, (_LEFT, _BOTTOM), np.concatenate([np.full_like(means[:1], np.nan), means]),
           ("step ahead: all rows", "mean absolute error"))  # fmt: skip
    return drawn


def _panel(drawn: Figure, at: tuple[float, float], values: Floats, names: tuple[str, str]) -> None:
    """Lines [4, H] over the steps ahead, in the colours of `_LINES`; NaN is left out."""
    steps = np.arange(1, values.shape[1] + 1)
    finite = values[np.isfinite(values)]
    made = panel(
        drawn,
        Frame(*at, _WIDE, _HIGH),
        scale([1, len(steps)], whole=True, most=4),
        scale(finite.tolist(), most=4),
        x_label=names[0],
        y_label=names[1],
    )
    lines(
        drawn,
        [
            Drawn(*made.place(steps, line), color, 1.8 if not dashed else 1.2, dashed)
            for line, (_, color, dashed) in zip(values, _LINES, strict=True)
            if np.isfinite(line).any()
        ],
    )
