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
from nnsearch.study import frame
from nnsearch.study.meanings import meaning
from nnsearch.study.suggestions import is_searchable, suggested, usage

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
    """One option; `bounds` are such as `>= 1`. A required option has no default.

    `range` is one to begin with, as the study file has it; empty where there is none to propose.
    """

    name: str
    type: str
    bounds: tuple[str, ...]
    default: Any
    is_required: bool
    meaning: str
    is_searchable: bool
    range: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ComponentFacts:
    """One component; `problem` says why it cannot be loaded, such as a missing extra.

    `summary` is the first paragraph of `text`; `usage` is what to write into a study file;
    `metrics` are those that a task can have, as its signature says.
    """

    kind: str
    name: str
    summary: str = ""
    text: str = ""
    usage: str = ""
    options: tuple[OptionFacts, ...] = ()
    metrics: tuple[str, ...] = ()
    problem: str = ""


def catalogue(kind: str = "", name: str = "") -> list[ComponentFacts]:
    """The built-in and installed components: all, those of a kind, or those of a name.

    `model` means `models`, and a `kind` that is none is a name of any kind. The kind `study` is
    what a study file may say beside its components. Raises UsageError for what there is not.
    """
    known = {each: components.names(each) for each in components.BUILTINS} | {FRAME: [*_TABLES]}
    kinds = [each for each in (kind, f"{kind}s") if each in known][:1]
    if kind and name and not kinds:
        hint = components.nearest(kind, [*known])
        raise UsageError(f"there is no kind of component '{kind}'.", hint)
    wanted = name if kinds else kind
    found = [
        (each, one) for each in kinds or known for one in known[each] if not wanted or wanted == one
    ]
    if not found:
        raise _unknown(wanted, known if not kinds else {kinds[0]: known[kinds[0]]})
    return [_facts(*each) for each in found]


def as_document(found: Sequence[ComponentFacts]) -> dict[str, Any]:
    """Kind -> name -> summary and options, as JSON values."""
    document: dict[str, Any] = {}
    for each in found:
        fields = asdict(each)
        document.setdefault(fields.pop("kind"), {})[fields.pop("name")] = fields
    return document


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


def _unknown(name: str, known: Mapping[str, Sequence[str]]) -> UsageError:
    names = list(dict.fromkeys(each for kind in known.values() for each in kind))
    if len(known) == 1:
        message = f"there is no component '{name}' of the kind {next(iter(known))}."
        return UsageError(message, components.nearest(name, names))
    hint = components.nearest(name, [*known, *names])
    # a list of all there is would be a page
    hint = hint if hint.startswith("Did") else components.nearest(name, [*known])
    return UsageError(f"there is no component and no kind of component '{name}'.", hint)


def _facts(kind: str, name: str) -> ComponentFacts:
    try:
        function = _TABLES[name] if kind == FRAME else components.load(kind, name)
    except ImportError as error:
        return ComponentFacts(kind, name, problem=f"not installed ({error})")
    options = components.options(function)
    returned = get_type_hints(function, include_extras=True)["return"] if kind == "tasks" else None
    metrics = next(iter(getattr(returned, "__metadata__", ())), ())
    text = inspect.getdoc(function) or ""
    return ComponentFacts(
        kind,
        name,
        summary=" ".join(text.partition("\n\n")[0].split()),
        text=text,
        usage=usage(kind, name, options),
        options=tuple(
            _option(kind, each, meaning(kind, name, each.name, function))
            for each in options.values()
        ),
        metrics=tuple(metrics),
    )


def _option(kind: str, option: Option, said: str) -> OptionFacts:
    default = None if option.is_required else option.default
    return OptionFacts(
        option.name,
        type_text(option.annotation),
        bounds=tuple(dict.fromkeys(bounds(option.annotation))),
        default=list(default) if isinstance(default, tuple) else default,
        is_required=option.is_required,
        meaning=said,
        is_searchable=is_searchable(kind, option),
        range=suggested(kind, option),
    )
