"""How a classifier answers: confusions, the two curves, and whether it is as sure as it may be.

Pure: probabilities and class indices in, markup out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnsearch.reports import html_svg as svg
from nnsearch.reports.calibration import Calibration, calibration
from nnsearch.reports.curves import Curve, macro, precision_recall, roc
from nnsearch.reports.html_content import Scored
from nnsearch.reports.html_markup import Html, figure, joined, table, tag
from nnsearch.reports.panels import scale, shares
from nnsearch.tasks.metrics import BINARY, confusion

Floats = NDArray[Any]
Points = Callable[[Floats, Floats, str], Curve]
PARTS = {"test": "test", "valid": "validation"}
# Numbers have room in a table of so many classes, colours in a picture of so many.
MOST_IN_TABLE, MOST_IN_PICTURE = 12, 200
MOST_CURVES, MOST_POINTS, NUM_PAIRS = 10, 150, 10
# A gap of fewer deviations may be chance, and a smaller one is not worth a word.
RARE, SMALL_GAP = 1.96, 0.01


def classes(scored: Scored, labels: Sequence[str], *, is_calibrated: bool = True) -> Html:
    """Confusion matrix and curves of one split's predictions, and how true probabilities are."""
    part = PARTS[scored.part]
    answers = scored.predictions.argmax(axis=1)
    counts = confusion(answers, scored.targets, len(labels))
    curves = tag(
        "div",
        _curves(scored, labels, roc, "ROC"),
        _curves(scored, labels, precision_recall, "Precision-recall"),
        _calibrated(scored, labels) if is_calibrated else None,
        class_="grid",
    )
    told = f"{len(scored.targets)} rows of the {part} split, by the winner."
    return joined([tag("p", told), _matrix(counts, labels), curves])


def _matrix(counts: NDArray[np.int64], labels: Sequence[str]) -> Html:
    right, total = int(np.trace(counts)), int(counts.sum())
    note = f"{right} of {total} right, on the diagonal."
    pairs = _confused(counts, labels)
    if len(labels) <= MOST_IN_TABLE:
        drawing = tag("div", _matrix_table(counts, labels), pairs, class_="beside")
        return figure("Confusion matrix", drawing, note=note)
    if len(labels) <= MOST_IN_PICTURE:
        drawing = tag("div", _matrix_picture(counts, labels), pairs, class_="beside")
        return figure("Confusion matrix", drawing, note=note)
    return figure("Confusions", pairs, note=f"{right} of {total} right.")


def _matrix_table(counts: NDArray[np.int64], labels: Sequence[str]) -> Html:
    totals = np.maximum(counts.sum(axis=1), 1)
    # The whole label is in the row's head; a column's is cut where there are many.
    most = 14 if len(labels) <= 5 else 4  # noqa: PLR2004 - as many have room beside each other
    head = [tag("th", svg.cut(label, most), scope="col", title=label) for label in labels]
    rows = []
    for true, label in enumerate(labels):
        cells = []
        for answer in range(len(labels)):
            count = int(counts[true, answer])
            share = count / totals[true]
            # A share of a few per cent is what one looks for among the faults: the root lifts it.
            depth = 0.55 * share if true == answer else 0.15 + 0.4 * share**0.5
            kind = "right" if true == answer else "wrong"
            cells.append(
                tag("td", str(count) if count else tag("span", "0", class_="none"),
                    class_=f"cell {kind}" if count else "cell", style=f"--depth:{depth:.0%}")
            )  # fmt: skip
        shown = svg.cut(label, 22)
        rows.append(tag("tr", tag("th", shown, scope="row", title=label), *cells))
    made = tag(
        "table",
        tag("caption", "Rows are the truth, columns the answers"),
        tag("thead", tag("tr", tag("td", ""), *head)),
        tag("tbody", *rows),
        class_="matrix",
    )
    return tag("div", made, class_="scroll", tabindex="0", role="region",
               aria_label="Confusion matrix")  # fmt: skip


def _matrix_picture(counts: NDArray[np.int64], labels: Sequence[str]) -> Html:
    side, num = svg.WIDTH, len(labels)
    cell = (side - 2) / num
    totals = np.maximum(counts.sum(axis=1), 1)
    cells = [svg.box(1, 1, side - 2, side - 2, class_="frame")]
    for true, answer in np.argwhere(counts).tolist():
        share = counts[true, answer] / totals[true]
        depth = share if true == answer else share**0.5
        told = f"{labels[true]} taken for {labels[answer]}: {counts[true, answer]}"
        kind = "fill-right" if true == answer else "fill-wrong"
        cells.append(
            svg.box(1 + answer * cell, 1 + true * cell, cell, cell, class_=kind, told=told,
                    fill_opacity=f"{max(depth, 0.08):.2f}")
        )  # fmt: skip
    label = f"Confusion matrix of {num} classes; the most frequent confusions are in the table"
    return svg.svg(label, side, side, *cells)


def _confused(counts: NDArray[np.int64], labels: Sequence[str]) -> Html:
    off = counts.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:NUM_PAIRS]
    rows: list[dict[str, object]] = []
    for true, answer in (divmod(int(place), len(labels)) for place in order):
        if off[true, answer]:
            share = off[true, answer] / max(int(counts[true].sum()), 1)
            rows.append(
                {"truth": labels[true], "answer": labels[answer],
                 "rows": int(off[true, answer]), "of the truth": f"{share:.1%}"}
            )  # fmt: skip
    if not rows:
        return tag("p", "Not one confusion.")
    return table(rows, caption="The most frequent confusions")


def _curves(scored: Scored, labels: Sequence[str], points: Points, name: str) -> Html:
    is_roc = points is roc
    axes = ("false positive rate", "true positive rate") if is_roc else ("recall", "precision")
    found = _by_class(scored, labels, points)
    known = [each for each in found if np.isfinite(each.area)]
    if not known:
        return figure(f"{name} curve", tag("p", "One class only: there is no curve."))
    worst = min(known, key=lambda each: each.area)
    plot = svg.Plot(shares(), shares(), height=300)
    parts = [svg.axes(plot, *axes)]
    if is_roc:
        parts.append(svg.line(plot, [0, 1], [0, 1], "line-guide"))
    shown: list[tuple[str, str]]
    if len(labels) == BINARY:
        parts.append(_drawn(plot, known[0], "line-a"))
        shown = [("line-a", f"{labels[1]} ({_area(known[0])})")]
    else:
        mean = macro(known, label="mean")
        others = known if len(known) <= MOST_CURVES else []
        parts += [_drawn(plot, each, "line-faint") for each in others if each is not worst]
        parts += [_drawn(plot, worst, "line-b"), _drawn(plot, mean, "line-a")]
        shown = [
            ("line-a", f"mean of {len(known)} classes ({_area(mean)})"),
            ("line-b", f"the worst, {svg.cut(worst.label, 30)} ({_area(worst)})"),
            *([("line-faint", "the other classes")] * bool(others)),
        ]
    what = "area under the curve" if is_roc else "average precision"
    label = f"{name} curve: " + "; ".join(text for _, text in shown)
    rows = [{"class": each.label, what: each.area} for each in sorted(known, key=lambda e: e.area)]
    return figure(
        f"{name} curve",
        joined([svg.svg(label, plot.width, plot.height, *parts), svg.legend(shown)]),
        note=f"In brackets the {what}.",
        numbers=table(rows, caption=f"{name}: {what} by class, the worst first"),
    )


def _by_class(scored: Scored, labels: Sequence[str], points: Points) -> list[Curve]:
    if len(labels) == BINARY:
        return [points(scored.predictions[:, 1], scored.targets == 1, labels[1])]
    return [
        points(scored.predictions[:, place], scored.targets == place, label)
        for place, label in enumerate(labels)
    ]


def _drawn(plot: svg.Plot, curve: Curve, class_: str) -> Html:
    """A curve of at most so many points; more are no finer than a pixel."""
    count = len(curve.xs)
    places = np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(np.int64))
    told = f"{curve.label}: {_area(curve)}"
    return svg.line(plot, curve.xs[places], curve.ys[places], class_, told=told)


def _area(curve: Curve) -> str:
    # 0.9999 and not 1 where one row is out of order.
    return f"{curve.area if curve.area == 1 else min(curve.area, 0.9999):.4f}"


def _calibrated(scored: Scored, labels: Sequence[str]) -> Html:
    """Said against so: of two classes the second's probability, of more the answer's own."""
    if not len(scored.targets):
        return figure("Calibration", tag("p", "There are no rows."))
    if len(labels) == BINARY:
        found = calibration(scored.predictions[:, 1], scored.targets == 1)
        axes = (f"probability of {svg.cut(labels[1], 18)}", "share that were")
    else:
        answers = scored.predictions.argmax(axis=1)
        found = calibration(scored.predictions.max(axis=1), answers == scored.targets)
        axes = ("probability of the answer", "share of right answers")
    plot = svg.Plot(shares(), shares(), height=300, bottom=80)
    parts = [svg.axes(plot, *axes), svg.line(plot, [0, 1], [0, 1], "line-guide")]
    most = max(each.num_rows for each in found.bins)
    counted = scale([0, most], whole=True)
    floor = plot.height - plot.bottom
    for each in found.bins:
        x = float(plot.across(each.said))
        low, high = plot.up([each.low, each.high]).tolist()
        told = f"said {each.said:.2f}, so {each.share:.2f}, {each.num_rows} rows"
        parts.append(svg.whisker((x, low), (x, high), "line-a thin"))
        parts.append(svg.dot(x, float(plot.up(each.share)), "dot-a", told=told, size=4.2))
        tall = 20 * each.num_rows / max(counted.high, 1)
        left, right = plot.across([each.said - 0.03, each.said + 0.03]).tolist()
        parts.append(svg.box(left, floor + 44 - tall, right - left, tall, class_="fill-a"))
    parts.append(svg.words("rows", plot.left - 6, floor + 44, anchor="end"))
    rows = [
        {"said": each.said, "so": each.share, "low": each.low, "high": each.high,
         "rows": each.num_rows}
        for each in found.bins
    ]  # fmt: skip
    label = f"Calibration: the mean gap is {found.error:.3f}"
    return figure(
        "Calibration",
        svg.svg(label, plot.width, plot.height, *parts),
        note=f"{_sureness(found)} On the dashed line it is as often right as it says.",
        numbers=table(rows, caption="What was said and what was so"),
    )


def _sureness(found: Calibration) -> str:
    start = f"The mean gap (ECE) is {found.error:.3f}."
    if abs(found.z) < RARE or abs(found.excess) < SMALL_GAP:
        return f"{start} No sign that it is too sure, or not sure enough."
    side = "more" if found.excess > 0 else "less"
    return f"{start} On average it says {abs(found.excess):.1%} {side} than is so."
