"""`nnsearch report`: the page says what the records say, and loads and runs nothing."""

import base64
import json
import re
import shutil
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import reported
from finished import call, copied, finished
from reported import Page, parsed

import nnsearch
from nnsearch.commands.compare_records import load, predictions_of
from nnsearch.commands.publishing import publish_report
from nnsearch.commands.report import report
from nnsearch.commands.result import Options
from nnsearch.commands.show import show
from nnsearch.errors import StoreError, UsageError
from nnsearch.reports.tables import number, with_interval
from nnsearch.study.folder import Home
from nnsearch.tasks.metrics import confusion

pytestmark = pytest.mark.timeout(300)
HOSTILE = "<script>alert(1)</script>\" onload='x' & \u202e\x1b[2J"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    return reported.ran(tmp_path_factory.getbasetemp(), repository)


def page_of(study: str, home: Path) -> Page:
    return parsed(report(study, home).read_text(encoding="utf-8"))


def assert_is_harmless(page: Page) -> None:
    """No script, no handler, nothing from elsewhere: no element and no rule that could load."""
    assert not page.all("script", "link", "iframe", "object", "embed", "base", "form")
    for each in page.elements:
        assert not [name for name in each.attributes if name.startswith("on")], each
        for name in ("href", "src", "action", "data", "poster", "srcset", "xlink:href"):
            value = each.attributes.get(name, "#")
            assert value.startswith(("#", "data:image/png;base64,")), (each.name, name, value)
        style = each.text if each.name == "style" else each.attributes.get("style", "")
        assert not re.search(r"url\(|@import|expression|http", style), style
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    assert policy.startswith("default-src 'none';")
    assert "script" not in policy


def assert_is_accessible(page: Page) -> None:
    """Landmarks, headings in order, words for every picture, names for every table."""
    for name in ("header", "nav", "main", "footer", "h1"):
        assert len(page.all(name)) == 1, name
    levels = [int(each.name[1]) for each in page.all("h1", "h2", "h3", "h4")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for each in page.all("svg"):
        assert each.attributes.get("aria-hidden") == "true" or (
            each.attributes["role"] == "img" and len(each.attributes["aria-label"]) > 10
        )
    assert all(each.attributes["alt"] for each in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert page.one("html").attributes["lang"] == "en"
    names = [each.attributes["id"] for each in page.elements if "id" in each.attributes]
    assert len(names) == len(set(names))
    links = [each.attributes["href"] for each in page.all("a")]
    assert {each.lstrip("#") for each in links} <= set(names)
    assert [f"#{each.attributes['id']}" for each in page.all("section")] == links[1:]


@pytest.mark.parametrize("study", reported.STUDIES)
def test_the_page_stands_alone_and_everybody_can_read_it(study: str, home: Path) -> None:
    path = report(study, home)
    assert path == Home(home).study(study).report
    assert 20_000 < path.stat().st_size < 8_000_000
    page = parsed(path.read_text(encoding="utf-8"))
    assert_is_harmless(page)
    assert_is_accessible(page)
    assert not re.search(r"\b(nan|inf|None)\b", page.text)


@pytest.mark.parametrize("study", reported.STUDIES)
def test_the_answer_is_the_look_at_the_test_split(study: str, home: Path) -> None:
    result = json.loads(Home(home).study(study).result.read_text())
    tested, metric = result["conclusion"]["tested"], result["objective"]["metric"]
    ends = tested["intervals"].get(metric)
    value = with_interval(tested["metrics"][metric], None if ends is None else tuple(ends))
    page = page_of(study, home)
    lead = page.one("p", **{"class": "lead"}).text
    assert f"Trial {result['conclusion']['best']['trial']} " in lead
    assert f"{metric} {value} on {tested['num_rows']} test rows." in lead
    measured = dict(row[:2] for row in page.rows("What was measured")[1:])
    assert measured["test"] == number(tested["metrics"][metric])
    assert measured["validation"] == number(result["conclusion"]["best"]["value"])
    assert measured["linear, valid."] == number(result["conclusion"]["baseline"])
    assert "looked at once" in page.text


@pytest.mark.parametrize("study", reported.STUDIES)
def test_every_trial_is_in_the_table_with_its_value(study: str, home: Path) -> None:
    rows = page_of(study, home).rows("All trials, the best first")
    shown = show(study, home)
    assert [row[0] for row in rows[1:]] == [str(each.trial) for each in shown.trials]
    assert [row[2] for row in rows[1:]] == [number(each.value) for each in shown.trials]
    for row, each in zip(rows[1:], shown.trials, strict=True):
        told = dict(zip(rows[0], row, strict=True))
        assert {key: told[key] for key in each.params} == {
            key: number(value) for key, value in each.params.items()
        }


def test_the_confusion_matrix_is_that_of_the_test_rows(home: Path) -> None:
    study = load(Home(home).study("digits"))
    found = predictions_of(study, of_test=True)
    assert found is not None
    counts = confusion(found[0].argmax(axis=1), found[1], 10)
    head, *rows = page_of("digits", home).rows("Rows are the truth, columns the answers")
    assert head[1:] == list(study.labels)
    assert [row[0] for row in rows] == list(study.labels)
    assert [[int(cell) for cell in row[1:]] for row in rows] == counts.tolist()


def test_the_mistakes_of_images_are_pictures_of_validation_rows(home: Path) -> None:
    study = load(Home(home).study("digits"))
    found = predictions_of(study, of_test=False)
    assert found is not None
    predictions, targets = found
    answers = predictions.argmax(axis=1)
    wrong = np.flatnonzero(answers != targets)
    page = page_of("digits", home)
    pictures = [each for each in page.all("img") if "taken for" in each.attributes["alt"]]
    assert len(pictures) == min(len(wrong), 24) > 0
    worst = wrong[np.argmax(predictions[wrong, answers[wrong]])]
    rows = np.load(study.folder.prepared(study.record["data"]).array("valid", "rows"))
    truth, answer = study.labels[targets[worst]], study.labels[answers[worst]]
    assert pictures[0].attributes["alt"] == f"Row {rows[worst]}: {truth}, taken for {answer}"
    raw = base64.b64decode(pictures[0].attributes["src"].partition(",")[2])
    assert raw.startswith(b"\x89PNG")
    assert f"{len(wrong)} of {len(targets)} validation rows are wrong" in page.text


def test_the_mistakes_of_a_table_are_rows_with_what_is_unusual(home: Path) -> None:
    page = page_of("diabetes", home)
    head, first, *_ = page.rows("Worst mistakes, all columns")
    study = load(Home(home).study("diabetes"))
    found = predictions_of(study, of_test=False)
    assert found is not None
    errors = found[0].reshape(-1) - found[1]
    worst = int(np.argmax(np.abs(errors)))
    told = dict(zip(head, first, strict=True))
    folder = study.folder.prepared(study.record["data"])
    assert told["row"] == str(np.load(folder.array("valid", "rows"))[worst])
    assert float(told["off by"]) == pytest.approx(errors[worst], rel=1e-3)
    cells = np.load(folder.array("valid", "inputs"))[worst]
    names = [each["name"] for each in study.record["signature"]["columns"]]
    assert [float(told[name]) for name in names] == pytest.approx(cells.tolist(), rel=1e-3)


def test_the_data_and_the_environment_are_those_of_the_records(home: Path) -> None:
    for study in reported.STUDIES:
        record = json.loads(Home(home).study(study).spec.read_text())
        page = page_of(study, home)
        sizes = {row[0]: row[1] for row in page.rows("Rows of each split")[1:]}
        expected = record["num_rows"]
        assert sizes == {
            "train": str(expected["train"]),
            "validation": str(expected["valid"]),
            "test": str(expected["test"]),
        }
        told = dict(row for row in page.rows("Versions and machine")[1:])
        assert told == record["facts"] | {"study fingerprint": record["fingerprint"]}
        assert record["data"] in page.text
        settings = dict(row for row in page.rows("The resolved study")[1:])
        assert settings["seed"] == str(record["study"]["seed"])


def test_hostile_names_are_text_and_nothing_else(whole: Path, own_folder: Path) -> None:
    home = copied(whole, own_folder)
    folder = Home(home).study("flowers")
    record = json.loads(folder.spec.read_text())
    record["study"]["description"] = f"about {HOSTILE}"
    record["signature"]["labels"] = [f"{place} {HOSTILE}" for place in range(3)]
    record["signature"]["target"] = HOSTILE
    for place, column in enumerate(record["signature"]["columns"]):
        column["name"] = f"{place}{HOSTILE}"
    record["facts"]["version.torch"] = HOSTILE
    folder.spec.write_text(json.dumps(record))
    prepared = folder.prepared(record["data"])
    told = json.loads(prepared.record.read_text())
    told["notes"] = [HOSTILE]
    told["findings"] = [
        {"level": "warning", "code": "W357", "message": HOSTILE, "hint": HOSTILE, "column": ""}
    ]
    prepared.record.write_text(json.dumps(told))
    page = page_of("flowers", home)
    assert_is_harmless(page)
    assert_is_accessible(page)
    assert page.text.count("<script>alert(1)</script>") > 10
    assert not {"\u202e", "\x1b"} & set(page.text)


def test_a_study_without_an_ending_says_what_is_missing(whole: Path, own_folder: Path) -> None:
    home = copied(whole, own_folder)
    folder = Home(home).study("flowers")
    folder.result.unlink()
    folder.looks.unlink()
    page = page_of("flowers", home)
    assert_is_accessible(page)
    assert "test has not been looked at" in page.one("p", **{"class": "lead"}).text
    assert "nnsearch run flowers" in page.text
    assert "rows of the validation split" in page.text
    shutil.rmtree(folder.data)
    for each in folder.jobs.rglob("predictions.npz"):
        each.unlink()
    bare = page_of("flowers", home)
    assert "no predictions of the winner on the disk" in bare.text
    assert "no longer on the disk" in bare.text
    shutil.rmtree(folder.jobs)
    folder.trials.unlink()
    nothing = page_of("flowers", home)
    assert_is_accessible(nothing)
    assert "No trial has completed" in nothing.text


def test_the_run_itself_leaves_a_report_beside_the_records_and_in_mlflow(whole: Path) -> None:
    written = Home(whole / "mlruns").study("flowers").report
    kept = list((whole / "mlruns" / "artifacts").rglob("report.html"))
    assert [each.read_bytes() for each in kept] == [written.read_bytes()]
    with closing(sqlite3.connect(whole / "mlruns" / "mlflow.db")) as database:
        query = "SELECT name FROM runs WHERE artifact_uri LIKE ?"
        found = database.execute(query, [f"%{kept[0].parent}"]).fetchall()
    assert found == [("flowers",)], "the study's own run"


def test_a_store_that_refuses_the_report_is_a_warning(whole: Path, own_folder: Path) -> None:
    home = copied(whole, own_folder)
    path = Home(home).study("flowers").report
    said: list[str] = []
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("UPDATE experiments SET name = 'trees' WHERE name = 'flowers'")
    publish_report(path, "flowers", Options(home=home), said.append)
    assert said == [f"MLflow has no run of the study 'flowers': its report is only at {path}."]
    (home / "mlflow.db").write_text("no database")
    publish_report(path, "flowers", Options(home=home), said.append)
    assert "not in MLflow" in said[1]
    assert "nnsearch sync flowers" in said[2]


def test_the_command_says_where_the_page_is(
    whole: Path,
    own_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = own_folder / "my page.html"
    words = ["report", "flowers", "--mlruns", whole / "mlruns", "--out", out]
    assert call(words, monkeypatch) == 0
    assert capsys.readouterr().out == f"report       {out}\nlook at it   xdg-open '{out}'\n"
    assert call([*words, "--json"], monkeypatch) == 0
    document = json.loads(capsys.readouterr().out)
    assert document.pop("interpretation")["features"] == []
    assert document == {"report": str(out), "bytes": out.stat().st_size}
    assert call(["report", "flower", "--mlruns", whole / "mlruns"], monkeypatch) == 2
    assert "Did you mean 'flowers'?" in capsys.readouterr().err


def test_where_it_cannot_be_written_is_an_error_of_ours(whole: Path, own_folder: Path) -> None:
    (own_folder / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        report("flowers", whole / "mlruns", out=own_folder / "file" / "page.html")
    with pytest.raises(UsageError, match="no study 'nothing'"):
        report("nothing", whole / "mlruns")


def test_report_is_in_the_library(whole: Path, own_folder: Path) -> None:
    path = nnsearch.report("flowers", whole / "mlruns", out=own_folder / "page.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>\n<html lang=")
