"""One study as one page that needs no other file, no network and no script.

Charts are inline SVG that follow the page's colours, and pictures are data within it. The page
forbids itself everything else (a content security policy), so that a hostile name in a data file
could load and run nothing even if it got past the escaping.
"""

from nnsearch.reports.html_answer import answer
from nnsearch.reports.html_classes import classes
from nnsearch.reports.html_confirmation import confirmation
from nnsearch.reports.html_content import Report
from nnsearch.reports.html_curves import curves
from nnsearch.reports.html_examples import examples, measures
from nnsearch.reports.html_front import front
from nnsearch.reports.html_interpretation import interpretation
from nnsearch.reports.html_markup import Html, section, stylesheet, tag
from nnsearch.reports.html_numbers import numbers
from nnsearch.reports.html_rows import data, environment, mistakes
from nnsearch.reports.html_search import history, importance
from nnsearch.reports.html_space import parallel, slices
from nnsearch.reports.html_style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
SECTIONS = {
    "answer": "Answer",
    "history": "Search",
    "confirmation": "The choice",
    "front": "To choose from",
    "importance": "What mattered",
    "parallel": "Every trial",
    "slices": "Each parameter",
    "curves": "Learning curves",
    "quality": "Quality",
    "interpretation": "What it looks at",
    "mistakes": "Mistakes",
    "data": "Data",
    "environment": "Environment",
}


def page(report: Report) -> str:
    """The whole file as text."""
    title = f"{report.study}: nnsearch report"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        stylesheet(STYLE),
    )
    body = tag(
        "body",
        tag("a", "To the answer", href="#answer", class_="skip"),
        tag("div", _header(report), _navigation(report), _main(report), _footer(), class_="page"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en').text}\n"


def _main(report: Report) -> Html:
    return tag(
        "main",
        answer(report),
        history(report),
        confirmation(report),
        front(report),
        importance(report),
        parallel(report),
        slices(report),
        curves(report),
        _quality(report),
        interpretation(report),
        mistakes(report),
        data(report),
        environment(report),
    )


def _quality(report: Report) -> Html:
    title, scored = "How good the answers are", report.scored
    looks = None if report.examples is None else examples(report.examples)
    if scored is None:
        told = "There are no predictions of the winner on the disk."
        made = tag("p", told) if report.examples is None else measures(report)
    elif report.labels:
        # The task calls its scores no probabilities, so there is nothing to hold them against.
        is_sure = report.settings.get("task", {}).get("name") != "anomaly"
        made = classes(scored, report.labels, is_calibrated=is_sure)
    else:
        made = numbers(scored, report.data.target)
    return section("quality", title, made, looks)


def _header(report: Report) -> Html:
    wish = "higher" if report.objective.direction == "maximize" else "lower"
    told = [report.reason or f"the study is {report.state}", f"written {report.printed}"]
    return tag(
        "header",
        tag("h1", report.study),
        tag("p", report.description) if report.description else None,
        tag("p", f"{report.objective.metric}, {wish} is better; {'; '.join(told)}"),
    )


def _navigation(report: Report) -> Html:
    absent = {
        "confirmation": report.confirmed is None,
        "front": not report.objectives,
    }
    there = {name: text for name, text in SECTIONS.items() if not absent.get(name)}
    links = (tag("li", tag("a", text, href=f"#{name}")) for name, text in there.items())
    return tag("nav", tag("ul", *links), aria_label="Sections")


def _footer() -> Html:
    told = "Written by nnsearch from the study's records. This file needs no network and no script."
    return tag("footer", tag("p", told))
