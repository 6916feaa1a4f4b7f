"""`nnsearch export`: what a person reads in it of how good the model is."""

from pathlib import Path
from typing import Any

import pytest
from finished import copied, finished

from nnsearch.commands.export import export
from nnsearch.commands.show import show
from nnsearch.study.folder import Home, read_json


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


def told(folder: Path) -> dict[str, Any]:
    """What the manifest says of the model's origin and quality, but for the moment."""
    manifest = read_json(folder / "manifest.json")
    return {key: manifest.get(key) for key in ("study", "trial", "task", "metrics", "test")}


def test_a_run_and_an_export_asked_for_say_the_same_of_the_best_trial(
    whole: Path, own_folder: Path
) -> None:
    home = copied(whole, own_folder)
    (by_run,) = (whole / "mlruns" / "studies" / "flowers" / "exports").iterdir()
    look = read_json(Home(home).study("flowers").looks)[0]
    found = told(by_run)
    assert found["trial"] == look["trial"]
    assert found["test"] == {
        key: look[key] for key in ("num_rows", "metrics", "intervals", "notes")
    }
    assert "valid/accuracy" in found["metrics"]
    assert told(export("flowers", home=home)) == found


def test_the_readme_tells_the_test_result_with_its_interval_and_no_learning_rate(
    whole: Path,
) -> None:
    (folder,) = (whole / "mlruns" / "studies" / "flowers" / "exports").iterdir()
    test = told(folder)["test"]
    test_part, _, rest = (folder / "README.txt").read_text("utf-8").partition("On the validation")
    assert "On the 30 rows of the test split" in test_part
    (low, high), value = test["intervals"]["accuracy"], test["metrics"]["accuracy"]
    quality = test_part.partition("How good it is")[2]
    lines = [line.split(maxsplit=1) for line in quality.splitlines()]
    assert ["accuracy", f"{value:.4g} [{low:.4g}, {high:.4g}]"] in lines
    assert "valid/accuracy" in rest
    assert [line for line in (test_part + rest).splitlines() if line.split()[:1] == ["lr"]] == []


def test_a_trial_that_was_never_tested_says_nothing_of_a_test(
    whole: Path, own_folder: Path
) -> None:
    home = copied(whole, own_folder)
    other = show("flowers", home).trials[1]
    folder = export("flowers", trial=other.trial, home=home)
    assert told(folder)["test"] is None
    assert told(folder)["metrics"]["valid/accuracy"] == other.value
    text = (folder / "README.txt").read_text("utf-8")
    assert "rows of the test split" not in text
    assert "valid/accuracy" in text
