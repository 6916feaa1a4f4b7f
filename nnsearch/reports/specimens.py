"""Examples to look at: pictures in rows, one below the other. Knows no trial and no task."""

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nnsearch.reports.canvas import (
    MINUS,
    PALETTE,
    QUIET,
    SMALL,
    TITLE,
    Figure,
    Words,
    boxes,
    figure,
    stroke,
    width_of,
    write,
)
from nnsearch.reports.panels import Frame, panel, scale, shares
from nnsearch.tasks.shown import NOTE, as_bytes

Pixels = NDArray[np.floating]

PER_LINE = 16
_COLOURS = 3
_IMAGE_AXES = 4
_SIDE, _GAP, _MARGIN = 32.0, 2.0, 14.0
_NUM_BINS = 40


def specimens(shown: Mapping[str, NDArray[np.generic]], title: str) -> Figure:
    """Images [M, H, W] or [M, C, H, W] of each name in a line, or in several where there are many.

    Bytes are shown as they are; other numbers of one name share a scale of grey, from the lowest to
    the highest. Three channels are red, green and blue. What is to know of them stands below the
    title.
    """
    named = {name: images for name, images in shown.items() if name != NOTE}
    note = str(shown[NOTE]) if NOTE in shown else ""
    left = _MARGIN + max((width_of(name) for name in named), default=0) + 8
    lines = [
        (name if not start else "", tiles[start : start + PER_LINE])
        for name, images in named.items()
        for tiles in [tiles_of(images)]
        for start in range(0, len(tiles), PER_LINE)
    ]
    most = max((len(tiles) for _, tiles in lines), default=1)
    head = 54 if note else 40
    height = head + len(lines) * (_SIDE + _GAP) + _MARGIN
    wide = max(left + most * (_SIDE + _GAP), _MARGIN + width_of(note))
    drawn = figure(wide + _MARGIN, height)
    write(drawn, [Words(title, _MARGIN, height - 22, "left")], size=TITLE, bold=True)
    write(drawn, [Words(note, _MARGIN, height - 38, "left")] if note else [])
    for number, (name, tiles) in enumerate(lines):
        top = head + number * (_SIDE + _GAP)
        if name:
            middle = height - top - _SIDE / 2 - 3
            write(drawn, [Words(name, left - 8, middle, "right")], color=QUIET)
        for place, tile in enumerate(tiles):
            _picture(drawn, tile, left + place * (_SIDE + _GAP), top)
    return drawn


def scores(predictions: Pixels, targets: NDArray[np.integer], labels: Sequence[str]) -> Figure:
    """How the second of two columns [N, 2] is spread, class by class, as shares of its rows."""
    high = 190.0
    drawn = figure(430, high + 100)
    write(drawn, [Words("Scores", _MARGIN, high + 80, "left")], size=TITLE, bold=True)
    counts = [int((targets == place).sum()) for place in range(len(labels))]
    parts = [f"{count} {label}" for count, label in zip(counts, labels, strict=True)]
    told = "; ".join([*parts, f"right of the dashed line a row is called {labels[1]}"])
    write(drawn, [Words(told.replace("-", MINUS), _MARGIN, high + 66, "left")], size=SMALL)
    edges = np.linspace(0, 1, _NUM_BINS + 1)
    found = [
        np.histogram(predictions[targets == place, 1], bins=edges)[0] / max(count, 1)
        for place, count in enumerate(counts)
    ]
    ups = scale([0.0, *np.concatenate(found).tolist()])
    made = panel(
        drawn, Frame(60, 46, 340, high), shares(), ups, x_label=f"score of {labels[1]}",
        y_label="share of the class",
    )  # fmt: skip
    half = 1 / (2 * _NUM_BINS)
    for place, heights in enumerate(found):
        # Side by side, for bars that cover each other cannot be told apart.
        lefts, tops = made.place(edges[:-1] + place * half, heights)
        rights, floor = made.place(edges[:-1] + (place + 1) * half, np.zeros(len(heights)))
        bars = np.column_stack((lefts, floor, rights - lefts, tops - floor))
        boxes(drawn, bars[heights > 0], PALETTE[place])
        name = Words(labels[place], 396, high + 40 - 12 * place, "right")
        write(drawn, [name], size=SMALL, color=PALETTE[place], bold=True)
    stroke(drawn, *made.place([0.5, 0.5], [ups.low, ups.high]), width=1, dashed=True)
    return drawn


def tiles_of(images: NDArray[np.generic]) -> list[NDArray[np.uint8]]:
    """Images [M, C, H, W] or [M, H, W] as bytes [H, W] or [H, W, 3]."""
    whole = images if images.dtype == np.uint8 else as_bytes(images)
    if whole.ndim == _IMAGE_AXES:
        has_colours = whole.shape[1] == _COLOURS
        whole = np.moveaxis(whole, 1, -1) if has_colours else whole[:, 0]
    return list(np.ascontiguousarray(whole))


def _picture(drawn: Figure, tile: NDArray[np.uint8], x: float, y: float) -> None:
    """One image at a point from the upper left, its pixels as they are."""
    from PIL import Image  # not loaded for the many trials that show none

    file = io.BytesIO()
    Image.fromarray(tile).save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    drawn.parts.append(
        f'<image x="{x:.1f}" y="{y:.1f}" width="{_SIDE:.0f}" height="{_SIDE:.0f}" '
        f'style="image-rendering: pixelated" href="data:image/png;base64,{data}"/>\n'
    )
