"""Answers that are pictures or series, and all measures of the winner. Pure."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnsearch.reports import html_svg as svg
from nnsearch.reports.forecasts import LINES, Chosen, chosen
from nnsearch.reports.html_content import Examples, Report
from nnsearch.reports.html_markup import Html, figure, joined, picture, table, tag
from nnsearch.reports.panels import scale
from nnsearch.reports.specimens import PER_LINE, tiles_of
from nnsearch.tasks.shown import NOTE

# Tiles are about so many pixels wide and high: small ones are enlarged by a whole number.
_SIDE, _GAP = 40, 2
_GREY_AXES = 2
_LOOKS = ("line-a", "line-b", "line-c thin", "line-guide")
# Of one step there is no line.
_DOTS = dict(zip(_LOOKS, ("dot-a", "dot-b", "dot-c", "dot-pruned"), strict=True))


def measures(report: Report) -> Html:
    """Every measure of the winner, on test rows if they were looked at."""
    tested, best = report.tested, report.best
    if tested is not None:
        told = f"All measures of the winner, on {tested.num_rows} rows of the test split."
        found = tested.metrics
    else:
        told = "All measures of the winner, on the validation rows."
        known = {} if best is None else best.metrics
        found = {name.removeprefix("valid/"): each for name, each in known.items()
                 if name.startswith("valid/")}  # fmt: skip
    ends = {} if tested is None else tested.intervals
    rows = [
        {"measure": name, "value": value,
         **({"from": ends[name][0], "to": ends[name][1]} if name in ends else {})}
        for name, value in found.items()
    ]  # fmt: skip
    caption = "All measures; from and to are the ends of the 95 % interval"
    return joined([tag("p", told), table(rows, caption=caption)])


def examples(found: Examples) -> Html:
    """Images in lines, and forecasts against the truth; nothing where there are neither."""
    shown = _images(found) if found.shown else None
    made = found.forecasts
    drawn = None if made is None else _forecasts(chosen(made.predictions, made.targets))
    return joined([shown, drawn])


def _images(found: Examples) -> Html:
    rows = []
    for name, images in found.shown.items():
        if name == NOTE:
            continue
        tiles = tiles_of(images)
        sheet = picture(_sheet(tiles), f"{name}: {len(tiles)} images") if tiles else None
        rows.append(tag("tr", tag("th", name, scope="row"), tag("td", sheet)))
    made = tag("table", tag("tbody", *rows), class_="sheets")
    note = str(found.shown.get(NOTE, "validation rows"))
    scrolled = tag("div", made, class_="scroll", tabindex="0", role="region", aria_label="Examples")
    return figure("Examples", scrolled, note=f"{note[:1].upper()}{note[1:]}.")


def _sheet(tiles: list[NDArray[np.uint8]]) -> bytes:
    """A PNG of images [H, W] or [H, W, 3], so many to a line; between them it is transparent."""
    side = max(tiles[0].shape[:2])
    every, times = -(-side // (2 * _SIDE)), max(1, _SIDE // side)
    large = [each[::every, ::every].repeat(times, 0).repeat(times, 1) for each in tiles]
    high, wide = large[0].shape[:2]
    num_lines, num_columns = -(-len(large) // PER_LINE), min(len(large), PER_LINE)
    sheet = np.zeros((num_lines * (high + _GAP), num_columns * (wide + _GAP), 4), np.uint8)
    for place, each in enumerate(large):
        down, across = divmod(place, PER_LINE)
        inside = (slice(down * (high + _GAP), down * (high + _GAP) + high),
                  slice(across * (wide + _GAP), across * (wide + _GAP) + wide))  # fmt: skip
        sheet[(*inside, slice(3))] = each[..., None] if each.ndim == _GREY_AXES else each
        sheet[(*inside, 3)] = 255
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG", optimize=True)
    return file.getvalue()


def _forecasts(found: Chosen) -> Html:
    names = [(look, name) for look, (name, _, _) in zip(_LOOKS, LINES, strict=True)]
    charts = [_chart(f"A {name}" if not name.startswith("the") else f"T{name[1:]}", "value", lines)
              for name, lines in found.rows.items()]  # fmt: skip
    errors = np.concatenate([np.full_like(found.errors[:1], np.nan), found.errors])
    charts.append(_chart("All rows", "mean absolute error", errors))
    told = (
        f"Six of {found.num_rows} validation rows, from nearly the best to the worst, then the mean"
        " error of all of them."
    )
    grid = tag("div", *charts, class_="grid")
    return figure("Forecasts", joined([svg.legend(names), grid]), note=told)


def _chart(title: str, y_label: str, lines: NDArray[np.float64]) -> Html:
    """Lines [4, H] over the steps ahead; one of NaN is left out."""
    steps = np.arange(1, lines.shape[1] + 1)
    up = scale(lines[np.isfinite(lines)].tolist(), most=4)
    plot = svg.Plot(scale([1, len(steps)], whole=True, most=5), up, height=200,
                    left=svg.room_for(up))  # fmt: skip
    drawn = [(look, name, line) for look, (name, _, _), line in zip(_LOOKS, LINES, lines,
             strict=True) if np.isfinite(line).any()]  # fmt: skip
    parts = [svg.axes(plot, "steps ahead", y_label)]
    parts += [svg.line(plot, steps, line, look, told=name) for look, name, line in drawn]
    if len(steps) == 1:
        parts += [
            svg.dot(float(plot.across(1)), float(plot.up(line[0])), _DOTS[look], told=name)
            for look, name, line in drawn
        ]
    rows = [
        {"steps ahead": int(step), **{name: float(line[place]) for _, name, line in drawn}}
        for place, step in enumerate(steps)
    ]
    label = f"{title}: " + ", ".join(name for _, name, _ in drawn)
    return figure(title, svg.svg(label, plot.width, plot.height, *parts),
                  numbers=table(rows, caption=f"{title}: {y_label}"))  # fmt: skip
