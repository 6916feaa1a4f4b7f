"""Optuna's store as a projection of the records, whatever breaks it off."""

import fcntl
import threading
from pathlib import Path
from typing import Any

import optuna
import pytest
from finished import copied, finished

from nnsearch.commands.opening import open_study
from nnsearch.search.journal import LOCK_SECONDS
from nnsearch.search.storage import Place, projection
from nnsearch.study.folder import Home
from nnsearch.study.load import load_study


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("number", [0, 2])
def test_a_signal_that_comes_when_a_trial_was_just_added_does_not_add_it_twice(
    whole: Path, own_folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(copied(whole, own_folder))
    study = load_study(whole / "flowers.toml", allow_code=True)
    opened = open_study(study, home.study("flowers"))
    home.optuna_journal.unlink()
    place = Place("", home.optuna_journal, pytest.fail)
    add, added = optuna.Study.add_trial, []

    def interrupted(stored: optuna.Study, trial: Any) -> None:
        add(stored, trial)
        added.append(trial)
        if len(added) == number + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(optuna.Study, "add_trial", interrupted)
    with pytest.raises(KeyboardInterrupt), projection(study, opened.objective, place) as project:
        project(opened.ledger)
    assert len(added) == len(opened.ledger.endings), "what was missing was added on the way out"
    with projection(study, opened.objective, place) as project:
        project.check(opened.ledger)
        assert project.uids == [each.uid for _, each in sorted(opened.ledger.specs.items())]


def test_a_journal_that_is_held_at_the_end_is_waited_for(whole: Path, own_folder: Path) -> None:
    home = Home(copied(whole, own_folder))
    study = load_study(whole / "flowers.toml", allow_code=True)
    opened = open_study(study, home.study("flowers"))
    place = Place("", home.optuna_journal, pytest.fail)
    with home.optuna_journal.open("ab") as held, projection(study, opened.objective, place):
        fcntl.flock(held, fcntl.LOCK_EX)
        is_due = threading.Event()

        def let_go() -> None:
            is_due.set()
            fcntl.flock(held, fcntl.LOCK_UN)

        threading.Timer(3 * LOCK_SECONDS, let_go).start()
    assert is_due.is_set(), "left without having read the journal again"
