"""The checker as a function: silent where nothing is lost, and it names what is."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from finished import copied, finished

from nnsearch.errors import IntegrityError
from nnsearch.testing import check_integrity


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


def test_a_whole_study_is_in_order(whole: Path, own_folder: Path) -> None:
    home = copied(whole, own_folder)
    check_integrity(home, environ={})
    check_integrity(home, "flowers", environ={})


def test_a_run_that_is_gone_is_named(whole: Path, own_folder: Path) -> None:
    home = copied(whole, own_folder)
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute(
            "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid IN (SELECT run_uuid FROM"
            " tags WHERE key = 'nnsearch.trial' AND value = '0')"
        )
    with pytest.raises(IntegrityError, match=r"MLflow's store agrees(.|\n)*trial 0"):
        check_integrity(home, environ={})
    (home / "optuna.journal").unlink()
    with pytest.raises(IntegrityError, match=r"there is no .*optuna.journal"):
        check_integrity(home, environ={})
