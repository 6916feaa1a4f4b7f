"""`nnsearch list`: a row a study, and the state it is in."""

from pathlib import Path

import pytest
from finished import NUM_TRIALS, copied, finished

from nnsearch.commands.listing import as_document, as_text, list_studies
from nnsearch.commands.places import sole_driver
from nnsearch.study.folder import Home, read_json, write_json


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


def test_a_finished_study_is_listed_with_its_values(whole: Path) -> None:
    (listed,) = list_studies(whole / "mlruns")
    result = read_json(Home(whole / "mlruns").study("flowers").result)
    assert (listed.study, listed.state, listed.num_trials) == ("flowers", "finished", NUM_TRIALS)
    assert listed.counts == {"complete": NUM_TRIALS - 1, "pruned": 0, "failed": 1}
    assert listed.best == result["conclusion"]["best"]["value"]
    assert listed.tested == result["conclusion"]["tested"]["metrics"]["accuracy"]
    text = as_text([listed])
    assert "4 (1 failed)" in text
    assert f"{listed.tested:.3f} [" in text
    assert as_document([listed])["studies"][0]["metric"] == "accuracy"


def test_a_study_that_is_driven_is_running_and_one_without_its_result_interrupted(
    whole: Path, own_folder: Path
) -> None:
    home = copied(whole, own_folder)
    folder = Home(home).study("flowers")
    with sole_driver(folder):
        assert list_studies(home)[0].state == "running"
    assert list_studies(home)[0].state == "finished"
    write_json(folder.result, read_json(folder.result) | {"request": ""})
    assert list_studies(home)[0].state == "interrupted", "MLflow may lack something"
    folder.result.unlink()
    assert list_studies(home)[0].state == "interrupted"
    assert list_studies(home)[0].tested is None


def test_a_study_that_went_on_after_its_result_is_interrupted(
    whole: Path, own_folder: Path
) -> None:
    home = copied(whole, own_folder)
    (events,) = (home / "studies/flowers/jobs/00003").glob("events.jsonl")
    events.write_text("")
    (listed,) = list_studies(home)
    assert listed.state == "interrupted"
    assert "1 open" in as_text([listed])


def test_looking_does_not_take_the_lock(whole: Path, own_folder: Path) -> None:
    home = copied(whole, own_folder)
    list_studies(home)
    with sole_driver(Home(home).study("flowers")):  # raises StoreError where it is held
        pass


def test_without_studies_it_says_what_to_type(own_folder: Path) -> None:
    assert list_studies(own_folder / "none") == []
    assert "nnsearch run digits" in as_text([], own_folder / "none")
    assert list(own_folder.iterdir()) == []
