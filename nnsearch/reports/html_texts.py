"""A text with what each of its words added to the answer, as lines below them. Pure."""

from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_content import Sight
from nnsearch.reports.html_markup import Html, figure, joined, table, tag

_LEGEND = (("line-b", "speaks for the answer"), ("line-a", "speaks against it, dotted"))
_THICK = 6.0
_MOST_LISTED = 20


def text_figures(sights: tuple[Sight, ...]) -> Html:
    """Each text with its words underlined, as thick as they weigh."""
    return joined([svg.legend(_LEGEND), tag("div", *map(_figure, sights), class_="grid")])


def _figure(sight: Sight) -> Html:
    said = f"Said {sight.answer}"
    if not sight.is_right or sight.truth != sight.answer:
        said = f"{said}, is {sight.truth}"
    most = max((abs(weight) for _, weight in sight.tokens), default=0.0) or 1.0
    words = joined((_word(word, weight / most) for word, weight in sight.tokens), " ")
    heaviest = sorted(sight.tokens, key=lambda each: -abs(each[1]))[:_MOST_LISTED]
    rows = [{"word": word, "adds": weight} for word, weight in heaviest]
    return figure(
        said,
        tag("p", words),
        note=f"Row {sight.row}.",
        numbers=table(rows, caption=f"Row {sight.row}: what its words add to the answer"),
    )


def _word(word: str, share: float) -> Html:
    """Underlined in the colour of its side; thinner than half a point is no line."""
    thick = abs(share) * _THICK
    if thick < 0.5:  # noqa: PLR2004 - as said
        return tag("span", word)
    side = "solid var(--b)" if share > 0 else "dotted var(--a)"
    line = f"border-bottom:{thick:.1f}px {side}"
    return tag("span", word, style=line, title=f"{'for' if share > 0 else 'against'}, {share:+.0%}")
