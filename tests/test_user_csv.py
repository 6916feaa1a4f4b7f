"""What a person does with a table of their own, through the command line and with no Python."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NUM_ROWS, NUM_FRESH = 400, 200
HEADER = ["customer_id", "age", "income", "city", "plan", "country", "bought"]
# What a person may answer, by city: the part of the rule that only the categories know.
CITIES = {"Bonn": -0.9, "Graz": 0.9, "Basel": 0.0, "Köln, Süd": 0.4}


def rows(num_rows: int, seed: int, first: int) -> list[list[str]]:
    """Customers whose answer follows from age, city and plan; some cells are missing."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(first, first + num_rows):
        age, income = generator.normal(45, 12), generator.lognormal(10, 0.5)
        city = str(generator.choice(list(CITIES)))
        plan = str(generator.choice(["free", "pro"]))
        score = (age - 45) / 8 + CITIES[city] + (0.8 if plan == "pro" else -0.8)
        answer = "yes" if score > 0 else "no"
        cells = ["" if generator.random() < 0.05 else f"{age:.1f}", f"{income:.2f}"]
        cells += ["NA" if generator.random() < 0.05 else city, plan]
        made.append([str(number), *cells, "DE", answer])
    return made


def write(path: Path, table: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def nnsearch(place: Path, *words: str) -> Any:
    """The JSON document that a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", *words, "--json"],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the table, the study written for it and run, and an export of the best."""
    folder = tmp_path_factory.mktemp("own table")
    write(folder / "customers.csv", [HEADER, *rows(NUM_ROWS, seed=1, first=1000)])
    written = nnsearch(folder, "new", "customers.csv", "--target", "bought")
    assert written == {"study_file": "customers.toml"}
    nnsearch(folder, "check", "customers.toml")
    quick = ["--trials", "6", "--workers", "1", "--set", "training.epochs=25"]
    quick += ["--set", 'model={name="mlp", width={choice=[16, 32]}}']
    quick += ["--set", "optimizer={name='adamw', lr={float=[3e-3, 3e-2], log=true}}"]
    result = nnsearch(folder, "run", "customers.toml", *quick)
    assert result["counts"]["failed"] == 0
    assert sum(result["counts"].values()) == 6
    exported = nnsearch(folder, "export", "customers.toml")
    (folder / "export.txt").write_text(exported["folder"])
    return folder


def predict(place: Path, table: list[list[str]]) -> list[dict[str, str]]:
    """The answers file of `nnsearch predict` for these rows, header first."""
    write(place / "new rows.csv", table)
    export = (place / "export.txt").read_text()
    nnsearch(place, "predict", export, "new rows.csv", "--out", "answers.csv")
    return read(place / "answers.csv")


def probabilities(answer: dict[str, str]) -> list[float]:
    return [float(answer[f"probability_{label}"]) for label in ("no", "yes")]


def test_fresh_rows_are_predicted_well_above_chance(place: Path) -> None:
    fresh = rows(NUM_FRESH, seed=2, first=9000)
    answers = predict(place, [HEADER[:-1], *(row[:-1] for row in fresh)])
    assert len(answers) == NUM_FRESH
    assert {answer["label"] for answer in answers} == {"yes", "no"}
    for answer in answers:
        both = probabilities(answer)
        assert sum(both) == pytest.approx(1, abs=1e-5)
        assert answer["label"] == ("no", "yes")[int(np.argmax(both))]
    truth = [row[-1] for row in fresh]
    num_right = sum(answer["label"] == true for answer, true in zip(answers, truth, strict=True))
    most_frequent = max(truth.count("yes"), truth.count("no"))
    assert num_right > max(0.8 * NUM_FRESH, most_frequent + 0.15 * NUM_FRESH)


def test_unseen_categories_and_missing_cells_are_predicted(place: Path) -> None:
    header = ["plan", "income", "age", "city"]  # another order, and no column that was dropped
    table = [
        header,
        ["pro", "30000", "45", "Reykjavík"],
        ["pro", "30000", "45", ""],
        ["", "", "", "NA"],
        ["pro", "30000", "80", "Graz"],
        ["free", "30000", "15", "Bonn"],
    ]
    answers = predict(place, table)
    assert all(np.isfinite(probabilities(answer)).all() for answer in answers)
    assert answers[0] == answers[1], "a category that nobody knows counts as missing"
    assert [answer["label"] for answer in answers[3:]] == ["yes", "no"]


def test_a_column_that_was_dropped_is_no_input_of_the_export(place: Path) -> None:
    export = Path((place / "export.txt").read_text())
    manifest = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    names = [column["name"] for column in manifest["signature"]["columns"]]
    assert names == ["age", "income", "city", "plan"]
    assert manifest["labels"] == ["no", "yes"]


def test_a_row_with_a_cell_too_many_is_named_before_anything_is_written(tmp_path: Path) -> None:
    table = [HEADER, *rows(40, seed=3, first=1)]
    table[17].append("one more")
    write(tmp_path / "broken.csv", table)
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", "new", "broken.csv", "--target", "bought"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 3
    assert "broken.csv:18: error[E314]" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["broken.csv"]
