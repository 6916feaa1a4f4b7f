"""A resolved study as the text of a study file: the way back from `fingerprint.to_json`.

Options at their defaults are left out, as a person leaves them out.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from nnsearch import components
from nnsearch.study.fingerprint import KINDS
from nnsearch.study.ranges import KINDS as RANGES
from nnsearch.study.spec import Confirmation, Search, Split

_BARE = re.compile(r"[A-Za-z0-9_-]+")
Tables = dict[str, Any]


def study_tables(resolved: Mapping[str, Any], root: Path, *, allow_code: bool = False) -> Tables:
    """The tables of a study file that would be resolved to `resolved`.

    The options of a component stand in a table of its own name, so that alternatives can be added
    beside it. `root` is the study's folder, where components of the user's own lie; they are
    loaded, to know their defaults, only with `allow_code`.
    """
    data, search = resolved["data"], resolved["search"]

    def own(kind: str, name: str, options: Mapping[str, Any]) -> Tables:
        return _less_defaults(kind, name, options, root=root, allow_code=allow_code)

    made: Tables = {"name": resolved["name"]}
    made |= {key: resolved[key] for key in ("seed", "description") if resolved[key]}
    made["data"] = {"source": data["source"], **_less(data["split"], Split, "split")}
    made["data"] |= {"transforms": data["transforms"]} if data["transforms"] else {}
    made["data"] |= {"allow_leaky": True} if data["allow_leaky"] else {}
    named = [("sources", data["source"]), *(("transforms", each) for each in data["transforms"])]
    made["data"] |= _filled({name: own(kind, name, data.get(name, {})) for kind, name in named})
    for path in ("task", "model", "optimizer", "schedule"):
        made[path] = _component(KINDS[path], resolved[path], own)
    made |= _filled({"training": own("training", "recipe", resolved["training"])})
    drawn = {key: search[key] for key in ("sampler", "pruner")}
    rest = {key: each for key, each in search.items() if key not in drawn.values()}
    made["search"] = {**drawn, **_less(rest, Search)}
    made["search"] |= _filled(
        {name: own(f"{kind}s", name, search[name]) for kind, name in drawn.items()}
    )
    # What was recorded before there was a confirmation had none.
    confirmation = resolved.get("confirmation", {"trials": 0})
    return made | _filled({"confirmation": _less(confirmation, Confirmation)})


def toml(tables: Mapping[str, Any], head: str = "") -> str:
    """The text of a file that is read as `tables`; `head` is put before it as a comment."""
    comment = [f"# {line}".rstrip() for line in head.splitlines()]
    return "\n".join([*comment, *([""] * bool(comment)), *_lines(tables, ())]) + "\n"


def value_text(value: object) -> str:
    """A value as TOML writes it, a table in one line."""
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_key(k)} = {value_text(each)}" for k, each in value.items()) + " }"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value)


def _component(kind: str, table: Mapping[str, Any], own: Any) -> Tables:
    if "one_of" not in table:
        name = table["name"]
        options = {key: each for key, each in table.items() if key != "name"}
        return {"name": name, **_filled({name: own(kind, name, options)})}
    names = table["one_of"]
    shared = {key: each for key, each in table.items() if key not in {"one_of", *names}}
    return {"one_of": names, **shared, **_filled({n: own(kind, n, table[n]) for n in names})}


def _less_defaults(
    kind: str, name: str, options: Mapping[str, Any], *, root: Path, allow_code: bool
) -> Tables:
    given = {key: each for key, each in options.items() if each is not None}
    if ".py:" in name and not allow_code:
        return given
    known = components.options(components.load(kind, name, root=root, allow_code=allow_code))
    return {
        key: each
        for key, each in given.items()
        if key not in known or _plain(known[key].default) != each
    }


def _less(options: Mapping[str, Any], kind: type, name: str = "") -> Tables:
    """The fields that are not at the default of their dataclass, in a table `name` where given."""
    defaults = {each.name: _plain(each.default) for each in fields(kind)}
    changed = {
        key: each
        for key, each in options.items()
        if each is not None and (defaults.get(key, MISSING) is MISSING or defaults[key] != each)
    }
    if not name:
        return changed
    # Shares are given all or none.
    return {name: {key: each for key, each in options.items() if each != ""}} if changed else {}


def _filled(tables: Mapping[str, Any]) -> Tables:
    return {name: table for name, table in tables.items() if table}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _lines(table: Mapping[str, Any], at: tuple[str, ...]) -> Iterator[str]:
    """The keys of a table, then the tables below it."""
    plain = {key: each for key, each in table.items() if not _is_table(each)}
    if at and (plain or not table):
        yield f"\n[{'.'.join(map(_key, at))}]"
    for key, value in plain.items():
        yield f"{_key(key)} = {value_text(value)}"
    for key, value in table.items():
        if _is_table(value):
            yield from _lines(value, (*at, key))


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and not any(kind in value for kind in RANGES)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    # TOML's basic strings are JSON's, but for this one character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
