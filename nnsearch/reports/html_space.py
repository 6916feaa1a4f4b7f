"""Every trial at once, and each parameter alone, against the objective. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_axes import Axis, axis_of, value_axis, value_scale
from nnsearch.reports.html_content import Report, Trial
from nnsearch.reports.html_markup import Html, figure, joined, section, tag
from nnsearch.reports.panels import Scale
from nnsearch.reports.tables import number

MOST_LINES = 500
_STEP, _TOP, _SIDE = 58.0, 34.0, 14.0
_AT_END = 0.04
# Where the range of a branch's own parameter ends; beyond it lie trials that have none.
_HELD, _NONE = 0.86, "\N{EN DASH}"


def parallel(report: Report) -> Html:
    """Every trial as a line through its parameters, one axis each; the best are drawn on top."""
    names = [name for name in report.ranges if any(name in each.params for each in report.trials)]
    title = "Every trial at once"
    if not names or not report.complete:
        return section("parallel", title, tag("p", "There is nothing to show yet."))
    best = {each.number for each in report.complete[: max(1, len(report.complete) // 10)]}
    axes = [*(_with_none(report, axis_of(report, name)) for name in names), value_axis(report)]
    shown = [("line-best", "the winner"), ("line-a", f"the best tenth ({len(best)} trials)")]
    shown = [*shown[: 1 + (len(best) > 1)], ("line-faint", "the other trials")]
    drawn = figure(
        "Parameters and value of each trial",
        joined([svg.fitting(partial(_parallel, report, axes, best)), svg.legend(shown)]),
        note=(
            "Each trial is a line from the top to the bottom, through its value of each parameter."
            " At the dash on the right are those whose branch has no such parameter. The numbers"
            " are in the table of all trials above."
        ),
    )
    return section("parallel", title, drawn)


def slices(report: Report) -> Html:
    """The objective against each parameter alone."""
    order = [each.name for each in report.importance.weights] or list(report.ranges)
    names = [name for name in order if any(name in each.params for each in report.complete)]
    charts = [_slice(report, name) for name in names]
    if not charts:
        return section("slices", "Each parameter alone", tag("p", "There is nothing to show yet."))
    grid = tag("div", *charts, class_="grid")
    told = (
        "Complete trials only; those beyond an axis are drawn at its end. A pattern here may be"
        " another parameter's doing."
    )
    return section("slices", "Each parameter alone", tag("p", told), grid)


def _parallel(report: Report, axes: Sequence[Axis], best: set[int], width: float) -> Html:
    """Axes lie across, one below the other, so that names and lines have room on a phone."""
    inside = width - 2 * _SIDE
    trials = [each for each in report.trials if each.value is not None]
    trials.sort(key=lambda each: (_is_winner(report, each), each.number in best, -each.number))
    parts: list[Html] = []
    for each in trials[-MOST_LINES:]:
        points = [
            (_SIDE + inside * _place(axis, each), _TOP + _STEP * row)
            for row, axis in enumerate(axes)
        ]
        is_best = each.number in best
        look = "line-a thin" if is_best else "line-faint"
        told = f"trial {each.number}: {report.objective.metric} {number(each.value)}"
        winner = _is_winner(report, each)
        parts.append(svg.path(points, "line-best" if winner else look, told=told))
    parts += [_level(axis, _TOP + _STEP * row, width) for row, axis in enumerate(axes)]
    label = f"{len(trials)} trials as lines through {len(axes) - 1} parameters and the objective"
    return svg.svg(label, width, _TOP + _STEP * (len(axes) - 1) + 30, *parts)


def _with_none(report: Report, axis: Axis) -> Axis:
    """The same axis with room for the trials of other branches, where there are any."""
    if all(axis.name in each.params for each in report.trials):
        return axis
    return replace(axis, ticks=(*((_HELD * at, text) for at, text in axis.ticks), (1.0, _NONE)))


def _place(axis: Axis, trial: Trial) -> float:
    has_none = axis.ticks[-1:] == ((1.0, _NONE),)
    found = axis.place(trial)
    return found if not has_none else 1.0 if np.isnan(found) else _HELD * found


def _is_winner(report: Report, trial: Trial) -> bool:
    return report.best is not None and trial.number == report.best.trial


def _level(axis: Axis, at: float, width: float) -> Html:
    """One axis with its name and ticks."""
    inside = width - 2 * _SIDE
    name = svg.cut(axis.name, int(inside // svg.LETTER) - 4)
    parts = [
        svg.straight((_SIDE, at), (width - _SIDE, at), "axis"),
        svg.words(name, _SIDE, at - 9, anchor="start", class_="name halo"),
    ]
    for place, text in axis.ticks:
        x = _SIDE + inside * place
        parts.append(svg.straight((x, at - 3), (x, at + 3), "axis"))
        anchor = "start" if place < _AT_END else "end" if place > 1 - _AT_END else "middle"
        parts.append(svg.words(text, x, at + 15, anchor=anchor, class_="halo"))
    return joined(parts)


def _slice(report: Report, name: str) -> Html:
    axis = axis_of(report, name)
    trials = [each for each in report.complete if name in each.params]
    up = value_scale(report, trials)
    ticks = tuple(place for place, _ in axis.ticks)
    across = Scale(-0.05, 1.05, ticks, tuple(text for _, text in axis.ticks))
    bottom = 42.0 if axis.note else 26.0
    plot = svg.Plot(across, up, height=178 + bottom, left=svg.room_for(up), bottom=bottom)
    parts = [svg.axes(plot, axis.note, report.objective.metric)]
    for each in reversed(trials[:MOST_LINES]):
        is_winner = _is_winner(report, each)
        x, y = float(plot.across(axis.place(each))), float(plot.up(each.value or 0.0))
        y = min(max(y, plot.top), plot.height - plot.bottom)
        told = f"trial {each.number}: {number(each.params[name])}, {number(each.value)}"
        parts.append(svg.dot(x, y, "dot-best" if is_winner else "dot-a", told=told,
                             size=5.0 if is_winner else 3.2))  # fmt: skip
    best = trials[0]
    label = (
        f"{report.objective.metric} against {name} of {len(trials)} trials; the best of them has"
        f" {number(best.params[name])}"
    )
    return figure(name, svg.svg(label, plot.width, plot.height, *parts))
