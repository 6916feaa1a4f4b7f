"""How a regression answers: predicted against true, and its errors. Pure."""

from dataclasses import replace

import numpy as np

from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_content import Array, Scored
from nnsearch.reports.html_markup import Html, figure, joined, table, tag
from nnsearch.reports.panels import scale
from nnsearch.reports.tables import number

PARTS = {"test": "test", "valid": "validation"}
MOST_DOTS = 1500
# Errors that differ by no more than rounding have one bar.
_SAME = 1e-9
_QUANTILES = {"least": 0.0, "5 %": 0.05, "quarter": 0.25, "middle": 0.5,
              "three quarters": 0.75, "95 %": 0.95, "most": 1.0}  # fmt: skip


def numbers(scored: Scored, target: str) -> Html:
    """Three charts of one split's predictions."""
    predicted = np.asarray(scored.predictions, np.float64).reshape(-1)
    true = np.asarray(scored.targets, np.float64)
    is_finite = np.isfinite(predicted) & np.isfinite(true)
    lost = int((~is_finite).sum())
    predicted, true = predicted[is_finite], true[is_finite]
    told = f"{len(true)} rows of the {PARTS[scored.part]} split, by the winner."
    told += f" {lost} are not finite and left out." if lost else ""
    if not len(true):
        return tag("p", told)
    charts = (_against(predicted, true, target), _errors(predicted, true), _bars(predicted - true))
    return joined([tag("p", told), tag("div", *charts, class_="grid")])


def _against(predicted: Array, true: Array, target: str) -> Html:
    both = scale([*predicted.tolist(), *true.tolist()], most=5)
    plot = svg.Plot(both, both, height=320, left=svg.room_for(both))
    name = svg.cut(target, 24)
    parts = [svg.axes(plot, f"true {name}", f"predicted {name}")]
    parts.append(svg.line(plot, [both.low, both.high], [both.low, both.high], "line-guide"))
    parts += _dots(plot, true, predicted)
    share = float(np.corrcoef(predicted, true)[0, 1]) if np.ptp(predicted) and np.ptp(true) else 0.0
    groups = np.array_split(np.argsort(true, kind="stable"), min(10, len(true)))
    rows = [
        {
            "true, from": float(true[places[0]]),
            "to": float(true[places[-1]]),
            "rows": len(places),
            "mean true": float(true[places].mean()),
            "mean predicted": float(predicted[places].mean()),
        }
        for places in groups
    ]
    label = f"Predicted against true {target} of {len(true)} rows; correlation {share:.2f}"
    return figure(
        "Predicted against true",
        svg.svg(label, plot.width, plot.height, *parts),
        note=f"On the dashed line they are equal. Correlation {share:.2f}.",
        numbers=table(rows, caption="Rows in ten groups by their true value"),
    )  # fmt: skip


def _errors(predicted: Array, true: Array) -> Html:
    """Errors by what was predicted: a funnel or a bend is what the model has not learned."""
    errors = predicted - true
    ups = scale([*errors.tolist(), 0.0], most=5)
    plot = svg.Plot(scale(predicted.tolist(), most=5), ups, height=320, left=svg.room_for(ups))
    parts = [svg.axes(plot, "predicted", "predicted minus true")]
    parts.append(svg.line(plot, [plot.x.low, plot.x.high], [0, 0], "line-guide"))
    parts += _dots(plot, predicted, errors)
    label = f"Errors against predictions; their mean is {number(float(errors.mean()))}"
    return figure(
        "Errors by what was predicted",
        svg.svg(label, plot.width, plot.height, *parts),
        note="A funnel or a bend here is something that the model has not learned.",
    )


def _bars(errors: Array) -> Html:
    low, high = float(errors.min()), float(errors.max())
    if high - low <= _SAME * max(abs(low), abs(high)):
        low, high = low - (abs(low) or 1.0), high + (abs(high) or 1.0)
    num_bins = int(np.clip(len(errors) ** 0.5, 5, 40))
    counts, edges = np.histogram(errors, bins=num_bins, range=(low, high))
    ups = scale([0, int(counts.max())], whole=True, most=5)
    shown = [(tick, text) for tick, text in zip(ups.ticks, ups.labels, strict=True) if tick >= 0]
    ups = replace(ups, low=0.0, ticks=tuple(t for t, _ in shown), labels=tuple(s for _, s in shown))
    plot = svg.Plot(scale(edges.tolist(), most=5), ups, height=320, left=svg.room_for(ups))
    parts = [svg.axes(plot, "predicted minus true", "rows")]
    lefts, tops = plot.across(edges), plot.up(counts)
    floor = plot.height - plot.bottom
    for place, count in enumerate(counts.tolist()):
        told = f"{edges[place]:.4g} to {edges[place + 1]:.4g}: {count} rows"
        width = float(lefts[place + 1] - lefts[place]) - 1
        top = float(tops[place])
        parts.append(svg.box(float(lefts[place]), top, width, floor - top, class_="fill-a",
                             told=told))  # fmt: skip
    quantiles = {name: float(np.quantile(errors, at)) for name, at in _QUANTILES.items()}
    rows = [{"of the rows": name, "predicted minus true": each} for name, each in quantiles.items()]
    middle, spread = number(float(errors.mean())), number(float(errors.std()))
    return figure(
        "Errors",
        svg.svg(f"Histogram of errors: mean {middle}, deviation {spread}", plot.width, plot.height,
                *parts),
        note=f"Mean {middle}, deviation {spread}.",
        numbers=table(rows, caption="Quantiles of the errors"),
    )  # fmt: skip


def _dots(plot: svg.Plot, xs: Array, ys: Array) -> list[Html]:
    every = -(-len(xs) // MOST_DOTS) or 1
    across, up = plot.across(xs[::every]).tolist(), plot.up(ys[::every]).tolist()
    return [svg.dot(x, y, "dot-a light", size=3) for x, y in zip(across, up, strict=True)]
