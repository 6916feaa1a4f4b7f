"""A series with what each of its steps added to the answer, drawn below it. Pure."""

from dataclasses import replace

import numpy as np

from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_content import Sight, Trace
from nnsearch.reports.html_markup import Html, figure, joined, table, tag
from nnsearch.reports.panels import scale
from nnsearch.reports.tables import number

# Of many channels those that weigh most are drawn; the numbers have them all.
MOST_CHANNELS = 3
MOST_BARS = 60
FOR, AGAINST = "dot-b", "dot-a"
_NAME, _CURVE, _BARS, _GAP, _BOTTOM = 15.0, 44.0, 30.0, 8.0, 36.0
_SIDE = 12.0
_LEGEND = ((FOR, "speaks for the answer"), (AGAINST, "speaks against it"))


def series_figures(sights: tuple[Sight, ...]) -> Html:
    """One chart for each of the series, side by side where there is room."""
    drawn = tag("div", *map(_figure, sights), class_="grid")
    return joined([svg.legend(_LEGEND), drawn])


def _figure(sight: Sight) -> Html:
    said = f"Said {sight.answer}"
    if not sight.is_right or sight.truth != sight.answer:
        said = f"{said}, is {sight.truth}"
    traces = sorted(sight.traces, key=lambda each: -float(np.abs(each.weights).sum()))
    shown = traces[:MOST_CHANNELS]
    left_out = len(traces) - len(shown)
    more = f"; the {len(shown)} of {len(traces)} channels that weigh most" if left_out else ""
    rows = [
        {
            "channel": each.name,
            "sum": float(np.sum(each.weights)),
            "for": float(np.clip(each.weights, 0, None).sum()),
            "against": float(np.clip(each.weights, None, 0).sum()),
        }
        for each in traces
    ]
    return figure(
        said,
        _drawing(sight, shown),
        note=f"Row {sight.row}{more}.",
        numbers=table(rows, caption=f"Row {sight.row}: what each channel adds to the answer"),
    )


def _drawing(sight: Sight, shown: list[Trace]) -> Html:
    num_steps = len(shown[0].values)
    bars = [_bars(np.asarray(each.weights)) for each in shown]
    most = max(float(np.abs(each).max()) for each in bars) or 1.0
    steps = replace(scale([0, num_steps], whole=True, most=5), low=0, high=num_steps)
    each_height = _NAME + _CURVE + _BARS + _GAP
    height = each_height * len(shown) + _BOTTOM
    plot = svg.Plot(steps, scale([0, 1]), height=height, left=_SIDE, right=_SIDE)
    floor = height - _BOTTOM
    parts = []
    for at, text in zip(plot.across(svg.ticks_of(steps)).tolist(), steps.labels, strict=True):
        parts.append(svg.straight((at, 0), (at, floor), "grid"))
        parts.append(svg.words(text, at, floor + 14))
    for place, (trace, weights) in enumerate(zip(shown, bars, strict=True)):
        top = each_height * place
        parts.append(_curve(plot, trace, top))
        parts.append(_weights(plot, weights / most, top + _NAME + _CURVE + _BARS / 2))
    parts.append(svg.words("step", plot.width / 2, height - 6, class_="name"))
    heaviest = int(np.argmax(np.abs(shown[0].weights)))
    label = (
        f"Row {sight.row}, said {sight.answer}: the most weight is on {shown[0].name} at step"
        f" {heaviest}"
    )
    return svg.svg(label, plot.width, height, *parts)


def _curve(plot: svg.Plot, trace: Trace, top: float) -> Html:
    """The channel's values, with its name and its ends above; a gap where a value is missing."""
    values = np.asarray(trace.values)
    present = values[np.isfinite(values)]
    low, high = (float(present.min()), float(present.max())) if len(present) else (0.0, 1.0)
    share = (
        (values - low) / (high - low) if high > low else np.where(np.isfinite(values), 0.5, values)
    )
    ups = top + _NAME + 3 + (1 - share) * (_CURVE - 6)
    across = plot.across(np.arange(len(values)) + 0.5)
    line = svg.path(zip(across.tolist(), ups.tolist(), strict=True), "trace")
    ends = f"{svg.cut(trace.name, 30)}: {number(low)} to {number(high)}"
    return joined(
        [
            tag("g", line, stroke="currentColor", stroke_width="1.6", stroke_linejoin="round"),
            svg.words(ends, plot.left, top + 11, anchor="start", class_="name halo"),
        ]
    )


def _weights(plot: svg.Plot, shares: np.ndarray, middle: float) -> Html:
    """Bars up for the answer and down against it, as long as they weigh."""
    edges = plot.left + np.linspace(0, 1, len(shares) + 1) * (plot.width - plot.left - plot.right)
    parts = [svg.straight((edges[0], middle), (edges[-1], middle), "axis")]
    for place, each in enumerate(shares.tolist()):
        high = abs(each) * _BARS / 2
        if high >= 0.3:  # noqa: PLR2004 - points; less is not seen
            top = middle - high if each > 0 else middle
            wide = max(float(edges[place + 1] - edges[place]) - 0.6, 0.8)
            class_ = FOR if each > 0 else AGAINST
            parts.append(svg.box(float(edges[place]), top, wide, high, class_=class_))
    return joined(parts)


def _bars(weights: np.ndarray) -> np.ndarray:
    """The weights, of many steps the sums of neighbours."""
    edges = np.linspace(0, len(weights), min(MOST_BARS, len(weights)) + 1).round().astype(int)
    return np.add.reduceat(weights, edges[:-1])
