"""What the winner looks at: columns that are missed, what speaks for an answer. Pure."""

from collections.abc import Callable

from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_content import Feature, Interpretation, Report, Sight
from nnsearch.reports.html_markup import Html, figure, joined, picture, section, table, tag
from nnsearch.reports.html_series import series_figures
from nnsearch.reports.html_texts import text_figures
from nnsearch.reports.panels import scale
from nnsearch.reports.tables import number

TITLE = "What the winner looks at"
MOST_SHOWN = 16
_ROW, _TOP, _BOTTOM, _NAME = 30.0, 6.0, 42.0, 40


def interpretation(report: Report) -> Html:
    """Bars of a table's columns, or examples beside what their parts added to the answer."""
    found = report.interpretation
    if found is None:
        return section("interpretation", TITLE, tag("p", "No trial has completed."))
    if found.problem:
        return section("interpretation", TITLE, tag("p", found.problem))
    if found.kind == "permutation":
        return section("interpretation", TITLE, tag("p", _verdict(found)), _columns(found))
    return section("interpretation", TITLE, *_sights(found, has_classes=bool(report.labels)))


def _verdict(found: Interpretation) -> str:
    sure = [each for each in found.features if each.low > 0]
    unsure = len(found.features) - len(sure)
    if not sure:
        return (
            "No column by itself is missed beyond what chance may do: the model uses many that say"
            " the same, or little at all."
        )
    names = ", ".join(each.name for each in sure[:3])
    rest = f" Of the other {unsure} that cannot be said." if unsure else ""
    return (
        f"Without {names} it is surely worse ({len(sure)} of {len(found.features)} columns are"
        f" missed).{rest} Columns that say the same share their weight, and none of this says that"
        " a column causes the target."
    )


def _columns(found: Interpretation) -> Html:
    shown = found.features[:MOST_SHOWN]
    ends = [end for each in shown for end in (each.low, each.high)]
    height = _TOP + _ROW * len(shown) + _BOTTOM
    plot = svg.Plot(
        scale([*ends, 0.0], most=4), scale([0, 1]), height=height, left=14, top=_TOP, bottom=_BOTTOM
    )
    floor = height - _BOTTOM
    parts = []
    for at, text in zip(plot.across(svg.ticks_of(plot.x)).tolist(), plot.x.labels, strict=True):
        parts.append(svg.straight((at, plot.top), (at, floor), "grid"))
        parts.append(svg.words(text, at, floor + 16))
    zero = float(plot.across(0.0))
    parts.append(svg.straight((zero, plot.top), (zero, floor), "axis"))
    parts += [_bar(plot, place, each) for place, each in enumerate(shown)]
    middle = (plot.left + plot.width - plot.right) / 2
    parts.append(svg.words(f"loss of {found.metric}", middle, height - 8, class_="name"))
    label = f"Loss of {found.metric} without each column; the most by {shown[0].name}"
    numbers = [
        {"column": each.name, "loss": each.drop, "low": each.low, "high": each.high}
        for each in found.features
    ]
    left_out = len(found.features) - len(shown)
    more = f" {left_out} more are in the numbers." if left_out else ""
    return figure(
        f"Loss of {found.metric} when a column is shuffled",
        svg.svg(label, plot.width, height, *parts),
        note=(
            f"On {found.num_rows} validation rows, the mean of {found.num_repeats} shufflings; the"
            " thin line is the 95 % interval over shufflings and rows drawn again. The test rows"
            f" are left alone.{more}"
        ),
        numbers=table(numbers, caption="Loss by column with its 95 % interval"),
    )


def _bar(plot: svg.Plot, place: int, each: Feature) -> Html:
    """A column's name above its bar, so that long names have room on a phone."""
    top = _TOP + _ROW * place
    ends = sorted((float(plot.across(0.0)), float(plot.across(each.drop))))
    low, high = plot.across([each.low, each.high]).tolist()
    told = f"{each.name}: {number(each.drop)}, {number(each.low)} to {number(each.high)}"
    return joined(
        [
            svg.box(
                ends[0], top + 16, max(ends[1] - ends[0], 1), 8, class_="fill-a", told=told
            ),
            svg.whisker((low, top + 20), (high, top + 20), "axis"),
            svg.words(svg.cut(each.name, _NAME), plot.left, top + 11, anchor="start",
                      class_="name halo"),
        ]
    )  # fmt: skip


def _sights(found: Interpretation, *, has_classes: bool) -> list[Html]:
    kind = _kind(found)
    what, draw = _EXAMPLES[kind]
    told = (
        f"Integrated gradients on validation {kind}: {what}. They say what this model used, not"
        " what it should have. Their sums meet what they explain within"
        f" {found.gap or 0.0:.1%}."
    )
    made = [tag("p", told)]
    right = tuple(each for each in found.sights if each.is_right)
    wrong = tuple(each for each in found.sights if not each.is_right)
    titles = ("Right answers, the surest", "The surest mistakes")
    titles = titles if has_classes else ("The nearest answers", "The largest errors")
    for title, sights in zip(titles, (right, wrong), strict=True):
        if sights:
            made += [tag("h3", title), draw(sights)]
    return made


def _kind(found: Interpretation) -> str:
    if any(each.traces for each in found.sights):
        return "series"
    return "texts" if any(each.tokens for each in found.sights) else "images"


def _gallery(sights: tuple[Sight, ...]) -> Html:
    return tag("ul", *(tag("li", *_pair(each)) for each in sights), class_="gallery")


def _pair(each: Sight) -> list[Html]:
    words = f"Row {each.row}: {each.answer}"
    told = [tag("span", "said ", tag("b", each.answer))]
    if not each.is_right or each.truth != each.answer:
        told.append(tag("span", "is ", tag("b", each.truth)))
    return [
        picture(each.png, words, class_="pixels"),
        picture(each.heat, f"{words}, what its pixels weigh", class_="pixels"),
        tag("span", *told, tag("small", f"row {each.row}"), class_="words"),
    ]


_OF_IMAGES = (
    "orange pixels spoke for the answer, blue ones against it, as compared with a black image"
)
_OF_SERIES = (
    "bars up are steps that spoke for the answer, bars down against it, as compared with a series"
    " as long that stays at its channels' means"
)
_OF_TEXTS = (
    "words with an orange line spoke for the answer, those with a blue one against it, as compared"
    " with words that say nothing"
)
_EXAMPLES: dict[str, tuple[str, Callable[[tuple[Sight, ...]], Html]]] = {
    "images": (_OF_IMAGES, _gallery),
    "series": (_OF_SERIES, series_figures),
    "texts": (_OF_TEXTS, text_figures),
}
