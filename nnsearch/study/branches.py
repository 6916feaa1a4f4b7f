"""Check tables against their components: names, options, shared options. Imports no component."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnsearch import components
from nnsearch.components import Option
from nnsearch.errors import UsageError
from nnsearch.study.complaints import At, Complaints, Fits, Spot, dotted, quote, show, subject
from nnsearch.study.ranges import KINDS as RANGES
from nnsearch.study.ranges import check_literal, check_value
from nnsearch.study.spec import Component, Range, Space

Options = Mapping[str, Option]


@dataclass(frozen=True, slots=True)
class Setting:
    """What the whole reading of a study file shares. `root` is the file's folder."""

    root: Path
    allow_code: bool
    complaints: Complaints


def bind_space(kind: str, table: object, *, at: At, setting: Setting, default: str = "") -> Space:
    """The component of `[model]` and its like: `name` or `one_of`, and every option.

    Options stand in the table itself, or in a table of the alternative's name below it. Those in
    the table itself are shared by every alternative. Options that are not given have the defaults
    of the component's signature, so that the study says all that a trial depends on.
    """
    empty = Space(".".join(at), {})
    checked = as_table({"name": table} if isinstance(table, str) else table, at, setting)
    names = None if checked is None else _names(checked, at, setting, default)
    if checked is None or names is None:
        return empty
    named = (*at, "one_of" if "one_of" in checked else "name")
    known = {name: load_options(kind, name, named, setting) for name in names}
    loaded = {name: options for name, options in known.items() if options is not None}
    if len(loaded) < len(names):
        return empty
    inline = {key: each for key, each in checked.items() if key not in {"name", "one_of", *names}}
    shared = _shared(kind, inline, loaded, at=at, setting=setting)
    alternatives = {}
    for name, options in loaded.items():
        own_at = (*at, name)
        own = as_table(checked.get(name, {}), own_at, setting) or {}
        _check_known(own, options, own_at, setting)
        _check_once(own, shared, own_at, setting)
        given = {key: (own_at, {name: options}, each) for key, each in own.items()}
        given.update({key: (at, loaded, each) for key, each in shared.items()})
        place = own_at if name in checked else at
        alternatives[name] = _bind_options(name, options, given, at=place, setting=setting)
    return Space(empty.path, alternatives, frozenset(shared if len(names) > 1 else ()))


def bind_fixed(
    kind: str, name: str, table: object, *, at: At, named: At, setting: Setting
) -> Space:
    """The options and ranges of a component that is chosen elsewhere, at `named`."""
    given, options = as_table(table, at, setting), load_options(kind, name, named, setting)
    if given is None or options is None:
        return Space(".".join(at), {})
    _check_known(given, options, at, setting)
    placed = {key: (at, {name: options}, each) for key, each in given.items()}
    bound = _bind_options(name, options, placed, at=at, setting=setting)
    return Space(".".join(at), {name: bound})


def bind_component(
    kind: str, name: str, table: object, *, at: At, named: At, setting: Setting
) -> Component:
    """A component that is not searched, with literal options only, and chosen at `named`."""
    given, options = as_table(table, at, setting), load_options(kind, name, named, setting)
    if given is None or options is None:
        return Component(name)
    _check_known(given, options, at, setting)
    checked = {}
    for option in options.values():
        if option.name in given:
            spot = Spot((*at, option.name), option.complaint, setting.complaints)
            value = check_literal(given[option.name], spot)
            checked[option.name] = None if value is None else option.parse(value)
        else:
            checked.update(_default(name, option, at, setting))
    return Component(name, checked)


def as_table(value: object, at: At, setting: Setting) -> Mapping[str, Any] | None:
    """`value` where it is a table, else None, with a complaint."""
    if isinstance(value, dict):
        return value
    message = f"{subject(at)} must be a table, not {show(value)}."
    setting.complaints.add("E108", at, message, f"Write [{dotted(at)}].")
    return None


def load_options(kind: str, name: str, named: At, setting: Setting) -> Options | None:
    """The options of a component, or None, with a complaint at `named`, where there is none."""
    complaints, is_code = setting.complaints, ".py:" in name
    try:
        function = components.load(kind, name, root=setting.root, allow_code=setting.allow_code)
        options = components.options(function)
        if is_code:
            for option in options.values():
                option.complaint(0)
    except UsageError as error:
        code = "E105" if not is_code else "E107" if setting.allow_code else "E106"
        complaints.add(code, named, error.message, error.hint)
    except Exception as error:  # a user's file may raise anything when it is imported
        if not is_code:
            raise
        message = f"'{name}' cannot be loaded: {type(error).__name__}: {str(error)[:200]}."
        complaints.add("E107", named, message)
    else:
        return options
    return None


def _names(
    table: Mapping[str, Any], at: At, setting: Setting, default: str
) -> Sequence[str] | None:
    complaints = setting.complaints
    if "name" in table and "one_of" in table:
        message = f"[{dotted(at)}] has both name and one_of."
        complaints.add("E113", (*at, "one_of"), message, "Drop one.")
        return None
    if "one_of" in table:
        return check_names(table["one_of"], (*at, "one_of"), complaints)
    name = table.get("name", default)
    if not isinstance(name, str):
        what = f"{subject((*at, 'name'))} must be text, not {show(name)}."
        complaints.add("E201", (*at, "name"), what)
        return None
    if not name:
        message = f"[{dotted(at)}] names no component."
        complaints.add("E103", at, message, "Give name or one_of.")
        return None
    return [name]


def check_names(value: object, at: At, complaints: Complaints) -> Sequence[str] | None:
    """An array of different names, or None, with a complaint."""
    is_list = isinstance(value, list) and all(isinstance(each, str) and each for each in value)
    if not isinstance(value, list) or not is_list or not value:
        message = f"{subject(at)} must be an array of names, not {show(value)}."
        complaints.add("E112", at, message)
        return None
    doubled = sorted({name for name in value if value.count(name) > 1})
    if doubled:
        complaints.add("E112", at, f"{subject(at)} names {quote(doubled)} twice.")
        return None
    return value


def _shared(
    kind: str, inline: Mapping[str, Any], loaded: Mapping[str, Options], *, at: At, setting: Setting
) -> dict[str, Any]:
    """The options in the table itself that every alternative knows; complain of the others."""
    shared, complaints = {}, setting.complaints
    for key, value in inline.items():
        knowing = [name for name, options in loaded.items() if key in options]
        strange = [name for name in loaded if name not in knowing]
        if not strange:
            shared[key] = value
        elif knowing:
            message = f"option '{key}' in [{dotted(at)}] is shared, but not known to"
            hint = f"Move it to [{dotted((*at, knowing[0]))}]."
            complaints.add("E111", (*at, key), f"{message} {quote(strange)}.", hint)
        elif isinstance(value, dict) and not any(each in value for each in RANGES):
            _add_unused(key, kind, at, setting)
        else:
            own = [name for options in loaded.values() for name in options]
            known = list(dict.fromkeys(["name", "one_of", *own]))
            message = f"unknown option {show(key)} in [{dotted(at)}]."
            complaints.add("E101", (*at, key), message, components.nearest(key, known))
    return shared


def _add_unused(key: str, kind: str, at: At, setting: Setting) -> None:
    """Complain of a table below a component's that no alternative has."""
    path, known = (*at, key), components.names(kind)
    if key in known or ".py:" in key:
        message = f"[{dotted(path)}] is not used: [{dotted(at)}] does not name '{key}'."
        setting.complaints.add("E109", path, message, "Name it in one_of or drop the table.")
    else:
        hint = components.nearest(key, known)
        setting.complaints.add("E102", path, f"unknown table [{dotted(path)}].", hint)


def _check_known(given: Mapping[str, Any], options: Options, at: At, setting: Setting) -> None:
    for key in given:
        if key not in options:
            hint = components.nearest(key, list(options)) if options else "It has no options."
            message = f"unknown option {show(key)} in [{dotted(at)}]."
            setting.complaints.add("E101", (*at, key), message, hint)


def _check_once(
    own: Mapping[str, Any], shared: Mapping[str, Any], at: At, setting: Setting
) -> None:
    for key in own:
        if key in shared:
            message = f"option '{key}' is given in [{dotted(at)}] and in [{dotted(at[:-1])}]."
            setting.complaints.add("E110", (*at, key), message, "Drop one.")


def _bind_options(
    name: str,
    options: Options,
    given: Mapping[str, tuple[At, Mapping[str, Options], Any]],
    *,
    at: At,
    setting: Setting,
) -> dict[str, Any]:
    """Every option in the order of the signature: a literal or a range."""
    bound: dict[str, Any] = {}
    for option in options.values():
        if option.name not in given:
            bound.update(_default(name, option, at, setting))
            continue
        table, sharing, value = given[option.name]
        fits = _fits(option.name, sharing)
        checked = check_value(value, Spot((*table, option.name), fits, setting.complaints))
        if checked is not None:
            is_range = isinstance(checked, Range)
            bound[option.name] = checked if is_range else option.parse(checked)
    return bound


def _default(name: str, option: Option, at: At, setting: Setting) -> dict[str, Any]:
    if option.is_required:
        message = f"[{dotted(at)}] lacks the option '{option.name}', which '{name}' needs."
        setting.complaints.add("E104", at, message)
    is_plain = isinstance(option.default, bool | int | float | str | tuple)
    return {option.name: option.default} if is_plain else {}


def _fits(option: str, sharing: Mapping[str, Options]) -> Fits:
    """What is wrong with a value for the alternatives that share an option, each named."""

    def fits(value: object) -> str:
        each = {name: options[option].complaint(value) for name, options in sharing.items()}
        if len(set(each.values())) == 1:
            return next(iter(each.values()))
        return "; ".join(f"{text} (for '{name}')" for name, text in each.items() if text)

    return fits
