"""A table with semicolons, decimal commas and a word of its own for what is missing.

The same customers stand in an ordinary table, and both must come to the same answers.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NUM_ROWS, NUM_FRESH = 240, 60
HEADER = ["age", "income", "city", "bought"]
QUICK = ("--workers", "1", "--trials", "2", "--set", "training.epochs=8")
MODEL = ("--set", 'model={name="mlp", width={choice=[8, 16]}}')


def rows(num_rows: int, seed: int) -> list[list[str]]:
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(num_rows):
        age, income = generator.normal(45, 12), generator.lognormal(1, 0.5)
        city = str(generator.choice(["Bonn", "Graz"]))
        answer = "yes" if (age - 45) / 8 + (1 if city == "Graz" else -1) > 0 else "no"
        is_missing = generator.random() < 0.1
        made.append(["" if is_missing else f"{age:.2f}", f"{income:.3f}", city, answer])
    return made


def in_own_way(table: list[list[str]]) -> list[list[str]]:
    return [[cell.replace(".", ",") or "unknown" for cell in row] for row in table]


def write(path: Path, table: list[list[str]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(table)
    return path


def run(place: Path, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two equal tables and two equal studies that differ in how the cells are written."""
    folder = tmp_path_factory.mktemp("two tables")
    table = [HEADER, *rows(NUM_ROWS, seed=1)]
    write(folder / "plain.csv", table)
    write(folder / "own.csv", in_own_way(table), ";")
    for name in ("plain", "own"):
        run(folder, "-m", "nnsearch", "new", f"{name}.csv", "--target", "bought")
        run(folder, "-m", "nnsearch", "run", f"{name}.toml", *QUICK, *MODEL)
    fresh = [row[:-1] for row in [HEADER, *rows(NUM_FRESH, seed=2)]]
    write(folder / "plain new.csv", fresh)
    write(folder / "own new.csv", in_own_way(fresh), ";")
    write(folder / "semicolons.csv", fresh, ";")
    return folder


def exported(place: Path, name: str) -> Path:
    """What `run` exported."""
    return next((place / "mlruns/studies" / name / "exports").glob("trial-*"))


def answers(place: Path, *words: object) -> list[dict[str, str]]:
    return list(csv.DictReader(run(place, *words).splitlines()))


def test_a_file_like_the_studys_own_gives_the_answers_of_the_ordinary_one(place: Path) -> None:
    wanted = answers(place, "-m", "nnsearch", "predict", "plain", "plain new.csv")
    assert len(wanted) == NUM_FRESH
    assert {each["label"] for each in wanted} == {"yes", "no"}
    assert answers(place, "-m", "nnsearch", "predict", "own", "own new.csv") == wanted
    script = exported(place, "own") / "predict.py"
    assert answers(place, script, "own new.csv") == wanted
    given = ("-m", "nnsearch", "predict", "plain", "semicolons.csv", "--delimiter", ";")
    assert answers(place, *given) == wanted


def test_an_export_made_by_hand_reads_as_that_of_the_run(place: Path) -> None:
    folder = exported(place, "own")
    first: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    made = json.loads(run(place, "-m", "nnsearch", "export", "own", "--json"))
    second = json.loads((Path(made["folder"]) / "manifest.json").read_text(encoding="utf-8"))
    assert first["reading"] == second["reading"]
    assert "unknown" in first["reading"].pop("missing")
    assert first["reading"] == {"decimal": ",", "delimiter": ";"}
    told = ("study", "trial", "task", "signature")
    assert [first[key] for key in told] == [second[key] for key in told]


def test_the_sample_and_the_readme_of_the_export_are_in_the_studys_own_way(place: Path) -> None:
    folder = exported(place, "own")
    sample = (folder / "sample.csv").read_text(encoding="utf-8").splitlines()
    assert sample[0] == "age;income;city"
    assert "." not in "".join(sample)
    assert len(answers(place, folder / "predict.py", folder / "sample.csv")) == len(sample) - 1
    readme = (folder / "README.txt").read_text(encoding="utf-8")
    assert "';' stands between the cells" in readme
    assert "'unknown'" in readme
    assert "stands between" not in (exported(place, "plain") / "README.txt").read_text()


def test_every_metric_of_the_test_rows_has_an_interval_around_it(place: Path) -> None:
    (look,) = json.loads((place / "mlruns/studies/own/test.json").read_text(encoding="utf-8"))
    assert set(look["intervals"]) == set(look["metrics"])
    assert {"accuracy", "balanced_accuracy", "log_loss", "roc_auc"} <= set(look["metrics"])
    for metric, (low, high) in look["intervals"].items():
        assert low <= look["metrics"][metric] <= high, metric
