"""The catalogue for a person: a list of components, or one in full. Knows none in particular."""

from collections.abc import Iterator, Sequence
from textwrap import indent, wrap
from typing import Any

from nnsearch.commands.catalogue import ComponentFacts, OptionFacts, as_document, catalogue
from nnsearch.reports.tables import table
from nnsearch.study.toml_text import value_text

_WIDTH = 100
# Wide enough for the longest list of choices: cut off it would be of no use.
_TABLE_WIDTH = 160
_INDENT = "  "


def described(kind: str, name: str, *, as_json: bool) -> str | dict[str, Any]:
    """What `catalogue` finds, as a text or as JSON values."""
    found = catalogue(kind, name)
    return as_document(found) if as_json else as_text(found)


def as_text(found: Sequence[ComponentFacts]) -> str:
    """Each component with its first line and its options; those of one name in full."""
    if len({each.name for each in found}) == 1:
        return "\n\n\n".join("\n".join(_page(each)) for each in found)
    kinds = dict.fromkeys(each.kind for each in found)
    return "\n".join(line for kind in kinds for line in _list(kind, found)).strip("\n")


def _list(kind: str, found: Sequence[ComponentFacts]) -> Iterator[str]:
    yield from ("", kind)
    for each in (each for each in found if each.kind == kind):
        yield f"  {each.name}: {each.problem or each.summary}"
        if each.metrics:
            yield f"    metrics: {', '.join(each.metrics)}"
        if each.options:
            yield indent(_options_table(each.options), _INDENT * 2)


def _options_table(options: Sequence[OptionFacts]) -> str:
    rows = [
        {
            "option": each.name,
            "type": each.type,
            "bounds": ", ".join(each.bounds),
            "default": "(required)" if each.is_required else _default(each.default),
        }
        for each in options
    ]
    return table(rows, width=_TABLE_WIDTH)


def _page(facts: ComponentFacts) -> Iterator[str]:
    """What it is, what its options are and mean, and the lines of a study file that use it."""
    yield f"{facts.kind} {facts.name}"
    yield ""
    yield indent(facts.problem or facts.text, _INDENT)
    if facts.metrics:
        yield from ("", *_wrapped(f"Metrics: {', '.join(facts.metrics)}.", 1))
    if facts.options:
        yield from ("", "options")
        for each in facts.options:
            yield from _option_lines(each)
    if facts.usage:
        head = "to type" if facts.kind == "exporters" else "in a study file, with the defaults"
        yield from ("", head, "", indent(facts.usage, _INDENT))


def _option_lines(option: OptionFacts) -> Iterator[str]:
    kind = ", ".join([option.type, *option.bounds])
    default = "required" if option.is_required else f"default {_default(option.default)}"
    yield from ("", *_wrapped(f"{option.name}: {kind}; {default}", 1))
    yield from _wrapped(option.meaning, 3)
    if option.is_searchable:
        begin = f"To search: {value_text(option.range)}" if option.range else "May be searched."
        yield from _wrapped(begin, 3)


def _wrapped(text: str, depth: int) -> list[str]:
    margin = _INDENT * depth
    return wrap(
        text,
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=margin + _INDENT,
        break_on_hyphens=False,
    )


def _default(value: object) -> str:
    """As TOML has it, but for the quotes of a plain word."""
    if value is None:
        return "none"
    return value if isinstance(value, str) and value.isidentifier() else value_text(value)
