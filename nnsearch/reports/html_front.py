"""Several objectives against each other, and the trials that no other beats in all. Pure."""

from functools import partial

from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_content import Report, Trial
from nnsearch.reports.html_markup import Html, figure, joined, section, table, tag
from nnsearch.reports.panels import scale
from nnsearch.reports.tables import number
from nnsearch.study.limits import countable, heading
from nnsearch.study.spec import Objective

# Of more a chart cannot be read, and a page does not open on a phone.
MOST_DOTS = 2000
_LABEL_HEIGHT = 12.0


def front(report: Report) -> Html | None:
    """The section of a study of several objectives; nothing where there is one."""
    if len(report.objectives) < 2:  # noqa: PLR2004
        return None
    first, *others = report.objectives
    title = "What there is to choose from"
    if not report.front:
        nothing = tag("p", "No trial is complete and within the constraints.")
        return section("front", title, nothing)
    drawn = [_figure(report, first, other) for other in others]
    command = tag("code", f"nnsearch export {report.study} --trial N{report.where}")
    told = tag("p", _told(report, first), " Any trial can be exported: ", command)
    return section("front", title, told, *drawn, _points(report))


def _told(report: Report, first: Objective) -> str:
    count = len(report.front)
    which = "One trial is" if count == 1 else f"{count} trials are"
    winner = "" if report.best is None else f" Trial {report.best.trial} won: {first.label}, the"
    winner += " first objective, chose it." if winner else ""
    return (
        f"{which} beaten by no other in everything (the Pareto front): what is better than one of"
        f" them in one objective is worse in another.{winner}"
    )


def _figure(report: Report, first: Objective, other: Objective) -> Html:
    shown = [
        ("dot-best", "on the front, with the trial's number"),
        ("dot-a", "another complete trial"),
        *([("dot-b", "breaks a constraint")] * any(
            each.state == "infeasible" and other.key in each.measured for each in report.trials
        )),
    ]  # fmt: skip
    wishes = [
        f"{heading(each.key)}: {'higher' if each.direction == 'maximize' else 'lower'} is better"
        for each in (first, other)
    ]
    return figure(
        f"{first.label} against {other.label}",
        joined([svg.fitting(partial(_chart, report, first, other)), svg.legend(shown)]),
        note="; ".join(wishes) + ".",
    )


def _chart(report: Report, first: Objective, other: Objective, width: float) -> Html:
    trials = [each for each in report.trials if each.value is not None]
    trials = [each for each in trials if other.key in each.measured]
    up = scale((each.value or 0.0 for each in trials), may_log=True, most=5)
    across = scale((each.measured[other.key] for each in trials), may_log=True, most=5)
    plot = svg.Plot(across, up, width=width, height=300, left=svg.room_for(up), top=24)
    parts = [svg.axes(plot, heading(other.key), heading(first.key))]
    best = [each for each in trials if each.number in report.front]
    if len(report.objectives) == 2:  # noqa: PLR2004 - with a third the front is no line
        # From point to point in steps: nothing between two of them was reached.
        sign = -1.0 if other.direction == "maximize" else 1.0
        ordered = sorted(best, key=lambda each: sign * each.measured[other.key])
        xs = [each.measured[other.key] for each in ordered]
        parts.append(svg.steps(plot, xs, [each.value or 0.0 for each in ordered], "line-best"))
    rest = [each for each in trials if each.number not in report.front]
    every = -(-len(rest) // MOST_DOTS) or 1
    looks = {"complete": "dot-a", "infeasible": "dot-b"}
    parts += [_dot(plot, each, other, looks.get(each.state, "dot-a")) for each in rest[::every]]
    parts += [_dot(plot, each, other, "dot-best", size=5.5) for each in best]
    parts += _labels(plot, best, other)
    label = f"{first.label} against {other.label} of {len(trials)} trials, {len(best)} on the front"
    return svg.svg(label, width, plot.height, *parts)


def _place(plot: svg.Plot, each: Trial, other: Objective) -> tuple[float, float]:
    return float(plot.across(each.measured[other.key])), float(plot.up(each.value or 0.0))


def _dot(plot: svg.Plot, each: Trial, other: Objective, look: str, *, size: float = 3.2) -> Html:
    x, y = _place(plot, each, other)
    told = f"trial {each.number}: {number(each.value)}, {other.label}"
    told += f" {number(each.measured[other.key])}" + (
        f", breaks {each.breaks}" if each.breaks else ""
    )
    return svg.dot(x, y, look, told=told, size=size)


def _labels(plot: svg.Plot, best: list[Trial], other: Objective) -> list[Html]:
    """The numbers of the front's trials, as many as have room."""
    placed: list[tuple[float, float, float]] = []
    found = []
    for each in best:
        (x, y), text = _place(plot, each, other), str(each.number)
        y -= 9
        reach = svg.LETTER * len(text) / 2 + 3
        x = min(max(x, plot.left + reach), plot.width - plot.right - reach)
        if any(abs(x - at) < reach + r and abs(y - high) < _LABEL_HEIGHT for at, high, r in placed):
            continue
        placed.append((x, y, reach))
        found.append(svg.words(text, x, y))
    return found


def _points(report: Report) -> Html:
    trials = {each.number: each for each in report.trials}
    others = report.objectives[1:]
    rows = [
        {
            "trial": number_,
            heading(report.objectives[0].key): trials[number_].value,
            **{
                heading(each.key): countable(each.key, trials[number_].measured[each.key])
                for each in others
            },
            **trials[number_].params,
        }
        for number_ in report.front
    ]
    return table(rows, caption=f"The front, the best by {report.objectives[0].label} first")
