"""`nnsearch doctor` on the two records of looks at the test split."""

import json
from pathlib import Path

import pytest
from finished import copied, finished

from nnsearch.commands.agreement import Check
from nnsearch.commands.doctor import doctor
from nnsearch.study.folder import Home, StudyFolder, read_json, write_json

NAME = "each look at the test split is recorded"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


@pytest.fixture
def folder(whole: Path, own_folder: Path) -> StudyFolder:
    return Home(copied(whole, own_folder)).study("flowers")


def examined(folder: StudyFolder) -> tuple[Check, list[str]]:
    """What is said of the looks, and the names of the other checks; none of those has a problem."""
    checks = {each.name: each for each in doctor("flowers", home=folder.root.parent.parent).checks}
    looks = checks.pop(NAME)
    assert all(each.is_ok for each in checks.values())
    return looks, list(checks)


def test_a_look_that_has_its_read_is_in_order(folder: StudyFolder) -> None:
    looks, others = examined(folder)
    assert looks.is_ok
    assert not any("half-way" in each for each in others)


def test_a_look_without_a_read_is_found(folder: StudyFolder) -> None:
    folder.test_reads.unlink()
    looks, _ = examined(folder)
    trial = read_json(folder.looks)[0]["trial"]
    (problem,) = looks.problems
    assert problem.endswith(f"has no read for the look at test by trial {trial}")


def test_a_read_of_another_trial_is_none(folder: StudyFolder) -> None:
    read = json.loads(folder.test_reads.read_text())
    folder.test_reads.write_text(json.dumps(read | {"trial": read["trial"] + 1}) + "\n")
    assert len(examined(folder)[0].problems) == 1


def test_clocks_that_jumped_between_read_and_look_are_no_problem(folder: StudyFolder) -> None:
    read = json.loads(folder.test_reads.read_text())
    folder.test_reads.write_text(json.dumps(read | {"at": read["at"] + 1e6}) + "\n")
    assert examined(folder)[0].is_ok


def test_a_look_that_was_recorded_twice_is_found(folder: StudyFolder) -> None:
    write_json(folder.looks, read_json(folder.looks) * 2)
    (problem,) = examined(folder)[0].problems
    assert "two looks at test" in problem


def test_a_look_that_was_killed_half_way_is_no_problem_and_is_told(folder: StudyFolder) -> None:
    whole = json.loads(folder.test_reads.read_text())
    other = {"trial": 99, "at": 0.0, "data": whole["data"], "is_reopening": True}
    with folder.test_reads.open("a") as file:
        file.write(json.dumps(other) + "\n")
    looks, others = examined(folder)
    assert looks.is_ok
    said = "trial 99 began to look at test (1970-01-01T00:00:00+00:00), and was killed half-way"
    assert said in others


def test_a_read_that_is_none_is_a_problem_and_no_crash(folder: StudyFolder) -> None:
    folder.test_reads.write_text("[]\n")
    (problem,) = examined(folder)[0].problems
    assert "cannot be read" in problem
