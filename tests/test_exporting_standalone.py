"""What an export says of its predictions, and the program that is put together for it."""

import ast
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnsearch.exporting.script import script
from nnsearch.exporting.standalone import describe, to_csv
from nnsearch.exporting.standalone_files import image_files, read_images, read_inputs
from nnsearch.exporting.standalone_rows import PredictError


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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for place, name in enumerate(("b.png", "a.png", "notes.txt")):
        if name.endswith("png"):
            Image.fromarray(np.full((4, 5), place, np.uint8)).save(tmp_path / name)
        else:
            (tmp_path / name).write_text("no image")
    return tmp_path


def of_images(kind: str = "image", **how: object) -> dict[str, Any]:
    signature = {"kind": kind, "shape": [1, 4, 5], "columns": []}
    return {"signature": signature, "labels": [], "reading": {"images": how} if how else {}}


def test_image_files_are_read_in_the_order_of_their_names(photos: Path) -> None:
    files = image_files(photos)
    assert [each.name for each in files] == ["a.png", "b.png"]
    inputs = read_images(files, of_images(fit="stretch", is_resized=False))
    assert inputs.dtype == np.uint8
    assert inputs[:, 0, 0, 0].tolist() == [1, 0]
    assert to_csv(inputs[:, 0, 0, :1], of_images(), files).splitlines() == [
        "file,prediction",
        f"{photos / 'a.png'},1.0",
        f"{photos / 'b.png'},0.0",
    ]
    assert image_files(photos / "notes.txt") == []


def test_a_table_where_an_array_is_wanted_is_told_what_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text("time,load\n2024-01-01,5\n")
    manifest = of_images(kind="series")
    with pytest.raises(PredictError, match=r"an array \[N, 1, 4, 5\] in \.npy or \.npz"):
        read_inputs(tmp_path / "load.csv", manifest, ",")


def test_images_that_do_not_fit_are_named(photos: Path) -> None:
    Image.fromarray(np.zeros((7, 5), np.uint8)).save(photos / "large.png")
    files = image_files(photos)
    with pytest.raises(PredictError, match=r"large.png has 7 x 5 pixels; wanted are 4 x 5. \(1 of"):
        read_images(files, of_images(fit="stretch", is_resized=False))
    assert read_images(files, of_images(fit="crop", is_resized=True)).shape == (3, 1, 4, 5)
    with pytest.raises(
        PredictError, match=r"not trained on image files; wanted is an array \[N, 1"
    ):
        read_images(files, of_images())
    with pytest.raises(PredictError, match="not trained on image files"):
        read_images(files, of_images("table", fit="stretch"))
