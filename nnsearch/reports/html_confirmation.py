"""How the winner was chosen: what the best trials gave when they were trained again. Pure."""

from nnsearch.events import Confirmed, Retrained
from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_content import Report
from nnsearch.reports.html_markup import Html, figure, joined, section, table, tag
from nnsearch.reports.panels import scale
from nnsearch.reports.tables import number, with_interval

TITLE = "How the winner was chosen"
_ROW, _TOP, _BOTTOM, _NAME = 34.0, 6.0, 44.0, 84.0


def confirmation(report: Report) -> Html | None:
    """Each candidate's value in the search beside those on fresh seeds; None where none are."""
    found = report.confirmed
    if found is None:
        return None
    metric = report.objective.metric
    key = [("dot-b", "in the search"), ("dot-c", "a fresh seed"), ("dot-a", "expected")]
    drawn = figure(
        f"{metric} in the search and on fresh seeds",
        joined([svg.legend(key), _picture(found, metric)]),
        note="The line is the 95 % interval of what the trial is expected to give on new rows.",
        numbers=table([_cells(each) for each in found.candidates], caption="The candidates"),
    )
    told = [tag("p", each) for each in (_verdict(found), *found.notes)]
    return section("confirmation", TITLE, *told, drawn)


def _verdict(found: Confirmed) -> str:
    first, most = found.candidates[0], max(len(each.values) for each in found.candidates)
    started = (
        f"The best {len(found.candidates)} of {found.num_searched} trials were trained again, each"
        f" on up to {most} fresh seeds."
        if len(found.candidates) > 1
        else f"The best trial was trained again on {most} fresh seeds."
    )
    luck = (
        f" Trial {first.trial} had {number(first.searched)} in the search; once luck is taken out,"
        f" {with_interval(first.estimate, (first.low, first.high))} is expected of it."
    )
    if len(found.candidates) == 1:
        return started + luck
    chance = f" The probability that it is the best of them is {first.chance:.0%}."
    return started + luck + chance


def _cells(each: Retrained) -> dict[str, object]:
    failed = f", {each.num_failed} failed" if each.num_failed else ""
    return {
        "trial": each.trial,
        "in the search": number(each.searched),
        "mean of fresh seeds": number(each.mean),
        "fresh seeds": f"{len(each.values)}{failed}",
        "expected": with_interval(each.estimate, (each.low, each.high)),
        "best with probability": f"{each.chance:.0%}",
    }


def _picture(found: Confirmed, metric: str) -> Html:
    ends = [
        end
        for each in found.candidates
        for end in (each.searched, each.low, each.high, *each.values)
    ]
    height = _TOP + _ROW * len(found.candidates) + _BOTTOM
    plot = svg.Plot(
        scale(ends, most=4), scale([0, 1]), height=height, left=_NAME, top=_TOP, bottom=_BOTTOM
    )
    floor = height - _BOTTOM
    parts = []
    for at, text in zip(plot.across(svg.ticks_of(plot.x)).tolist(), plot.x.labels, strict=True):
        parts.append(svg.straight((at, plot.top), (at, floor), "grid"))
        parts.append(svg.words(text, at, floor + 16))
    parts += [_row(plot, place, each) for place, each in enumerate(found.candidates)]
    middle = (plot.left + plot.width - plot.right) / 2
    parts.append(svg.words(metric, middle, height - 8, class_="name"))
    label = "; ".join(
        f"trial {each.trial}: {number(each.searched)} in the search,"
        f" {with_interval(each.estimate, (each.low, each.high))} expected"
        for each in found.candidates
    )
    return svg.svg(label, plot.width, height, *parts)


def _row(plot: svg.Plot, place: int, each: Retrained) -> Html:
    middle = _TOP + _ROW * (place + 0.5)
    low, high = plot.across([each.low, each.high]).tolist()
    name = f"trial {each.trial}"
    parts = [
        svg.words(name, plot.left - 8, middle + 4, anchor="end", class_="name"),
        svg.whisker((low, middle), (high, middle), "line-a"),
    ]
    for value in each.values:
        told = f"{name} on a fresh seed: {number(value)}"
        parts.append(svg.dot(float(plot.across(value)), middle + 8, "dot-c", told=told))
    searched, expected = plot.across([each.searched, each.estimate]).tolist()
    told = f"{name} in the search: {number(each.searched)}"
    parts.append(svg.dot(searched, middle - 8, "dot-b", told=told))
    told = f"{name} expected: {number(each.estimate)}"
    parts.append(svg.dot(expected, middle, "dot-a", size=5, told=told))
    return joined(parts)
