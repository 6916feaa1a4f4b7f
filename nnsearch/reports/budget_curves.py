"""Best-so-far curves of studies, by trials and by seconds of training. Knows no store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnsearch.reports.canvas import (
    PALETTE,
    QUIET,
    SMALL,
    TITLE,
    Figure,
    Floats,
    Legend,
    Words,
    boxes,
    figure,
    legend,
    readable,
    stroke,
    width_of,
    write,
)
from nnsearch.reports.panels import Frame, Panel, panel, scale
from nnsearch.study.spec import Direction

_LEFT, _BOTTOM, _WIDE, _HIGH, _BETWEEN = 62.0, 44.0, 300.0, 230.0, 84.0
_PALE = 0.18


@dataclass(frozen=True, slots=True)
class Course:
    """The best value after each trial of a study, and the seconds trained until then."""

    best: tuple[float, ...]
    seconds: tuple[float, ...]

    def after_trials(self, num_trials: int) -> float:
        """The best of the first so many trials; NaN where none of them completed."""
        return self.best[min(num_trials, len(self.best)) - 1] if self.best else float("nan")

    def after_seconds(self, seconds: float) -> float:
        """The best of the trials that so many seconds of training had brought to their end."""
        ended = int(np.searchsorted(self.seconds, seconds + 1e-9, side="right"))
        return self.best[ended - 1] if ended else float("nan")


def budget_curves(
    studies: Mapping[str, Sequence[Course]], *, metric: str, direction: Direction
) -> Figure:
    """One line a study; with several seeds their median, in a band from the worst to the best.

    On the left by trials, on the right by seconds of training, as far as every seed went.
    """
    labels = readable(list(studies), 34)
    room = max((width_of(label) for label in labels), default=0.0) + 46
    drawn = figure(_LEFT + 2 * _WIDE + _BETWEEN + 18 + room, _HIGH + 94)
    write(drawn, [Words("Best so far", 14, _HIGH + 74, "left")], size=TITLE, bold=True)
    write(drawn, [Words(_note(studies, direction), 14, _HIGH + 60, "left")],
          size=SMALL, color=QUIET)  # fmt: skip
    values = [each for found in studies.values() for course in found for each in course.best]
    up = scale(values, may_log=True)
    most = max((len(each.best) for found in studies.values() for each in found), default=1)
    longest = max((t for found in studies.values() for each in found for t in each.seconds[-1:]),
                  default=1.0)  # fmt: skip
    frames = [Frame(_LEFT + k * (_WIDE + _BETWEEN), _BOTTOM, _WIDE, _HIGH) for k in (0, 1)]
    trials = panel(drawn, frames[0], scale([1, most], whole=True), up,
                   x_label="trials", y_label=metric)  # fmt: skip
    times = panel(drawn, frames[1], scale([0, longest]), up,
                  x_label="seconds of training", y_label=metric)  # fmt: skip
    for place, found in enumerate(studies.values()):
        color = PALETTE[place % len(PALETTE)]
        by_trials = np.arange(1, min((len(each.best) for each in found), default=0) + 1.0)
        curves = [[each.after_trials(int(t)) for t in by_trials] for each in found]
        _draw(trials, drawn, by_trials, np.array(curves), color=color)
        end = min((each.seconds[-1] if each.seconds else 0.0 for each in found), default=0.0)
        by_seconds = np.unique([t for each in found for t in each.seconds if t <= end])
        curves = [[each.after_seconds(t) for t in by_seconds] for each in found]
        _draw(times, drawn, by_seconds, np.array(curves), color=color)
    entries = [Legend(label, PALETTE[k % len(PALETTE)]) for k, label in enumerate(labels)]
    legend(drawn, entries, frames[1].left + _WIDE + 18, _BOTTOM + _HIGH - 8)
    return drawn


def _note(studies: Mapping[str, Sequence[Course]], direction: Direction) -> str:
    wish = "higher is better" if direction == "maximize" else "lower is better"
    if any(len(found) > 1 for found in studies.values()):
        return f"{wish}; a band reaches from the worst to the best seed, its line is the median"
    return f"{wish}; one seed each, so there is no band: another seed draws another line"


def _draw(made: Panel, drawn: Figure, xs: Floats, curves: Floats, *, color: str) -> None:
    """Steps through the median of the curves [S, N], over a band where there are several."""
    if not curves.size:
        return
    is_there = np.isfinite(curves).all(axis=0)
    if not is_there.any():
        return
    xs, curves = xs[is_there], curves[:, is_there]
    at, middle = made.place(xs, np.median(curves, axis=0))
    if len(curves) > 1:
        _, low = made.place(xs, curves.min(axis=0))
        _, high = made.place(xs, curves.max(axis=0))
        corners = np.column_stack((at[:-1], low[:-1], np.diff(at), (high - low)[:-1]))
        shares = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        boxes(drawn, corners, [(*shares, _PALE)] * len(corners))
    steps = (np.repeat(at, 2)[1:], np.repeat(middle, 2)[:-1]) if len(at) > 1 else (at, middle)
    stroke(drawn, *steps, color=color, width=1.8)
    stroke(drawn, at[-1:], middle[-1:], color=color, width=0, marker="o")
