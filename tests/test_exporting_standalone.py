"""What an export says of its predictions, and the program that is put together for it."""

import ast
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest

from nnsearch.exporting.script import script
from nnsearch.exporting.standalone import describe, to_csv


def manifest(
    labels: tuple[str, ...] = (), names: tuple[str, ...] = (), **facts: str
) -> dict[str, Any]:
    return {"labels": list(labels), "signature": {"names": list(names)}, **facts}


def test_several_numbers_are_called_by_their_names() -> None:
    named = manifest(names=("happy", "sad"))
    predictions = np.array([[0.25, 0.75], [0.5, 1.0]])
    assert describe(predictions, named)[0] == {"happy": 0.25, "sad": 0.75}
    assert to_csv(predictions, named) == "happy,sad\n0.25,0.75\n0.5,1.0\n"
    assert to_csv(predictions, manifest()).splitlines()[0] == "prediction_1,prediction_2"
    assert to_csv(predictions[:, :1], manifest()).splitlines()[0] == "prediction"
    assert to_csv(predictions[:0], named) == "happy,sad\n"


def test_how_odd_a_row_is_is_called_a_score_and_no_probability() -> None:
    labels = ("normal", "anomaly")
    predictions = np.array([[0.75, 0.25], [0.125, 0.875]])
    of_task = manifest(labels, task="anomaly")
    assert describe(predictions, of_task) == [
        {"label": "normal", "score": 0.25},
        {"label": "anomaly", "score": 0.875},
    ]
    assert to_csv(predictions, of_task) == "label,score\nnormal,0.25\nanomaly,0.875\n"
    header = to_csv(predictions, manifest(labels, task="classification")).splitlines()[0]
    assert header == "label,probability_normal,probability_anomaly"


@pytest.fixture(scope="module")
def program() -> ast.Module:
    return ast.parse(script())


def names_of(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if not isinstance(statement, ast.Assign):
        return []
    nodes = [node for target in statement.targets for node in ast.walk(target)]
    return [node.id for node in nodes if isinstance(node, ast.Name)]


def test_the_parts_of_the_program_do_not_take_names_from_each_other(program: ast.Module) -> None:
    defined = [name for each in program.body for name in names_of(each)]
    assert [name for name, count in Counter(defined).items() if count > 1] == []
    assert {"main", "encode", "decode", "read_inputs", "MODEL"} <= set(defined)


def test_the_program_imports_nothing_of_nnsearch(program: ast.Module) -> None:
    modules = {
        (each.module or "").split(".")[0]
        for each in ast.walk(program)
        if isinstance(each, ast.ImportFrom)
    } | {
        alias.name.split(".")[0]
        for each in ast.walk(program)
        if isinstance(each, ast.Import)
        for alias in each.names
    }
    assert "nnsearch" not in modules
    assert modules - {"numpy", "onnxruntime", "PIL"} <= sys.stdlib_module_names
    assert ast.get_docstring(program)
