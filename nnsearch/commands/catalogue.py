"""Every component with its options, from the signatures. Knows no component in particular."""

import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from nnsearch import components
from nnsearch.components import Function, Option
from nnsearch.errors import UsageError
from nnsearch.reports.tables import table
from nnsearch.study import frame

# The tables of a study file that are no component's.
FRAME = "study"
_TABLES: dict[str, Function] = {
    "(top)": frame.study_keys,
    "data": frame.data_keys,
    "data.split": frame.split_keys,
    "search": frame.search_keys,
    "confirmation": frame.confirmation_keys,
}
_NAMES = {int: "integer", float: "float", str: "string", bool: "boolean"}


@dataclass(frozen=True, slots=True)
class OptionFacts:
    """One option; `bounds` are such as `>= 1`. A required option has no default."""

    name: str
    type: str
    bounds: tuple[str, ...]
    default: Any
    is_required: bool


@dataclass(frozen=True, slots=True)
class ComponentFacts:
    """One component; `problem` says why it cannot be loaded, such as a missing extra.

    `metrics` are those that a task can have, as its signature says.
    """

    kind: str
    name: str
    summary: str
    options: tuple[OptionFacts, ...] = ()
    metrics: tuple[str, ...] = ()
    problem: str = ""


def catalogue(kind: str | None = None) -> list[ComponentFacts]:
    """The built-in and installed components, or those of one kind; `model` means `models`.

    The kind `study` is what a study file may say beside its components. Raises UsageError for a
    kind that there is not.
    """
    known = [*components.BUILTINS, FRAME]
    kinds = known
    if kind is not None:
        names = [each for each in (kind, f"{kind}s") if each in known]
        if not names:
            raise UsageError(
                f"there is no kind of component '{kind}'.", components.nearest(kind, known)
            )
        kinds = names[:1]
    named = [(each, name) for each in kinds if each != FRAME for name in components.names(each)]
    frames = _TABLES.items() if FRAME in kinds else ()
    return [
        *(_facts(each, name) for each, name in named),
        *(_described(FRAME, name, keys) for name, keys in frames),
    ]


def as_document(found: Sequence[ComponentFacts]) -> dict[str, Any]:
    """Kind -> name -> summary and options, as JSON values."""
    document: dict[str, Any] = {}
    for each in found:
        fields = asdict(each)
        document.setdefault(fields.pop("kind"), {})[fields.pop("name")] = fields
    return document


def as_text(found: Sequence[ComponentFacts]) -> str:
    """Each kind, each component with its first line, each option with type, bounds and default."""
    lines: list[str] = []
    for kind in dict.fromkeys(each.kind for each in found):
        lines += ["", kind]
        for each in (each for each in found if each.kind == kind):
            lines += [f"  {each.name}: {each.problem or each.summary}"]
            lines += [f"    metrics: {', '.join(each.metrics)}"] if each.metrics else []
            lines += [f"    {line}" for line in _options_table(each.options)]
    return "\n".join(lines).strip("\n")


def type_text(annotation: Any) -> str:
    """An annotation in TOML's words, such as `integer`, `array of integer` or `relu | tanh`."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(parts[0])
    if origin is Literal:
        return " | ".join(map(str, parts))
    if origin in {Union, types.UnionType}:
        return " or ".join(type_text(each) for each in parts if each is not type(None))
    if origin in {tuple, list, Sequence}:
        return f"array of {type_text(parts[0])}"
    if origin in {dict, Mapping}:
        return "table"
    return _NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def bounds(annotation: Any) -> Iterator[str]:
    """The limits of an annotation, such as `>= 1`; of each part where it has several."""
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, Ge):
            yield f">= {mark.ge}"
        elif isinstance(mark, Gt):
            yield f"> {mark.gt}"
        elif isinstance(mark, Le):
            yield f"<= {mark.le}"
        elif isinstance(mark, Lt):
            yield f"< {mark.lt}"
    if get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from bounds(part)


def _facts(kind: str, name: str) -> ComponentFacts:
    try:
        function = components.load(kind, name)
    except ImportError as error:
        return ComponentFacts(kind, name, "", problem=f"not installed ({error})")
    return _described(kind, name, function)


def _described(kind: str, name: str, function: Function) -> ComponentFacts:
    options = tuple(_option(each) for each in components.options(function).values())
    returned = get_type_hints(function, include_extras=True).get("return")
    metrics = next(iter(getattr(returned, "__metadata__", ())), ())
    return ComponentFacts(kind, name, _summary(function), options, tuple(metrics))


def _option(option: Option) -> OptionFacts:
    default = None if option.is_required else option.default
    default = list(default) if isinstance(default, tuple) else default
    limits = tuple(dict.fromkeys(bounds(option.annotation)))
    return OptionFacts(
        option.name, type_text(option.annotation), limits, default, option.is_required
    )


def _summary(function: Function) -> str:
    """The first paragraph of a docstring in one line."""
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())


def _options_table(options: Sequence[OptionFacts]) -> list[str]:
    rows = [
        {
            "option": each.name,
            "type": each.type,
            "bounds": ", ".join(each.bounds),
            "default": "(required)" if each.is_required else _default(each.default),
        }
        for each in options
    ]
    # Wide enough for the longest list of choices: cut off it would be of no use.
    return table(rows, width=160).splitlines() if rows else []


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if not isinstance(value, str) or value else '""'
