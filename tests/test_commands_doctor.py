"""`nnsearch doctor`: each kind of disagreement is found, and nothing else is."""

import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from finished import call, copied, finished

from nnsearch.commands.agreement import left_overs, read_records, record_problems
from nnsearch.commands.doctor import Diagnosis, as_text, doctor
from nnsearch.commands.places import sole_driver
from nnsearch.study.folder import Home

TWICE = "INSERT INTO metrics SELECT key, 1, 1, run_uuid, 2, 0 FROM metrics WHERE key||step = 'lr1'"
OF_TRIAL = " AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'nnsearch.trial' AND value = ?)"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


@pytest.fixture
def home(whole: Path, own_folder: Path) -> Path:
    return copied(whole, own_folder)


def problems(diagnosis: Diagnosis, about: str) -> str:
    """What the one check with a problem says; `about` is part of its name."""
    (check,) = [each for each in diagnosis.checks if not each.is_ok]
    assert about in check.name, check
    assert check.hint
    return "\n".join(check.problems)


def change(home: Path, statement: str, trial: int, *values: str) -> None:
    """Run a statement, which ends with its conditions, on the rows of one trial."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        done = database.execute(statement + OF_TRIAL, (*values, str(trial)))
        assert done.rowcount > 0


def complete_trial(home: Path) -> int:
    ledger = read_records(Home(home).study("flowers")).ledger
    return next(
        number for number in sorted(ledger.endings) if hasattr(ledger.endings[number], "files")
    )


def test_a_finished_study_is_in_order_and_nothing_is_written(home: Path, own_folder: Path) -> None:
    before = {path for path in own_folder.rglob("*") if path.suffix not in {".db-wal", ".db-shm"}}
    diagnosis = doctor(home=home)
    assert diagnosis.num_problems == 0, as_text(diagnosis)
    assert {each.study for each in diagnosis.checks} == {"", "flowers"}
    assert sum(each.study == "flowers" for each in diagnosis.checks) == 5
    after = {path for path in own_folder.rglob("*") if path.suffix not in {".db-wal", ".db-shm"}}
    assert {path.name for path in after - before} <= {"mlflow.db-wal", "mlflow.db-shm"}
    text = as_text(diagnosis)
    assert "PROBLEM" not in text
    assert "torch            2." in text


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE runs SET status = 'RUNNING' WHERE true", "is RUNNING"),
        ("UPDATE runs SET status = 'KILLED' WHERE true", "but KILLED in MLflow"),
        ("UPDATE runs SET lifecycle_stage = 'deleted' WHERE true", "has 0 runs"),
        ("UPDATE runs SET artifact_uri = '/nowhere' WHERE true", "no manifest"),
        ("UPDATE params SET value = '7' WHERE key = 'model.width'", "other params"),
        ("UPDATE tags SET value = 'no' WHERE key = 'nnsearch.trial_uid'", "nobody recorded"),
        (
            "UPDATE latest_metrics SET value = value * (1 + 3e-16) WHERE key = 'objective'",
            "in MLflow, not 0.",
        ),
        ("DELETE FROM metrics WHERE step = 1", "has the steps 2 of"),
        (
            "UPDATE metrics SET value = value + 1 WHERE key = 'lr' AND step = 2",
            "other values of lr",
        ),
        (
            TWICE,
            "has the steps 1, 2, 2 of lr",
        ),
    ],
)
def test_mlflow_that_disagrees_is_found(home: Path, statement: str, said: str) -> None:
    change(home, statement, complete_trial(home))
    assert said in problems(doctor(home=home), "MLflow's store agrees")


def test_a_second_run_of_a_trial_is_found(home: Path) -> None:
    one = complete_trial(home)
    other = next(number for number in range(4) if number != one)
    uid = read_records(Home(home).study("flowers")).ledger.specs[one].uid
    change(home, "UPDATE tags SET value = ? WHERE key = 'nnsearch.trial_uid'", other, uid)
    said = problems(doctor(home=home), "MLflow's store agrees")
    assert f"trial {one} (complete) has 2 runs" in said
    assert f"trial {other} " in said


@pytest.mark.parametrize(
    ("damage", "said"),
    [(Path.unlink, "is missing"), (lambda path: path.write_bytes(b"x"), "is not the file")],
)
def test_an_artifact_that_is_gone_or_another_is_found(
    home: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(next(home.glob("artifacts/flowers/*/artifacts/weights.pt")))
    assert said in problems(doctor(home=home), "MLflow's store agrees")


def test_optunas_store_that_disagrees_is_found(home: Path) -> None:
    journal = home / "optuna.journal"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))
    assert "3 trials in Optuna's store, 4 ended" in problems(doctor(home=home), "Optuna's")
    last = json.loads(lines[-1])
    assert "params" in last, "the journal has another form: choose another line to change"
    for key, value, said in (
        ("user_attrs", {"nnsearch.uid": "x"}, "is another one"),
        ("state", 2, "is PRUNED"),
        ("values", [0.5], "has [0.5] in Optuna's"),
    ):
        changed = [json.loads(line) for line in lines]
        trial = next(each for each in changed if each.get("state") == 1)
        trial[key] = value
        if key == "values":
            trial.pop("value", None)
        journal.write_text("".join(json.dumps(each) + "\n" for each in changed))
        assert said in problems(doctor(home=home), "Optuna's")


def test_a_missing_store_is_found_and_not_made(home: Path) -> None:
    (home / "optuna.journal").unlink()
    assert "there is no" in problems(doctor(home=home), "Optuna's store agrees")
    shutil.copy(home / "mlflow.db", home / "optuna.journal")
    for path in home.glob("mlflow.db*"):
        path.unlink()
    names = {each.name for each in doctor(home=home).checks if not each.is_ok}
    assert "MLflow's store agrees (N1, N2, N5)" in names
    assert not (home / "mlflow.db").exists()


def test_a_database_that_is_none_is_found(home: Path) -> None:
    (home / "mlflow.db").write_text("this is no database" * 100)
    found = [each for each in doctor(home=home).checks if not each.is_ok]
    assert [each.name[:9] for each in found] == ["mlflow.db", "MLflow's "]
    assert "not a database" in found[0].problems[0]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: [*lines, lines[-1]], "trained to its end 2 times"),
        (lambda lines: [line for line in lines if '"epoch": 1,' not in line], "has the epochs 2"),
        (lambda lines: [*lines, lines[1].replace('"lr": 0.0', '"lr": 1.0')], "other values"),
        (lambda lines: [*lines, '{"event": "Ep'], "ends in half a line"),
        (lambda lines: [*lines[:-1], lines[-1].replace('.pt": "', '.pt": "0')], "is not the file"),
        (lambda lines: [*lines, "nonsense\n"], None),
    ],
)
def test_records_that_are_not_whole_are_found(
    home: Path, damage: Callable[[list[str]], list[str]], said: str | None
) -> None:
    folder = Home(home).study("flowers")
    number = complete_trial(home)
    (path,) = folder.jobs.glob(f"[0-9]*/trial-{number:05d}/../events.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    damaged = damage(lines)
    assert damaged != lines
    path.write_text("".join(damaged))
    if said is None:
        diagnosis = doctor(home=home)
        assert "cannot be read" in problems(diagnosis, "records")
        return
    assert any(said in each for each in record_problems(read_records(folder)))


def test_what_is_left_over_is_found(home: Path) -> None:
    folder = Home(home).study("flowers")
    assert list(left_overs(read_records(folder))) == []
    (folder.root / ".weights.pt.abc.tmp").touch()
    with (folder.root / "workers.log").open("ab") as log:
        worker = subprocess.Popen(["sleep", "60"], stdout=log, stderr=log)
    try:
        said = "\n".join(left_overs(read_records(folder)))
    finally:
        worker.kill()
        worker.wait()
    assert ".weights.pt.abc.tmp" in said
    assert f"process {worker.pid} writes" in said


def test_a_torn_journal_is_found(home: Path) -> None:
    with (home / "optuna.journal").open("a") as journal:
        journal.write('{"op_code": 6, "wor')
    assert "half a line" in problems(doctor(home=home), "optuna.journal is whole")


def test_a_study_that_is_being_run_is_left_alone(home: Path) -> None:
    (home / "optuna.journal").write_text("")
    with sole_driver(Home(home).study("flowers")):
        diagnosis = doctor("flowers", home=home)
    assert diagnosis.num_problems == 0
    assert "is being run now" in as_text(diagnosis)


def test_a_server_that_is_away_is_a_problem_within_seconds(home: Path) -> None:
    begun = time.monotonic()
    environ = {"MLFLOW_TRACKING_URI": "http://user:secret@127.0.0.1:9"}
    diagnosis = doctor(home=home, environ=environ)
    assert "cannot be read" in problems(diagnosis, "MLflow's store agrees")
    assert "secret" not in as_text(diagnosis)
    assert time.monotonic() - begun < 90  # MLflow by itself tries for four minutes


def test_strict_exits_6_and_otherwise_0(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(["doctor", "--strict"], monkeypatch) == 0
    (Home(home).study("flowers").root / ".x.tmp").touch()
    assert call(["doctor"], monkeypatch) == 0
    assert call(["doctor", "--strict"], monkeypatch) == 6
    told = capsys.readouterr()
    assert "PROBLEM  flowers: nothing is left over" in told.out
    assert told.err == "error: 1 checks found a problem. See above.\n"


def test_without_any_run_only_the_machine_is_looked_at(own_folder: Path) -> None:
    diagnosis = doctor(home=own_folder / "none")
    assert diagnosis.num_problems == 0
    assert {each.study for each in diagnosis.checks} == {""}
    assert list(own_folder.iterdir()) == []
