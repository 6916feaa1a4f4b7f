"""Whole exports: a table with missing cells, an image, a number; and predict.py by itself."""

import csv
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from finished import call
from torch import Tensor, nn

from nnsearch.errors import DataError, IntegrityError, StoreError, UsageError
from nnsearch.exporting.folder import write_export
from nnsearch.exporting.onnx import onnx
from nnsearch.exporting.parity import torch_predictions
from nnsearch.exporting.predictor import Predictor
from nnsearch.exporting.runtime import load_predictor
from nnsearch.signature import Column, Signature

# Runs a script as `python -I` would, where nothing but numpy and onnxruntime may be imported.
_ALONE = """
import runpy, sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "pandas", "sklearn", "nnsearch", "onnx", "scipy"}:
            raise AssertionError(f"predict.py imported {name}")
sys.meta_path.insert(0, Forbidden())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class TableTransform(nn.Module):
    """Columns 0 and 1 imputed and scaled, column 2 one-hot with a column for the rest."""

    mean: Tensor
    scale: Tensor
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([1e6, -2.0], dtype=torch.float64))
        self.register_buffer("scale", torch.tensor([3.0, 0.5], dtype=torch.float64))
        self.register_buffer("seen", torch.tensor([0.0, 1.0], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        numbers = x[:, :2]
        is_missing = torch.isnan(numbers)
        scaled = torch.where(is_missing, 0.0, (numbers - self.mean) / self.scale)
        is_seen = torch.eq(x[:, 2:3], self.seen)
        is_other = ~is_seen.any(dim=1, keepdim=True)
        parts = [scaled, is_missing, is_seen, is_other]
        return torch.cat([part.to(torch.float32) for part in parts], dim=1)


class ImageTransform(nn.Module):
    """Bytes to numbers from 0 to 1."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.to(torch.float32) / 255


class Rescale(nn.Module):
    """A standardised output back to the target's unit."""

    def forward(self, outputs: Tensor) -> Tensor:  # noqa: D102
        return outputs * 77.0 + 152.0


@dataclass(frozen=True)
class Case:
    """A predictor with raw rows for it."""

    predictor: Predictor
    inputs: np.ndarray
    signature: Signature


COLUMNS = (
    Column("mass, kg"),
    Column("age"),
    Column("colour", "categorical", ("red", "dark blue", "7")),
)
LABELS = ("no", "yes, often", "ä")


def table_rows() -> np.ndarray:
    generator = np.random.default_rng(1)
    numbers = generator.normal([1e6, -2.0], [3.0, 0.5], size=(256, 2))
    rows = np.column_stack([numbers, generator.integers(0, 3, 256).astype(np.float64)])
    rows[generator.random(rows.shape) < 0.1] = np.nan
    return rows


def mlp(outputs: int) -> nn.Module:
    layers = [nn.Linear(7, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(16, outputs))


def make_case(kind: str) -> Case:
    torch.manual_seed(0)
    if kind == "classes":
        predictor = Predictor(TableTransform(), mlp(3), nn.Softmax(dim=1))
        signature = Signature("table", (3,), "float64", "answer", COLUMNS, LABELS)
        return Case(predictor, table_rows(), signature)
    if kind == "number":
        predictor = Predictor(TableTransform(), mlp(1), Rescale())
        return Case(predictor, table_rows(), Signature("table", (3,), "float64", "y", COLUMNS))
    head = [nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)]
    cnn = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), *head)
    images = np.random.default_rng(2).integers(0, 256, (256, 1, 8, 8), dtype=np.uint8)
    signature = Signature("image", (1, 8, 8), "uint8", "digit", (), LABELS)
    return Case(Predictor(ImageTransform(), cnn, nn.Softmax(dim=1)), images, signature)


@dataclass(frozen=True)
class Export:
    """A case that was exported."""

    case: Case
    folder: Path
    wanted: np.ndarray


def export(case: Case, folder: Path) -> Path:
    facts = {"task": "t", "study": "s", "trial": 7, "metrics": {"loss": 0.5, "bad": float("nan")}}
    return write_export(case.predictor, case.inputs[:4], case.inputs, case.signature, folder, facts)


@pytest.fixture(scope="session")
def make_export(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Export]:
    """An export a kind, made once, for it takes seconds; nobody may change it."""

    @cache
    def make(kind: str) -> Export:
        case = make_case(kind)
        folder = export(case, tmp_path_factory.mktemp(kind) / "champion")
        return Export(case, folder, torch_predictions(case.predictor, case.inputs))

    return make


@pytest.fixture(params=["classes", "number", "image"])
def exported(request: pytest.FixtureRequest, make_export: Callable[[str], Export]) -> Export:
    return make_export(request.param)


@pytest.fixture
def classes(make_export: Callable[[str], Export]) -> Export:
    return make_export("classes")


@pytest.fixture
def image(make_export: Callable[[str], Export]) -> Export:
    return make_export("image")


def as_text(column: Column, cell: float) -> str:
    if np.isnan(cell):
        return ""
    return column.categories[int(cell)] if column.categories else repr(float(cell))


def write_input(case: Case, path: Path) -> Path:
    """The inputs of a case as a person would send them; columns in another order, one too many."""
    if case.signature.kind == "image":
        path = path.with_suffix(".npy")
        np.save(path, case.inputs)
        return path
    columns = case.signature.columns
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["note", *(column.name for column in reversed(columns))])
        for row in case.inputs:
            cells = map(as_text, columns, row)
            writer.writerow(["x", *reversed(list(cells))])
    return path


def predict_alone(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", _ALONE, str(folder / "predict.py")]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def read_predictions(text: str) -> tuple[list[str], np.ndarray, list[str]]:
    """The header, the numbers and the labels of what predict.py wrote."""
    header, *rows = csv.reader(text.splitlines())
    if header == ["prediction"]:
        return header, np.array(rows, dtype=np.float64), []
    return header, np.array([row[1:] for row in rows], dtype=np.float64), [row[0] for row in rows]


def test_predict_script_alone_says_what_torch_says(exported: Export, tmp_path: Path) -> None:
    source = write_input(exported.case, tmp_path / "rows.csv")
    done = predict_alone(exported.folder, source, "--output", tmp_path / "out.csv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    header, numbers, labels = read_predictions((tmp_path / "out.csv").read_text("utf-8"))
    assert len(numbers) == 256
    scale = np.maximum(1.0, np.abs(exported.wanted))
    assert np.max(np.abs(numbers - exported.wanted) / scale) <= 1e-5
    if exported.case.signature.labels:
        assert header == ["label", *(f"probability_{label}" for label in LABELS)]
        assert labels == [LABELS[i] for i in exported.wanted.argmax(axis=1)]


def test_the_sample_and_the_readme_can_be_used_as_they_are(exported: Export) -> None:
    sample = next(exported.folder.glob("sample.*"))
    assert f"python predict.py {sample.name}" in (exported.folder / "README.txt").read_text("utf-8")
    done = predict_alone(exported.folder, sample)
    assert done.returncode == 0, done.stderr
    _, numbers, _ = read_predictions(done.stdout)
    assert np.allclose(numbers, exported.wanted[:4], rtol=1e-5, atol=1e-5)


def test_load_predictor_says_what_torch_says(exported: Export, tmp_path: Path) -> None:
    predictor = load_predictor(exported.folder)
    assert predictor.signature == exported.case.signature
    scale = np.maximum(1.0, np.abs(exported.wanted))
    for predictions in (
        predictor.predict(exported.case.inputs),
        predictor.predict_file(write_input(exported.case, tmp_path / "rows.csv")),
    ):
        assert predictions.shape == exported.wanted.shape
        assert np.max(np.abs(predictions - exported.wanted) / scale) <= 1e-5


@pytest.mark.parametrize("num_rows", [0, 1, 2, 1023, 1025])
def test_any_number_of_rows_can_be_predicted(classes: Export, num_rows: int) -> None:
    rows = np.resize(classes.case.inputs, (num_rows, 3))
    wanted = torch_predictions(classes.case.predictor, rows)
    predictions = load_predictor(classes.folder).predict(rows)
    assert predictions.shape == (num_rows, 3)
    assert np.allclose(predictions, wanted, rtol=0, atol=1e-5)


def test_the_manifest_says_what_is_in_the_folder(exported: Export) -> None:
    manifest = json.loads(
        (exported.folder / "manifest.json").read_text(), parse_constant=pytest.fail
    )
    names = {path.name for path in exported.folder.iterdir()}
    assert set(manifest["files"]) == names - {"manifest.json"}
    assert {"model.onnx", "predict.py", "README.txt"} < names
    for name, facts in manifest["files"].items():
        assert facts["size"] == (exported.folder / name).stat().st_size
    assert Signature.from_json(manifest["signature"]) == exported.case.signature
    assert manifest["labels"] == list(exported.case.signature.labels)
    assert (manifest["format"], manifest["study"], manifest["trial"]) == (1, "s", 7)
    assert manifest["metrics"] == {"loss": 0.5, "bad": None}
    assert manifest["parity"]["num_rows"] == 256
    assert manifest["parity"]["largest_difference"] <= 1e-5 * np.abs(exported.wanted).max().clip(1)
    assert manifest["versions"]["torch"] == torch.__version__


def test_a_table_may_be_rows_of_cells_or_a_data_frame(classes: Export) -> None:
    predictor = load_predictor(classes.folder)
    rows: list[dict[str, str | float | None]] = [
        {"age": -2.5, "mass, kg": 1e6 + 2, "colour": "dark blue", "more": 1.0},
        {"age": "-2.5", "mass, kg": "1000002.0", "colour": " dark blue "},
        {"age": None, "mass, kg": 1e6, "colour": "never seen"},
        {"age": float("nan"), "mass, kg": "NA", "colour": None},
        {"age": -1, "mass, kg": 1e6, "colour": 7.0},
    ]
    encoded = np.array(
        [
            [1e6 + 2, -2.5, 1],
            [1e6 + 2, -2.5, 1],
            [1e6, np.nan, np.nan],
            [np.nan, np.nan, np.nan],
            [1e6, -1, 2],
        ]
    )
    wanted = torch_predictions(classes.case.predictor, encoded)
    for answers in (predictor.predict_table(rows), predictor.predict_table(pd.DataFrame(rows))):
        assert [answer["label"] for answer in answers] == [LABELS[i] for i in wanted.argmax(axis=1)]
        given = [[answer["probabilities"][label] for label in LABELS] for answer in answers]
        assert np.allclose(given, wanted, rtol=0, atol=1e-5)
    assert predictor.predict_table([]) == []


def test_a_data_frame_keeps_its_own_kinds_of_missing_cells(classes: Export) -> None:
    frame = pd.DataFrame(
        {
            "mass, kg": pd.array([1_000_001, None], dtype="Int64"),
            "age": [-2.0, np.nan],
            "colour": pd.Categorical(["red", None]),
        }
    )
    encoded = np.array([[1_000_001, -2.0, 0], [np.nan, np.nan, np.nan]])
    answers = load_predictor(classes.folder).predict_table(frame)
    given = [list(answer["probabilities"].values()) for answer in answers]
    wanted = torch_predictions(classes.case.predictor, encoded)
    assert np.allclose(given, wanted, rtol=0, atol=1e-5)


def test_an_absent_column_is_named_with_what_is_near(classes: Export) -> None:
    with pytest.raises(DataError) as caught:
        load_predictor(classes.folder).predict_table([{"mass, kg": 1.0, "color": "red"}])
    text = str(caught.value)
    assert "column 'age' is absent" in text
    assert "column 'colour' is absent. Is it 'color'?" in text


TABLE = "mass, kg".join('""')


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"{TABLE},age\n1,2\n", "column 'colour' is absent"),
        ("mass;age;colour\n1;2;red\n", "The input has: 'mass;age;colour'. Is the delimiter right?"),
        (f"{TABLE},age,colour\n1,2\n", "bad.csv:2: 2 cells where the first line has 3"),
        (f"{TABLE},age,colour\n1,two,red\n", "row 1, column 'age': 'two' is not a finite number"),
        (f"{TABLE},age,colour\n1,1e999,red\n", "row 1, column 'age': '1e999' is not a finite"),
        (f"{TABLE},age,colour\n1,1_0,red\n", "row 1, column 'age': '1_0' is not a finite number"),
        (f"{TABLE},age,colour,age\n1,2,red,3\n", "has two columns of one name"),
        (f'{TABLE},age,colour\n1,2,"red\n', "is no CSV file"),
        ("", "is empty"),
        ("\udcff", "is no CSV file in UTF-8"),
    ],
)
def test_a_bad_table_is_refused_in_words(
    classes: Export, tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    done = predict_alone(classes.folder, path)
    assert done.returncode == 3
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    with pytest.raises(DataError, match="error"):
        load_predictor(classes.folder).predict_file(path)


def test_categories_unknown_in_training_are_told_on_standard_error(
    classes: Export,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "rows.csv"
    colours = ["red", "gold", "7", "", "NA", " blue"]
    path.write_text("\n".join(['age,colour,"mass, kg"', *(f"1,{each},2" for each in colours)]))
    told = (
        "column 'colour': 2 of 6 rows hold a value unknown in training, such as 'gold';"
        " it counts as missing.\n"
    )
    assert call(["predict", classes.folder, path], monkeypatch) == 0
    ours, alone = capsys.readouterr(), predict_alone(classes.folder, path)
    assert ours.err == f"warning: {told}"
    assert (alone.returncode, alone.stderr) == (0, ours.err)
    lines = ours.out.splitlines()[1:]
    assert alone.stdout.splitlines()[1:] == lines
    assert lines[1] == lines[3] == lines[5], "as where the cell is missing"
    path.write_text("\n".join(path.read_text().replace(" blue", "").splitlines()[:2]))
    assert call(["predict", classes.folder, path], monkeypatch) == 0
    assert capsys.readouterr().err == ""


def test_a_parquet_file_is_to_be_written_as_csv(classes: Export, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1\xf3")
    with pytest.raises(DataError, match="Write the table as CSV"):
        load_predictor(classes.folder).predict_file(tmp_path / "rows.parquet")


def test_a_table_of_another_delimiter_with_a_byte_order_mark_is_read(
    classes: Export, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\ufeffage; colour ;mass, kg\n-2;red;1000000\n\n", encoding="utf-8")
    predictions = load_predictor(classes.folder).predict_file(path, delimiter=";")
    wanted = torch_predictions(classes.case.predictor, np.array([[1e6, -2, 0]]))
    assert np.allclose(predictions, wanted, rtol=0, atol=1e-5)


def test_images_come_as_arrays_of_several_shapes_and_as_pixels(
    image: Export, tmp_path: Path
) -> None:
    images = image.case.inputs[:3]
    flat = images.reshape(3, -1)
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(3))
    np.save(tmp_path / "b.npy", flat.astype(np.float64))
    np.save(tmp_path / "c.npy", images[:, 0].astype(np.int64))
    np.savetxt(tmp_path / "d.csv", flat, fmt="%d", delimiter=",")
    header = ",".join(f"pixel{i}" for i in range(64))
    np.savetxt(tmp_path / "e.csv", flat, fmt="%d", delimiter=",", header=header, comments="")
    predictor = load_predictor(image.folder)
    for name in ("a.npz", "b.npy", "c.npy", "d.csv", "e.csv"):
        predictions = predictor.predict_file(tmp_path / name)
        assert np.allclose(predictions, image.wanted[:3], rtol=0, atol=1e-5), name


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), "wanted is [N, 1, 8, 8]"),
        (np.zeros(64, np.uint8), "wanted is [N, 1, 8, 8]"),
        (np.zeros((), np.uint8), "wanted is [N, 1, 8, 8]"),
        (np.full((1, 8, 8), 0.5), "values that uint8 cannot"),
        (np.full((1, 8, 8), -1), "values that uint8 cannot"),
        (np.full((1, 8, 8), np.nan), "values that uint8 cannot"),
        (np.full((1, 8, 8), "7"), "the input holds <U1"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(
    image: Export, inputs: np.ndarray, said: str
) -> None:
    with pytest.raises(DataError) as caught:
        load_predictor(image.folder).predict(inputs)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["bad.npy", "bad.npz"])
def test_a_file_that_is_no_array_is_refused(image: Export, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not numpy")
    done = predict_alone(image.folder, tmp_path / name)
    assert done.returncode == 3
    assert "is no numpy file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_prediction_that_is_not_finite_is_refused(
    make_export: Callable[[str], Export],
) -> None:
    folder = make_export("number").folder
    with pytest.raises(DataError, match="row 2: the prediction is not finite"):
        load_predictor(folder).predict(np.array([[1e6, 0, 0], [1e200, 0, 0]]))


def test_a_table_is_not_sent_to_a_model_of_images(image: Export) -> None:
    with pytest.raises(UsageError, match="takes images"):
        load_predictor(image.folder).predict_table([{"a": 1.0}])


def test_an_absent_input_is_said(classes: Export, tmp_path: Path) -> None:
    done = predict_alone(classes.folder, tmp_path / "absent.csv")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: ")
    assert "absent.csv" in done.stderr
    with pytest.raises(UsageError, match="there is no file"):
        load_predictor(classes.folder).predict_file(tmp_path / "absent.csv")


@pytest.fixture
def copied(classes: Export, tmp_path: Path) -> Path:
    return Path(shutil.copytree(classes.folder, tmp_path / "copied"))


@pytest.mark.parametrize("name", ["model.onnx", "predict.py", "README.txt", "sample.csv"])
def test_one_changed_bit_is_noticed(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(IntegrityError, match="sha256"):
        load_predictor(copied)


def test_the_script_does_not_load_a_changed_model(copied: Path) -> None:
    with (copied / "model.onnx").open("ab") as file:
        file.write(b"\0")
    done = predict_alone(copied, copied / "sample.csv")
    assert (done.returncode, done.stdout) == (6, "")
    assert "was changed" in done.stderr


def test_a_missing_file_is_noticed(copied: Path) -> None:
    (copied / "model.onnx").unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        load_predictor(copied)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "files": {}}', "\0"])
def test_a_damaged_manifest_is_noticed(copied: Path, text: str) -> None:
    (copied / "manifest.json").write_text(text)
    with pytest.raises(IntegrityError, match="is damaged"):
        load_predictor(copied)


def test_a_manifest_names_no_file_outside_of_the_export(copied: Path) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["files"]["../secret"] = manifest["files"]["README.txt"]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    shutil.copy(copied / "README.txt", copied.parent / "secret")
    with pytest.raises(IntegrityError, match="outside"):
        load_predictor(copied)


def test_a_newer_format_is_refused(copied: Path) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    (copied / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(UsageError, match="format 2"):
        load_predictor(copied)


def test_a_folder_that_is_no_export_is_a_usage_error(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UsageError, match="no export"):
            load_predictor(folder)


def copy_of(made: Export) -> Callable[[nn.Module, np.ndarray, Path], Path]:
    """An exporter that takes no seconds: it copies the model of an export."""

    def export(predictor: nn.Module, example: np.ndarray, folder: Path) -> Path:
        return Path(shutil.copy(made.folder / "model.onnx", folder))

    return export


def export_again(made: Export, folder: Path) -> Path:
    case = made.case
    return write_export(
        case.predictor,
        case.inputs[:2],
        case.inputs,
        case.signature,
        folder,
        {},
        export=copy_of(made),
    )


def test_an_export_replaces_the_one_before_and_leaves_nothing_else(
    make_export: Callable[[str], Export], tmp_path: Path
) -> None:
    folder = tmp_path / "exports" / "champion"
    export_again(make_export("classes"), folder)
    (tmp_path / "exports" / ".champion.abcd1234.tmp").mkdir()
    sibling = tmp_path / "exports" / ".champion.old.abcd1234.tmp"
    sibling.mkdir()
    assert export_again(make_export("number"), folder) == folder
    assert load_predictor(folder).signature.target == "y"
    assert set((tmp_path / "exports").iterdir()) == {folder, sibling}


def test_what_was_moved_aside_by_a_killed_export_is_put_back(
    classes: Export, tmp_path: Path
) -> None:
    folder = export_again(classes, tmp_path / "champion")
    folder.rename(tmp_path / ".champion.replaced.tmp")
    case = make_case("number")
    with pytest.raises(UsageError, match="two rows"):
        write_export(case.predictor, case.inputs[:1], case.inputs, case.signature, folder, {})
    assert load_predictor(folder).signature.target == "answer"
    assert list(tmp_path.iterdir()) == [folder]


def test_cells_are_read_as_the_source_read_them(classes: Export, tmp_path: Path) -> None:
    folder = tmp_path / "champion"
    case = classes.case
    facts = {"reading": {"missing": ["-999"], "decimal": ","}}
    write_export(
        case.predictor,
        case.inputs[:2],
        case.inputs,
        case.signature,
        folder,
        facts,
        export=copy_of(classes),
    )
    path = tmp_path / "rows.csv"
    path.write_text("mass, kg;age;colour\n1000000,5;-999;red\n")
    done = predict_alone(folder, path, "--delimiter", ";")
    assert done.returncode == 0, done.stderr
    _, numbers, _ = read_predictions(done.stdout)
    wanted = torch_predictions(case.predictor, np.array([[1_000_000.5, np.nan, 0]]))
    assert np.allclose(numbers, wanted, rtol=0, atol=1e-5)


def test_a_model_that_is_not_what_torch_says_is_not_exported(tmp_path: Path) -> None:
    def other(predictor: nn.Module, example: np.ndarray, folder: Path) -> Path:
        changed = make_case("classes").predictor
        with torch.no_grad():
            next(iter(changed.model.parameters())).mul_(1.01)
        return onnx(changed, example, folder)

    case = make_case("classes")
    rows, folder = case.inputs, tmp_path / "champion"
    with pytest.raises(IntegrityError, match="differ by"):
        write_export(case.predictor, rows[:2], rows, case.signature, folder, {}, export=other)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_not_replaced(classes: Export, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not empty and no export"):
        export_again(classes, tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="not a folder"):
        export_again(classes, tmp_path / "link")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_disk_that_refuses_is_a_store_error(classes: Export, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the export"):
        export_again(classes, tmp_path / "file" / "champion")


def test_who_may_read_the_parent_may_read_the_export(classes: Export, tmp_path: Path) -> None:
    for mode in (0o755, 0o700):
        parent = tmp_path / oct(mode)
        parent.mkdir(mode=mode)
        folder = export_again(classes, parent / "champion")
        assert folder.stat().st_mode & 0o777 == mode
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {mode & 0o644}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_predict_script_in_a_fresh_environment(exported: Export, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "-q", "install", "numpy", "onnxruntime"], check=True)
    source = write_input(exported.case, tmp_path / "rows.csv")
    command = [python, exported.folder / "predict.py", source]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    _, numbers, _ = read_predictions(done.stdout)
    scale = np.maximum(1.0, np.abs(exported.wanted))
    assert np.max(np.abs(numbers - exported.wanted) / scale) <= 1e-5
