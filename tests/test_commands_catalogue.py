"""`nnsearch components`: what the signatures say, in words."""

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt

from nnsearch import components
from nnsearch.commands.catalogue import as_document, bounds, catalogue, type_text
from nnsearch.commands.catalogue_text import as_text
from nnsearch.components import Count, Unit
from nnsearch.errors import UsageError
from nnsearch.study.fingerprint import to_json
from nnsearch.study.load import load_study
from nnsearch.study.toml_text import toml

BASE: dict[str, Any] = {
    "data": {"source": "digits"},
    "task": "classification",
    "model": "linear",
    "search": {"trials": 1},
}


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


def test_a_name_is_shown_in_full() -> None:
    (mlp,) = catalogue("mlp")
    assert catalogue("model", "mlp") == [mlp]
    text = as_text([mlp])
    assert text.startswith("models mlp\n")
    for paragraph in mlp.text.split("\n\n"):
        assert " ".join(paragraph.split()) in " ".join(text.split()), "the docstring whole"
    width = "  width: integer, >= 1, <= 1048576; default 64\n      Units of each hidden layer.\n"
    assert f"{width}      To search: {{ int = [32, 128] }}\n" in text
    assert '  [model]\n  name = "mlp"\n\n  [model.mlp]\n  width = 64\n' in text
    assert max(map(len, text.splitlines())) <= 100


def test_two_components_of_one_name_are_both_shown() -> None:
    found = catalogue("constant")
    assert [each.kind for each in found] == ["models", "schedules"]
    text = as_text(found)
    assert "models constant\n" in text
    assert "\nschedules constant\n" in text
    assert [each.kind for each in catalogue("schedule", "constant")] == ["schedules"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mlq"], "no component and no kind of component 'mlq'.*Did you mean 'mlp'"),
        (["optimiser"], "Did you mean 'optimizers'"),
        (["qqqq"], "There is: sources, transforms"),
        (["models", "adam"], "no component 'adam' of the kind models.*There is: constant, linear"),
        (["modles", "mlp"], "no kind of component 'modles'.*Did you mean 'models'"),
        (["mlp", "width"], "no kind of component 'mlp'"),
    ],
    ids=" ".join,
)
def test_a_name_that_nothing_has(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        catalogue(*words)
    assert re.search(message, f"{raised.value.message} {raised.value.hint}")


def test_every_option_has_a_meaning_of_one_sentence() -> None:
    for facts in catalogue():
        for option in facts.options:
            place = facts.kind, facts.name, option.name
            assert option.meaning.endswith((".", ":")), place
            assert "\n" not in option.meaning, place


@pytest.mark.parametrize("kind", ["model", "optimizer", "schedule", "task", "training"])
def test_what_a_page_says_to_write_is_read_as_a_study(kind: str) -> None:
    """Each component with the lines of its page, first as they are, then with every range."""
    for facts in catalogue(kind):
        whole = BASE | tomllib.loads(facts.usage)
        assert load(whole)[kind] == load(BASE | short(kind, facts.name))[kind], facts.name
        table = whole["training"] if kind == "training" else whole[kind].setdefault(facts.name, {})
        ranges = {each.name: each.range for each in facts.options if each.range}
        table |= ranges
        found = load(whole)[kind]
        assert ranges.items() <= found.items(), facts.name
        assert all(each.is_searchable for each in facts.options if each.range)


def test_what_trials_are_judged_by_is_not_offered_as_a_range() -> None:
    (facts,) = (each for each in catalogue("task") if each.name == "regression")
    offered = {each.name: bool(each.range) for each in facts.options}
    assert offered["delta"]
    assert not offered["quantile"]


def short(kind: str, name: str) -> dict[str, Any]:
    return {} if kind == "training" else {kind: name}


def load(tables: dict[str, Any]) -> dict[str, Any]:
    path = Path("study.toml")
    path.write_text(toml(tables))
    return to_json(load_study(path))


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
    found = [each for each in catalogue("sources") if each.name in {"csv", "wine"}]
    path = next(each for each in found[-1].options if each.name == "path")
    assert path.is_required
    assert path.default is None
    line = next(line for line in as_text(found).splitlines() if line.split()[:1] == ["path"])
    assert line.endswith("(required)")
    assert "  path: string; required\n" in as_text(found[-1:])


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
