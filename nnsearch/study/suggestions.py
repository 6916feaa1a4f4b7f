"""Ranges to begin with, and the lines of a study file that use a component.

Knows no component: all of it follows from types, bounds and defaults.
"""

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from nnsearch.components import Option
from nnsearch.study.toml_text import toml

# Kinds whose options may be ranges, with the table that they stand in.
_SEARCHED = {
    "tasks": "task",
    "models": "model",
    "optimizers": "optimizer",
    "schedules": "schedule",
    "transforms": "data",
    "training": "training",
}
_OF_THE_MACHINE = ("precision", "device", "checkpoint_seconds", "fuse")
# What is asked for, by which trials are judged: values of one trial would say nothing of another's.
_OF_THE_QUESTION = ("quantile",)
# 0 by default, so that the default tells nothing of their size.
_PENALTIES = ("weight_decay", "l1")
_PENALTY = {"float": [1e-6, 1e-2], "log": True}
_HALF, _FACTOR = 0.5, 10.0
_WHOLE = 2


def is_searchable(kind: str, option: Option) -> bool:
    """Whether a range may stand for the option, and would say something of the network."""
    if kind not in _SEARCHED or option.name in (*_OF_THE_MACHINE, *_OF_THE_QUESTION):
        return False
    bare = _bare(option.annotation)
    return bare in {bool, int, float, str} or get_origin(bare) is Literal


def suggested(kind: str, option: Option) -> dict[str, Any]:
    """A range to begin with; empty where nothing is searched, or where the type tells of none."""
    if not is_searchable(kind, option):
        return {}
    for each in _candidates(option):
        (values,) = (each[form] for form in ("int", "float", "choice") if form in each)
        if len(values) > 1 and not any(map(option.complaint, values)):
            return each
    return {}


def usage(kind: str, name: str, options: Mapping[str, Option]) -> str:
    """What to write into a study file for a component, or to type; options at their defaults.

    An option without a default stands there as `...`, one that is empty by default is left out.
    """
    own = {
        option.name: "..." if option.is_required else option.default
        for option in options.values()
        if option.default not in {None, "", ()}
    }
    below = {name: own} if own else {}
    match kind:
        case "exporters":
            return f"nnsearch export STUDY --to {name}"
        case "training":
            tables = {"training": own}
        case "study":
            tables = _nested(name, own)
        case "sources":
            tables = {"data": {"source": name, **below}}
        case "transforms":
            tables = {"data": {"transforms": [name], **below}}
        case "samplers" | "pruners":
            tables = {"search": {kind.removesuffix("s"): name, **below}}
        case _:
            tables = {_SEARCHED[kind]: {"name": name, **below}} if kind in _SEARCHED else {}
    return toml(tables).strip("\n")


def _candidates(option: Option) -> list[dict[str, Any]]:
    value, annotation = option.default, _bare(option.annotation)
    if option.name in _PENALTIES:
        return [_PENALTY]
    if get_origin(annotation) is Literal:
        return [{"choice": list(get_args(annotation))}]
    if annotation is bool:
        return [{"choice": [False, True]}]
    if annotation is int and isinstance(value, int) and value:
        low, high = (value // 2, value * 2) if value >= _WHOLE else (value, value + 2)
        return [{"int": [low, high]}, {"int": [low, value]}]
    if annotation is float and isinstance(value, float):
        return _of_floats(value, is_share=bool(option.complaint(1 + _HALF)))
    return []


def _of_floats(value: float, *, is_share: bool) -> list[dict[str, Any]]:
    """A share that is near 1 is searched as it is, a size of unknown order by its logarithm."""
    if value == 0:
        return [{"float": [0.0, _HALF]}] if is_share else []
    if is_share and _HALF < value < 1:
        low, high = 1 - (1 - value) * _FACTOR, 1 - (1 - value) / _FACTOR
        return [{"float": [max(float(f"{low:.4g}"), _HALF), float(f"{high:.6g}")]}]
    low, high = float(f"{value / _FACTOR:.4g}"), float(f"{value * _FACTOR:.4g}")
    return [{"float": [low, high], "log": True}, {"float": [low, value], "log": True}]


def _bare(annotation: Any) -> Any:
    """An annotation without its bounds and without None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        parts = [each for each in get_args(annotation) if each is not type(None)]
        return _bare(parts[0]) if len(parts) == 1 else annotation
    return annotation


def _nested(name: str, own: dict[str, Any]) -> dict[str, Any]:
    """The tables of `data.split` and its like; `(top)` is the file itself."""
    for part in reversed([] if name == "(top)" else name.split(".")):
        own = {part: own}
    return own
