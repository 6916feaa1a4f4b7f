"""The JSON schema for editors: it takes what is right and refuses what is plainly wrong."""

import re
import tomllib
from functools import cache
from typing import Any

import pytest

from nnsearch import components
from nnsearch.study.json_schema import json_schema

STUDY = """
name = "digits"
[data]
source = "digits"
split = { train = 0.64, valid = 0.16, test = 0.2 }
[task]
name = "classification"
[model]
one_of = ["mlp", "cnn"]
[model.mlp]
depth = { int = [1, 3] }
width = { choice = [32, 64, 128] }
[optimizer]
one_of = ["adam", "sgd"]
lr = { float = [1e-4, 1e-1], log = true }
[training]
epochs = 20
[search]
sampler = "tpe"
trials = 40
timeout = "10m"
"""

schema = cache(json_schema)

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def accepts(rule: dict[str, Any], value: Any) -> bool:
    """As a validator of JSON schemas would judge, in as far as our schema needs it."""
    if "$ref" in rule:
        rule = schema()["$defs"]["range"]
    kinds = [rule["type"]] if isinstance(rule.get("type"), str) else rule.get("type", [])
    fits = [
        isinstance(value, TYPES[kind]) and (kind == "boolean") >= isinstance(value, bool)
        for kind in kinds
    ]
    return (
        (not kinds or any(fits))
        and ("enum" not in rule or value in rule["enum"])
        and ("const" not in rule or value == rule["const"])
        and ("anyOf" not in rule or any(accepts(each, value) for each in rule["anyOf"]))
        and ("oneOf" not in rule or sum(accepts(each, value) for each in rule["oneOf"]) == 1)
        and not ("not" in rule and accepts(rule["not"], value))
        and _fits_content(rule, value)
    )


def _fits_content(rule: dict[str, Any], value: Any) -> bool:
    if isinstance(value, dict):
        known, patterns = rule.get("properties", {}), rule.get("patternProperties", {})
        strange = [key for key in value if key not in known]
        strange = [key for key in strange if not any(re.search(each, key) for each in patterns)]
        return (
            all(key in value for key in rule.get("required", []))
            and not (strange and rule.get("additionalProperties") is False)
            and all(accepts(known[key], each) for key, each in value.items() if key in known)
        )
    if isinstance(value, list):
        few = len(value) < rule.get("minItems", 0) or len(value) > rule.get("maxItems", 999)
        contains = any(accepts(rule.get("contains", {}), each) for each in value or [0])
        return not few and contains and all(accepts(rule.get("items", {}), each) for each in value)
    if isinstance(value, str):
        return re.search(rule.get("pattern", ""), value) is not None
    low, high = rule.get("minimum", value), rule.get("maximum", value)
    above, below = rule.get("exclusiveMinimum"), rule.get("exclusiveMaximum")
    inside = (above is None or value > above) and (below is None or value < below)
    return bool(low <= value <= high and inside)


def test_a_good_study_is_accepted() -> None:
    assert accepts(schema(), tomllib.loads(STUDY))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("width", "widht"),
        ("[training]", "[trainig]"),
        ("trials = 40", "trials = 0"),
        ("trials = 40", "trials = true"),
        ('trials = 40\ntimeout = "10m"', ""),
        ("[1, 3]", "[1, 3, 5]"),
        ("[1, 3]", "[1.5, 3]"),
        ("int = [1, 3]", "int = [1, 3], float = [1, 3]"),
        ('"tpe"', '"tpee"'),
        ('"mlp", ', '"mpl", '),
        ("train = 0.64", "train = 1.0"),
        ('[task]\nname = "classification"', ""),
        ('name = "digits"', 'name = "a b"'),
    ],
)
def test_a_bad_study_is_refused(old: str, new: str) -> None:
    assert STUDY.count(old) == 1
    assert not accepts(schema(), tomllib.loads(STUDY.replace(old, new)))


def test_code_of_the_users_is_left_to_its_loading() -> None:
    text = STUDY.replace('one_of = ["mlp", "cnn"]', 'one_of = ["mlp", "a.py:b"]\nany = 1')
    assert accepts(schema(), tomllib.loads(text + '[model."a.py:b"]\nx = 1\n'))


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ("task", "tasks"),
        ("model", "models"),
        ("optimizer", "optimizers"),
        ("schedule", "schedules"),
        ("search", "samplers"),
        ("data", "sources"),
    ],
)
def test_every_option_of_every_component_is_in_it(table: str, kind: str) -> None:
    rule = schema()["properties"][table]
    tables = rule["properties"] if "properties" in rule else rule["anyOf"][1]["properties"]
    for name in components.names(kind):
        options = components.options(components.load(kind, name))
        assert list(tables[name]["properties"]) == list(options)
