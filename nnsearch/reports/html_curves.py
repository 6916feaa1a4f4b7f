"""Learning curves: the winner's losses and objective, and it among the other trials. Pure."""

from collections.abc import Sequence

import numpy as np

from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_axes import value_scale
from nnsearch.reports.html_content import Report
from nnsearch.reports.html_markup import Html, figure, joined, section, table, tag
from nnsearch.reports.panels import scale
from nnsearch.reports.tables import number

MOST_LINES = 120
_PARTS = {"train": "line-b", "valid": "line-a"}


def curves(report: Report) -> Html:
    """A chart of the loss, one of the objective's metric, and one with every trial."""
    title = "How the winner learned"
    if report.best is None or not report.epochs:
        return section("curves", title, tag("p", "No trial has completed."))
    names = list(dict.fromkeys(("loss", report.objective.metric)))
    charts = [_history(report, name) for name in names]
    return section("curves", title, tag("div", *charts, _among(report), class_="grid"))


def _history(report: Report, name: str) -> Html:
    assert report.best is not None  # noqa: S101 - the caller's promise
    epochs = [each.epoch for each in report.epochs]
    lines = {
        part: [each.metrics.get(f"{part}/{name}", float("nan")) for each in report.epochs]
        for part in _PARTS
    }
    lines = {part: line for part, line in lines.items() if np.isfinite(line).any()}
    values = [value for line in lines.values() for value in line]
    up = scale(values, may_log=True, most=5)
    plot = svg.Plot(scale(epochs, whole=True), up, left=svg.room_for(up))
    kept = report.best.epoch
    at = float(plot.across(kept))
    parts = [
        svg.axes(plot, "epoch", name),
        svg.straight((at, plot.top), (at, plot.height - plot.bottom), "line-guide"),
    ]
    for part, line in lines.items():
        parts.append(svg.line(plot, epochs, line, _PARTS[part], told=part))
        if len(epochs) == 1:
            look = _PARTS[part].replace("line", "dot")
            parts.append(svg.dot(float(plot.across(epochs[0])), float(plot.up(line[0])), look))
    shown = [(_PARTS[part], "validation" if part == "valid" else part) for part in lines]
    rows = [
        {"epoch": epoch, **{part: line[place] for part, line in lines.items()}}
        for place, epoch in enumerate(epochs)
    ]
    ends = "; ".join(f"{part} ends at {number(line[-1])}" for part, line in lines.items())
    label = f"{name} by epoch: {ends}; the weights of epoch {kept} were kept"
    legend = svg.legend([*shown, ("line-guide", f"kept: epoch {kept}")])
    return figure(
        f"Learning curve: {name}",
        joined([svg.svg(label, plot.width, plot.height, *parts), legend]),
        note=_gap(name, lines, epochs, kept),
        numbers=table(rows, caption=f"{name} by epoch"),
    )


def _gap(name: str, lines: dict[str, list[float]], epochs: Sequence[int], kept: int) -> str:
    if set(lines) != set(_PARTS) or kept not in epochs:
        return f"At epoch {kept} the weights were kept."
    train, valid = (lines[part][epochs.index(kept)] for part in _PARTS)
    return f"At the kept epoch {number(train)} on train, {number(valid)} on validation ({name})."


def _among(report: Report) -> Html:
    """The objective by epoch of every trial, the winner on top."""
    assert report.best is not None  # noqa: S101 - the caller's promise
    trials = [each for each in report.trials if each.values]
    best = report.best.trial
    trials = sorted(trials, key=lambda each: (each.number == best, each.number))[-MOST_LINES:]
    up = value_scale(report, [each for each in report.trials if each.value is not None])
    last = max(max(each.values) for each in trials)
    plot = svg.Plot(scale([1, last], whole=True), up, left=svg.room_for(up))
    parts = [svg.axes(plot, "epoch", report.objective.metric)]
    ends = (10**up.low, 10**up.high) if up.is_log else (up.low, up.high)
    for each in trials:
        epochs = sorted(each.values)
        values = np.clip([each.values[epoch] for epoch in epochs], *ends)
        look = "line-best" if each.number == best else "line-faint"
        told = f"trial {each.number}, {each.state}"
        parts.append(svg.line(plot, epochs, values, look, told=told))
    label = f"{report.objective.key} by epoch of {len(trials)} trials"
    shown = [("line-best", f"the winner, trial {best}"), ("line-faint", "the other trials")]
    return figure(
        f"Every trial: {report.objective.metric}",
        joined([svg.svg(label, plot.width, plot.height, *parts), svg.legend(shown)]),
        note="On validation. What lies beyond the axis runs along its end.",
    )
