"""The JSON schema of a study file, for editors, from the components' signatures.

Knows only built-in and installed components; a function in the user's own file is taken as it is.
An editor is told what is allowed; the rules between keys are checked when a study is loaded.
"""

from collections.abc import Callable, Mapping
from typing import Any

from nnsearch import components
from nnsearch.components import Option
from nnsearch.study.bind import COMPONENTS
from nnsearch.study.complaints import MAX_INTEGER
from nnsearch.study.folder import NAME
from nnsearch.study.frame import (
    confirmation_keys,
    data_keys,
    search_keys,
    split_keys,
    study_keys,
)
from nnsearch.study.ranges import MAX_CHOICES

Schema = dict[str, Any]

CODE = r"\.py:"
SCALAR = {"type": ["boolean", "number", "string"]}


def json_schema() -> Schema:
    """The schema, of the dialect 2020-12. Imports every component."""
    keys = _keys(study_keys)
    keys["name"]["pattern"] = f"^{NAME.pattern}$"
    tables = {table: _chosen(kind) for table, (kind, _) in COMPONENTS.items()}
    own = {
        "training": _training(),
        "search": _search(),
        "confirmation": _table(_keys(confirmation_keys)),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nnsearch study",
        **_table({**keys, "data": _data(), **tables, **own}),
        "required": ["data", "task", "model", "search"],
        "$defs": {"range": _range()},
    }


def _table(properties: Mapping[str, Schema], *, has_code: bool = False) -> Schema:
    closed = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return closed | ({"patternProperties": {CODE: {"type": "object"}}} if has_code else {})


def _data() -> Schema:
    keys = _keys(data_keys) | {"split": _table(_keys(split_keys))}
    keys["source"] = _names("sources")
    keys["transforms"] = {"type": "array", "items": _names("transforms"), "uniqueItems": True}
    for name, options in _kind("sources").items():
        keys[name] = _table({key: _literal(option) for key, option in options.items()})
    for name, options in _kind("transforms").items():
        keys[name] = _searched(options)
    return _table(keys, has_code=True)


def _training() -> Schema:
    return _searched(_kind("training")["recipe"])


def _search() -> Schema:
    keys = _keys(search_keys)
    for kind, key in (("samplers", "sampler"), ("pruners", "pruner")):
        keys[key] = _names(kind)
        for name, options in _kind(kind).items():
            keys[name] = _table({each: _literal(option) for each, option in options.items()})
    limits = [{"required": ["trials"]}, {"required": ["timeout"]}]
    return _table(keys, has_code=True) | {"anyOf": limits}


def _chosen(kind: str) -> Schema:
    """A name alone, or a table with `name` or `one_of`, options shared, and one an alternative."""
    known = _kind(kind)
    names = {"type": "array", "items": _names(kind), "minItems": 1, "uniqueItems": True}
    fixed: dict[str, Schema] = {"name": _names(kind), "one_of": names}
    fixed |= {name: _searched(options) for name, options in known.items()}
    shared: dict[str, Schema] = {}
    for options in known.values():
        for key, option in options.items():
            each = _option(option)
            # alternatives that disagree on an option leave its check to the loading of the study
            shared[key] = each if shared.get(key, each) == each else {}
    own_code = {"type": "string", "pattern": CODE}
    of_own_code = [
        {"properties": {"name": own_code}, "required": ["name"]},
        {"properties": {"one_of": {"contains": own_code}}, "required": ["one_of"]},
    ]
    return {
        # outside anyOf, so that an editor marks the one wrong key and not the whole table
        "properties": fixed,
        "not": {"required": ["name", "one_of"]},
        "anyOf": [
            _names(kind),
            _table({**shared, **{key: {} for key in fixed}}, has_code=True),
            # the options of a function in the user's own file are not known here
            {"type": "object", "anyOf": of_own_code},
        ],
    }


def _kind(kind: str) -> dict[str, Mapping[str, Option]]:
    names = components.names(kind)
    return {name: components.options(components.load(kind, name)) for name in names}


def _names(kind: str) -> Schema:
    return {"anyOf": [{"enum": components.names(kind)}, {"type": "string", "pattern": CODE}]}


def _searched(options: Mapping[str, Option]) -> Schema:
    return _table({key: _option(option) for key, option in options.items()})


def _option(option: Option) -> Schema:
    return {"anyOf": [_literal(option), {"$ref": "#/$defs/range"}]}


def _literal(option: Option) -> Schema:
    from pydantic import TypeAdapter

    schema = TypeAdapter(option.annotation).json_schema()
    if option.default is not None and not option.is_required:
        is_array = isinstance(option.default, tuple)
        schema["default"] = list(option.default) if is_array else option.default
    return schema


def _keys(function: Callable[..., None]) -> dict[str, Schema]:
    return {key: _literal(option) for key, option in components.options(function).items()}


def _range() -> Schema:
    log, bound = {"type": "boolean"}, {"maximum": MAX_INTEGER, "minimum": -MAX_INTEGER}
    kinds: list[Schema] = []
    for kind, number in (("int", "integer"), ("float", "number")):
        end: Schema = {"type": number, **(bound if kind == "int" else {})}
        ends = {"type": "array", "items": end, "minItems": 2, "maxItems": 2}
        step = {"type": number, "exclusiveMinimum": 0}
        kinds.append(_table({kind: ends, "log": log, "step": step}) | {"required": [kind]})
    choices = {"type": "array", "items": SCALAR, "minItems": 1, "maxItems": MAX_CHOICES}
    kinds.append(_table({"choice": choices | {"uniqueItems": True}}) | {"required": ["choice"]})
    return {"oneOf": kinds}
