"""How the search went: each trial's value, the best so far, which parameters mattered. Pure."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_axes import value_scale
from nnsearch.reports.html_content import Report, Trial
from nnsearch.reports.html_markup import Html, figure, joined, section, table, tag
from nnsearch.reports.importance import Weight
from nnsearch.reports.panels import scale
from nnsearch.reports.statistics import best_so_far
from nnsearch.reports.tables import duration, number
from nnsearch.study.limits import countable, heading

# A chart of more cannot be read, and a page of more does not open on a phone.
MOST_DOTS, MOST_ROWS = 2000, 500
_LOOKS = {"complete": "dot-a", "pruned": "dot-pruned", "infeasible": "dot-b"}


def history(report: Report) -> Html:
    """The value of each trial in the order asked, with the best so far."""
    key = report.objective.key
    shown = [
        ("line-a", "best so far"),
        ("dot-a", "complete trial"),
        *([("dot-pruned", "pruned trial, at its last epoch")] * any(
            each.state == "pruned" for each in report.trials
        )),
        *([("dot-b", "breaks a constraint")] * any(
            each.state == "infeasible" and each.value is not None for each in report.trials
        )),
        ("dot-best", "the winner"),
    ]  # fmt: skip
    wish = "higher" if report.objective.direction == "maximize" else "lower"
    drawn = figure(
        f"{key} of each trial",
        joined([svg.fitting(partial(_history, report)), svg.legend(shown)]),
        note=f"{wish.capitalize()} is better. {_improved(report)}{_beyond(report)}",
        numbers=all_trials(report),
    )
    return section("history", "How the search went", drawn)


def importance(report: Report) -> Html:
    """Bars of what set the best trials apart, each with its interval."""
    title, found = "What mattered", report.importance
    if not found.weights:
        return section("importance", title, tag("p", found.problem))
    numbers = [
        {"parameter": each.name, "share": each.share, "low": each.low, "high": each.high}
        for each in found.weights
    ]
    drawn = figure(
        "Importance of each parameter",
        tag("div", *(_bar(each) for each in found.weights), class_="bars"),
        note=(
            f"What sets the {found.num_best} best of {found.num_trials} complete trials apart"
            " (PED-ANOVA, shares of the whole). The thin line is the 95 % interval over trials"
            " drawn again: where it is long, this study cannot tell."
        ),
        numbers=table(numbers, caption="Importance with its 95 % interval"),
    )
    return section("importance", title, tag("p", _verdict(found.weights)), drawn)


def all_trials(report: Report) -> Html:
    """The trials as a table, the best first."""
    complete = report.complete
    numbers = {each.number for each in complete}
    rest = [each for each in report.trials if each.number not in numbers]
    shown = [*complete, *rest][:MOST_ROWS]
    rows = [
        {
            "trial": each.number,
            "state": each.state,
            report.objective.metric: each.value,
            **{heading(key): countable(key, value) for key, value in each.measured.items()},
            "epochs": each.epochs,
            "time": "" if each.seconds is None else duration(each.seconds),
            **each.params,
            **({"error": each.error} if each.error else {}),
            **({"breaks": each.breaks} if each.breaks else {}),
        }
        for each in shown
    ]
    more = len(report.trials) - len(shown)
    caption = "All trials, the best first" + (f"; {more} more are left out" if more else "")
    return table(rows, caption=caption)


def _history(report: Report, width: float) -> Html:
    trials = [each for each in report.trials if each.value is not None]
    up = value_scale(report, trials)
    plot = svg.Plot(
        scale([0, max(len(report.trials) - 1, 1)], whole=True),
        up,
        width=width,
        height=270,
        left=svg.room_for(up),
    )
    parts = [svg.axes(plot, "trial", report.objective.key)]
    values = [each.value if each.state == "complete" else None for each in report.trials]
    curve = best_so_far(values, report.objective.direction)
    numbers = [float(each.number) for each in report.trials]
    every = -(-len(trials) // MOST_DOTS) or 1
    parts += [_dot(report, plot, each) for each in trials[::every]]
    if len(curve) > 1:
        shown = np.clip(curve, plot.y.low, plot.y.high) if not plot.y.is_log else curve
        parts.append(svg.steps(plot, numbers, list(shown), "line-a"))
    if (best := report.best_trial) is not None:
        parts.append(_dot(report, plot, best, look="dot-best", size=5.5))
    label = f"{report.objective.key} of {len(trials)} trials. {_improved(report)}"
    return svg.svg(label, width, plot.height, *parts)


def _dot(report: Report, plot: svg.Plot, each: Trial, *, look: str = "", size: float = 3.2) -> Html:
    """A trial; one beyond the axis lies at its end."""
    assert each.value is not None  # noqa: S101 - the caller's promise
    x, y = float(plot.across(each.number)), float(plot.up(each.value))
    y = min(max(y, plot.top), plot.height - plot.bottom)
    told = f"trial {each.number}, {each.state}: {report.objective.metric} {number(each.value)}"
    return svg.dot(x, y, look or _LOOKS.get(each.state, "dot-b"), told=told, size=size)


def _improved(report: Report) -> str:
    values = [each.value if each.state == "complete" else None for each in report.trials]
    curve = np.array(best_so_far(values, report.objective.direction))
    known = np.flatnonzero(np.isfinite(curve))
    if not len(known):
        return "No trial has completed."
    last = known[0] + int(np.flatnonzero(curve[known] != curve[known][-1])[-1] + 1) if (
        curve[known] != curve[known][-1]
    ).any() else known[0]  # fmt: skip
    return (
        f"The best went from {number(float(curve[known][0]))} to"
        f" {number(float(curve[-1]))}, which trial {report.trials[last].number} reached."
    )


def _beyond(report: Report) -> str:
    trials = [each for each in report.trials if each.value is not None]
    up = value_scale(report, trials)
    ends = (10**up.low, 10**up.high) if up.is_log else (up.low, up.high)
    count = sum(not ends[0] <= (each.value or 0.0) <= ends[1] for each in trials)
    return f" {count} trials lie beyond the axis and are drawn at its end." if count else ""


def _bar(each: Weight) -> Html:
    """Drawn with the page's own boxes, so that long names wrap."""
    told = f"{each.share:.0%}"
    ends = f"{each.low:.0%} to {each.high:.0%}"
    bar = tag("span", class_="bar", style=f"width:{100 * each.share:.1f}%")
    span = 100 * (each.high - each.low)
    reach = tag("span", class_="reach", style=f"left:{100 * each.low:.1f}%;width:{span:.1f}%")
    return tag(
        "div",
        tag("span", each.name, class_="label"),
        tag("span", tag("b", told), f" ({ends})", class_="told"),
        tag("span", bar, reach, class_="track"),
        class_="weight",
    )


def _verdict(weights: Sequence[Weight]) -> str:
    first, *others = weights
    rivals = [each.name for each in others if each.high >= first.low]
    if not rivals:
        return f"{first.name} mattered most."
    if len(rivals) == len(others):
        return (
            f"{first.name} comes first, but its interval overlaps with that of every other"
            " parameter: so few trials do not settle the order."
        )
    return f"{first.name} comes first; its interval overlaps with that of {', '.join(rivals)}."
