"""A study of accuracy against latency, from its file to three exported points and its report."""

import json
import shutil
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from finished import call, completed

from nnsearch.commands.doctor import doctor
from nnsearch.commands.export import export
from nnsearch.commands.front import Front, pareto_front
from nnsearch.commands.gc import gc
from nnsearch.commands.report import report
from nnsearch.commands.show import as_text, show
from nnsearch.errors import UsageError
from nnsearch.events import Finished, Pruned
from nnsearch.search.ledger import read_ledger
from nnsearch.study.folder import Home, StudyFolder
from nnsearch.study.load import load_study

# Far apart: a layer has 64, 1 and 4.2 million weights. The widest is never trained.
STUDY = """
name = "digits-fast"
[data]
source = "digits"
[task]
name = "classification"
[model]
name = "mlp"
width = { choice = [8, 1024, 2048, 8192] }
depth = 2
[optimizer]
name = "sgd"
lr = 0.02
[training]
epochs = 2
[search]
sampler = "grid"
trials = 4
objectives = ["accuracy", "latency"]
constraints = ["parameters <= 10_000_000", "size <= 100_000_000"]
[confirmation]
seeds = 0
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the study, run to its end."""
    return completed(tmp_path_factory.mktemp("pareto"), "digits-fast", STUDY)


def home_of(whole: Path) -> Path:
    return whole / "mlruns"


def front_of(whole: Path) -> Front:
    return pareto_front("digits-fast", home_of(whole))


def milliseconds(folder: Path) -> float:
    """The median of a row through an exported model, by ONNX Runtime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
    name, row = session.get_inputs()[0].name, np.load(folder / "sample.npy")[:1]
    taken = []
    for _ in range(120):
        start = time.perf_counter()
        session.run(None, {name: row})
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken[20:])


def test_three_points_are_exported_and_their_latencies_are_in_the_stated_order(whole: Path) -> None:
    points = front_of(whole).points
    widths = [each.params["model.width"] for each in points]
    assert widths == [2048, 1024, 8]
    stated = [each.values["cost/latency"] for each in points]
    assert stated == sorted(stated, reverse=True)
    accuracy = [each.values["valid/accuracy"] for each in points]
    assert accuracy == sorted(accuracy, reverse=True)
    folders = [export("digits-fast", trial=each.trial, home=home_of(whole)) for each in points]
    measured = [milliseconds(each) for each in folders]
    assert measured == sorted(measured, reverse=True), (stated, measured)
    assert measured[0] > 5 * measured[2]
    ledger = read_ledger(Home(home_of(whole)).study("digits-fast"))
    for each, folder in zip(points, folders, strict=True):
        ending = ledger.endings[each.trial]
        assert isinstance(ending, Finished)
        num_bytes = (folder / "model.onnx").stat().st_size
        assert num_bytes == pytest.approx(ending.metrics["cost/size"], rel=0.02, abs=20_000)
    assert [bool(each.export) for each in front_of(whole).points] == [True] * 3


def test_the_winner_is_the_best_by_the_first_objective_and_alone_was_tested(whole: Path) -> None:
    found = front_of(whole)
    folder = Home(home_of(whole)).study("digits-fast")
    looks = json.loads(folder.looks.read_text())
    assert found.winner == found.points[0].trial
    assert [each["trial"] for each in looks] == [found.winner]
    assert (found.num_feasible, found.num_infeasible) == (3, 1)


def test_what_breaks_the_constraint_was_not_trained_and_is_said_to(whole: Path) -> None:
    ledger = read_ledger(Home(home_of(whole)).study("digits-fast"))
    (barred,) = ledger.infeasible()
    assert isinstance(barred, Pruned)
    assert ledger.specs[barred.trial].params["model.width"] == 8192
    assert ledger.epochs[barred.trial] == {}
    shown = show("digits-fast", home_of(whole))
    row = next(each for each in shown.trials if each.trial == barred.trial)
    assert (row.state, row.value) == ("infeasible", None)
    assert row.breaks.startswith("parameters <= 10000000 by 57")
    text = as_text(shown)
    assert "constraint   parameters <= 10000000: broken by 1 of 4 trials" in text
    assert "front        3 trials that no other beats" in text


def test_every_store_agrees_and_names_the_costs(whole: Path) -> None:
    assert [each for each in doctor(home=home_of(whole)).checks if not each.is_ok] == []
    with closing(sqlite3.connect(home_of(whole) / "mlflow.db")) as database:
        query = "SELECT value FROM latest_metrics WHERE key = 'cost/latency' ORDER BY value"
        logged = [value for (value,) in database.execute(query)]
        tags = "SELECT value, count(*) FROM tags WHERE key = 'nnsearch.feasible' GROUP BY value"
        feasible = dict(database.execute(tags))
    assert logged == sorted(each.values["cost/latency"] for each in front_of(whole).points)
    assert feasible == {"true": 3, "false": 1}


def test_the_command_line_shows_the_front(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(whole)
    assert call(["show", "digits-fast", "--front"], monkeypatch) == 0
    text = capsys.readouterr().out
    assert text.startswith("digits-fast: 3 of 3 trials are on the front")
    assert "latency (ms)" in text
    assert call(["show", "digits-fast", "--front", "--json"], monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["params"]["model.width"] for each in told["points"]] == [2048, 1024, 8]
    assert told["objectives"][1] == {"metric": "cost/latency", "direction": "minimize"}
    assert told["constraints"] == ["parameters <= 10000000", "size <= 100000000"]


def test_the_report_shows_the_front_as_a_picture_and_a_table(whole: Path, tmp_path: Path) -> None:
    page = report("digits-fast", home_of(whole), out=tmp_path / "r.html").read_text()
    start = page.index('id="front"')
    part = page[start : page.index("</section>", start)]
    for each in front_of(whole).points:
        assert f">{each.trial}</text>" in part
        assert f">{each.trial}</th>" in part
    assert "accuracy against latency" in part
    assert '<a href="#front">' in page


def test_gc_spares_the_front(whole: Path, own_folder: Path) -> None:
    copy = own_folder / "mlruns"
    shutil.copytree(home_of(whole), copy)
    shutil.rmtree(Home(copy).study("digits-fast").exports)
    gone = {each.trial for each in gc(home=copy, keep=1, environ={}).garbage}
    assert not gone & {each.trial for each in pareto_front("digits-fast", copy).points}


def test_other_goals_are_refused_with_a_difference(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(whole)
    changes = ["--set", 'search.constraints=["size <= 9"]', "--set", "search.objectives=[]"]
    assert call(["run", "digits-fast.toml", *changes], monkeypatch) == 2
    said = capsys.readouterr().err
    old = '["parameters <= 10000000", "size <= 100000000"]'
    assert f'do not compare: search.constraints: {old} -> ["size <= 9"].' in said
    assert 'compare: search.objectives: ["accuracy", "cost/latency"] -> nothing.' in said


def test_a_new_version_of_the_study_keeps_its_goals(
    whole: Path,
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(whole / "mlruns", own_folder / "mlruns")
    wider = "model.mlp.width={ choice = [8, 16, 1024, 2048, 8192] }"
    other = 'search.constraints=["parameters <= 5"]'
    command = ["extend", "digits-fast", "--set", wider]
    assert call([*command, "--set", other], monkeypatch) == 2
    assert "objectives or the constraints are not those of" in capsys.readouterr().err
    assert call(command, monkeypatch) == 0
    new = load_study(whole / "digits-fast-2.toml")
    assert new.search.objectives == ("accuracy", "cost/latency")
    assert new.search.constraints == ("parameters <= 10000000", "size <= 100000000")
    home = own_folder / "mlruns"
    old = pareto_front("digits-fast", home)
    assert [each.values for each in pareto_front("digits-fast-2", home).points] == [
        each.values for each in old.points
    ]


def test_a_study_of_one_objective_has_no_front(own_folder: Path) -> None:
    record = {
        "study": {"search": {}},
        "objective": {"metric": "accuracy", "direction": "maximize"},
    }
    folder = Home(own_folder / "mlruns").study("plain")
    folder.root.mkdir(parents=True)
    folder.spec.write_text(json.dumps(record))
    with pytest.raises(UsageError, match="has one objective, valid/accuracy, and no front"):
        pareto_front("plain", own_folder / "mlruns")


def test_a_study_without_a_feasible_trial_says_so(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = STUDY.replace("10_000_000", "100").replace("8, 1024, 2048, 8192", "8, 16")
    (own_folder / "digits-fast.toml").write_text(text)
    assert call(["run", "digits-fast.toml", "--workers", "1"], monkeypatch) == 7
    said = capsys.readouterr().err.splitlines()[-1]
    assert "within its constraints; the nearest, trial" in said
    assert "breaks parameters <= 100 by 582" in said
    ledger = read_ledger(StudyFolder(own_folder / "mlruns" / "studies" / "digits-fast"))
    assert not [each for each in ledger.endings.values() if isinstance(each, Finished)]
