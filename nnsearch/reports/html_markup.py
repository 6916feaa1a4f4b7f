"""HTML as a value that cannot forget to escape. Knows no study and no chart.

Text that is put into an element is escaped, in attributes too, unless it is `Html` already; and
`Html` is made here alone, of tags and attribute names that stand in our own code.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from nnsearch.reports.tables import number

_VOID = frozenset({"br", "img", "meta"})


@dataclass(frozen=True, slots=True)
class Html:
    """Markup, as opposed to text."""

    text: str


Content = Html | str | None


def tag(name: str, /, *children: Content, **attributes: object) -> Html:
    """An element. `class_` is the attribute class, `aria_label` aria-label; None is left out."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_safe(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    closing = "" if name in _VOID else f"</{name}>"
    return Html(f"<{name}{told}>{joined(children).text}{closing}")


def joined(parts: Iterable[Content], between: str = "") -> Html:
    """Several pieces one after the other; None counts for nothing."""
    found = (part.text if isinstance(part, Html) else _safe(part) for part in parts if part)
    return Html(_safe(between).join(found))


def stylesheet(rules: str) -> Html:
    """Rules of our own as an element; nothing in them is escaped."""
    return Html(f"<style>{rules}</style>")


def picture(png: bytes, words: str, **attributes: object) -> Html:
    """A PNG within the page; `words` stand for it where it cannot be seen."""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return tag("img", src=source, alt=words, **attributes)


def table(
    rows: Sequence[Mapping[str, object]], *, caption: str, columns: Sequence[str] | None = None
) -> Html:
    """Rows as a table that scrolls within itself where it is too wide.

    The first column names the row. `columns` are the cells to show, by default all, in the order
    they first appear; a cell may be markup, any other is written as `tables.number` does.
    """
    names = list(dict.fromkeys(key for row in rows for key in row)) if columns is None else columns
    numeric = {name for name in names if all(_is_number(row.get(name)) for row in rows)}
    head = [
        tag("th", name, scope="col", class_="number" if name in numeric else None) for name in names
    ]
    body = [
        tag(
            "tr",
            *(
                _cell(row.get(name), is_first=name == names[0], is_number=name in numeric)
                for name in names
            ),
        )
        for row in rows
    ]
    made = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *head)),
        tag("tbody", *body),
    )
    return tag("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)


def pairs(rows: Mapping[str, Content]) -> Html:
    """Names and what they stand for, as a description list."""
    found = (tag("div", tag("dt", name), tag("dd", value)) for name, value in rows.items())
    return tag("dl", *found, class_="pairs")


def folded(summary: str, *children: Content) -> Html:
    """What a reader opens when it is wanted."""
    return tag("details", tag("summary", summary), *children)


def figure(title: str, drawing: Html, *, note: Content = None, numbers: Html | None = None) -> Html:
    """A chart with its title, a line on how to read it, and its numbers as a table behind it."""
    caption = tag("figcaption", tag("strong", title), tag("span", note) if note else None)
    return tag("figure", caption, drawing, folded("Numbers", numbers) if numbers else None)


def section(name: str, title: str, *children: Content) -> Html:
    """A part of the page that the navigation leads to."""
    head = tag("h2", title, id=f"{name}-title")
    return tag("section", head, *children, id=name, aria_labelledby=f"{name}-title")


def _cell(value: object, *, is_first: bool, is_number: bool) -> Html:
    content: Content = value if isinstance(value, Html) else number(value)
    class_ = "number" if is_number else None
    if is_first:
        return tag("th", content, scope="row", class_=class_)
    return tag("td", content, class_=class_)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _safe(text: str) -> str:
    # Control characters, lone surrogates and marks that turn the direction of writing come from
    # data files; they must not reach a page.
    return escape("".join(each if each.isprintable() or each == "\n" else "�" for each in text))
