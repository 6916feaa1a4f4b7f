"""`nnsearch sync`, `gc` and `doctor --rebuild` on a study that has run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from finished import NUM_TRIALS, call, copied, finished

from nnsearch.commands.delivery import sync
from nnsearch.commands.doctor import as_text, doctor
from nnsearch.commands.gc import gc
from nnsearch.commands.places import sole_driver
from nnsearch.commands.rebuild import rebuild
from nnsearch.errors import StoreError, UsageError
from nnsearch.study.folder import Home
from nnsearch.tracking.store import import_mlflow


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


@pytest.fixture
def home(whole: Path, own_folder: Path) -> Path:
    return copied(whole, own_folder)


def assert_in_order(home: Path) -> None:
    diagnosis = doctor(home=home)
    assert diagnosis.num_problems == 0, as_text(diagnosis)


def zero(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def damage_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = b"\0" * 200
    path.write_bytes(bytes(content))


def deny(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    next(each for each in lines if each.get("state") == 1)["value"] = 0.5
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))


@pytest.mark.parametrize(
    ("damage", "is_kept"),
    [
        (lambda path: path.write_text("hello\n"), True),
        (lambda path: path.write_text("hello"), True),
        (lambda path: path.write_bytes(b""), False),
        (zero, True),
        (damage_middle, True),
        (deny, True),
        (Path.unlink, False),
    ],
    ids=["text", "half a line", "empty", "zeroed", "holes", "denies", "deleted"],
)
def test_a_damaged_journal_is_kept_aside_and_made_again(
    home: Path, damage: Callable[[Path], object], *, is_kept: bool
) -> None:
    journal = home / "optuna.journal"
    damage(journal)
    damaged = journal.read_bytes() if journal.exists() else b""
    assert doctor(home=home).num_problems > 0
    aside = rebuild(home=home, clock=lambda: 0.0)
    assert_in_order(home)
    assert [each.name for each in aside] == ["optuna.journal.corrupt-19700101T000000"] * is_kept
    assert [each.read_bytes() for each in aside] == [damaged] * is_kept


def test_a_database_that_is_none_is_kept_aside_and_made_again(home: Path) -> None:
    for path in home.glob("mlflow.db-*"):
        path.unlink()
    (home / "mlflow.db").write_text("this is no database" * 100)
    aside = rebuild(home=home)
    assert aside[0].read_text().startswith("this is no database")
    assert_in_order(home)


def test_what_is_whole_is_not_put_aside(home: Path) -> None:
    before = (home / "optuna.journal").read_bytes()
    assert rebuild(home=home) == []
    assert (home / "optuna.journal").read_bytes() == before
    assert_in_order(home)


def test_a_study_that_is_being_run_is_not_touched(home: Path) -> None:
    (home / "optuna.journal").write_text("hello\n")
    with sole_driver(Home(home).study("flowers")):
        for command in (rebuild, sync):
            with pytest.raises(StoreError, match="is being run by process"):
                command(home=home)
    assert (home / "optuna.journal").read_text() == "hello\n"


def test_sync_delivers_everything_to_an_empty_store_and_nothing_twice(home: Path) -> None:
    for path in [*home.glob("mlflow.db*"), home / "optuna.journal"]:
        path.unlink()
    shutil.rmtree(home / "artifacts")
    (done,) = sync(home=home)
    assert (done.study, done.num_trials) == ("flowers", NUM_TRIALS)
    assert_in_order(home)
    files = {path: path.stat().st_mtime_ns for path in home.glob("artifacts/**/*")}
    sync("flowers", home=home)
    assert {path: path.stat().st_mtime_ns for path in home.glob("artifacts/**/*")} == files
    assert_in_order(home)


def test_sync_says_what_is_missing_where_mlflow_is_away(home: Path) -> None:
    import_mlflow()  # which takes longer than it is waited for
    environ = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    told: list[str] = []
    with pytest.raises(StoreError, match=r"^6 items could not be delivered") as raised:
        sync(home=home, environ=environ, warn=told.append, patience_seconds=12.0)
    assert "nnsearch sync" in raised.value.hint
    assert len(told) == 1


def test_gc_lists_first_and_deletes_only_when_told(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {path for path in home.rglob("*") if path.is_file()}
    assert call(["gc", "--keep", "1"], monkeypatch) == 0
    assert "To delete it" in capsys.readouterr().out
    assert files <= {path for path in home.rglob("*") if path.is_file()}
    collected = gc(home=home, keep=1, apply=True)
    assert collected.size > 0
    # three complete trials, of which one is kept: two files each, here and in MLflow's store
    assert sum(each.trial >= 0 for each in collected.garbage) == 8
    # and the weights of the best one's trainings on two fresh seeds
    again = [Path(each.path) for each in collected.garbage if each.trial < 0]
    assert [path.name for path in again] == ["weights.pt", "weights.pt"]
    assert all("confirmation" in path.parts for path in again)
    gone = files - {path for path in home.rglob("*") if path.is_file()}
    assert {path.name for path in gone} == {"weights.pt", "predictions.npz"}
    assert not [path for path in gone if "exports" in path.parts]
    assert_in_order(home)
    assert gc(home=home, keep=1, apply=True).garbage == ()
    assert call(["export", "flowers"], monkeypatch) == 0


def test_gc_never_takes_the_best_nor_what_was_exported(home: Path) -> None:
    with pytest.raises(UsageError, match="best"):
        gc(home=home, keep=0)
    exported = Home(home).study("flowers").exports
    for number in range(NUM_TRIALS):
        (exported / f"trial-{number:05d}").mkdir(exist_ok=True)
    assert [each for each in gc(home=home, keep=1).garbage if each.trial >= 0] == []


def test_gc_takes_drafts_and_data_that_nothing_uses(home: Path) -> None:
    folder = Home(home).study("flowers")
    (folder.root / ".weights.pt.abcdefgh.tmp").write_bytes(b"1234")
    (folder.data / "0123").mkdir()
    (folder.data / "0123" / "inputs.npy").write_bytes(b"12345678")
    found = gc(home=home, keep=NUM_TRIALS, apply=True)
    dropped = [each for each in found.garbage if "confirmation" not in each.path]
    assert sorted(each.size for each in dropped) == [4, 8]
    assert_in_order(home)
