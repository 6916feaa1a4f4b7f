"""`nnsearch components`: what the signatures say, in words."""

import json
from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt

from nnsearch import components
from nnsearch.commands.catalogue import as_document, as_text, bounds, catalogue, type_text
from nnsearch.components import Count, Unit
from nnsearch.errors import UsageError


def test_every_component_and_option_is_there() -> None:
    found = {(each.kind, each.name): each for each in catalogue()}
    for kind, names in components.BUILTINS.items():
        for name in names:
            facts = found[kind, name]
            known = components.options(components.load(kind, name))
            assert [option.name for option in facts.options] == list(known)
            assert facts.summary.endswith((".", ":")), (kind, name, facts.summary)
            assert facts.problem == ""
    document = as_document(list(found.values()))
    assert json.loads(json.dumps(document)) == json.loads(json.dumps(document, allow_nan=False))


def test_one_kind_in_the_singular_or_the_plural() -> None:
    assert catalogue("model") == catalogue("models")
    assert {each.kind for each in catalogue("models")} == {"models"}
    with pytest.raises(UsageError, match="Did you mean 'models'"):
        catalogue("modles")


def test_text_has_types_bounds_defaults_and_the_first_line() -> None:
    text = as_text(catalogue("models"))
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith("    ")}
    assert "`depth` hidden layers of `width` units" in text
    assert lines["dropout"].split() == ["dropout", "float", ">=", "0,", "<", "1", "0.0"]
    assert "relu | leaky_relu" in lines["activation"]


def test_a_task_tells_its_metrics_and_the_study_its_own_tables() -> None:
    lines = as_text(catalogue("tasks")).splitlines()
    told = lines[next(place for place, line in enumerate(lines) if "  forecasting:" in line) + 1]
    assert told == "    metrics: mase, mae, rmse, skill_seasonal, skill_last"
    tables = {each.name: each for each in catalogue("study")}
    assert {"data", "data.split", "search", "confirmation"} <= tables.keys()
    (folds,) = (each for each in tables["search"].options if each.name == "folds")
    assert folds.bounds == (">= 0", "<= 50")


def test_a_required_option_is_said_to_be_one() -> None:
    csv = next(each for each in catalogue("sources") if each.name == "csv")
    path = next(each for each in csv.options if each.name == "path")
    assert path.is_required
    assert path.default is None
    line = next(line for line in as_text([csv]).splitlines() if line.split()[:1] == ["path"])
    assert line.endswith("(required)")


@pytest.mark.parametrize(
    ("annotation", "text", "limits"),
    [
        (int, "integer", []),
        (Count, "integer", [">= 1"]),
        (Unit, "float", [">= 0", "< 1"]),
        (Annotated[float, Gt(0), Le(9)] | None, "float", ["> 0", "<= 9"]),
        (tuple[Annotated[int, Ge(1)], ...], "array of integer", [">= 1"]),
        (Literal["a", "b"], "a | b", []),
        (float | str | None, "float or string", []),
        (Annotated[bool, Lt(2)], "boolean", ["< 2"]),
        (dict[str, str], "table", []),
        (Path, "Path", []),
    ],
)
def test_an_annotation_in_words(annotation: object, text: str, limits: list[str]) -> None:
    assert type_text(annotation) == text
    assert list(bounds(annotation)) == limits


def test_a_component_that_needs_a_missing_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(components.BUILTINS["exporters"], "onnx", "nnsearch_no_such.module:onnx")
    (facts,) = catalogue("exporters")
    assert "nnsearch_no_such" in facts.problem
    assert "nnsearch_no_such" in as_text([facts])
