"""What a session of a study hands on as its result."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from finished import copied, finished

from nnsearch import events
from nnsearch.commands.opening import open_study
from nnsearch.commands.result import Conclusion, Options
from nnsearch.commands.session import _in_jobs, _result
from nnsearch.events import Finished
from nnsearch.study.folder import Home
from nnsearch.study.load import load_study
from nnsearch.study.spec import Component, TrialSpec


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


def test_the_result_that_is_stored_has_no_password(whole: Path, own_folder: Path) -> None:
    home = copied(whole, own_folder)
    study = load_study(whole / "flowers.toml", allow_code=True)
    opened = open_study(study, Home(home).study("flowers"))
    best = next(each for each in opened.ledger.endings.values() if isinstance(each, Finished))
    tested = events.Tested(best.trial, 0.0, {}, {}, 1)
    server = {"MLFLOW_TRACKING_URI": "https://me:secret@tracking.example"}
    result = _result(
        opened,
        Options(home=home, environ=server),
        "trials",
        Conclusion(best, tested, 1, None, "", ""),
        seconds=1.0,
    )
    written = json.dumps(asdict(result))
    assert "secret" not in written
    assert "https://me:***@tracking.example" in written


@pytest.mark.parametrize(
    ("numbers", "slots", "expected"),
    [
        (range(8), 2, [8]),  # the batch in flight beside it keeps the other slot busy
        (range(32, 40), 2, [4, 4]),  # the last of 40 trials: no batch comes behind it
        (range(8), 8, [2, 2, 2, 2]),
        (range(8), 64, [1] * 8),
    ],
)
def test_a_batch_of_one_shape_is_jobs_enough_for_the_slots(
    numbers: range, slots: int, expected: list[int]
) -> None:
    part = Component("mlp", {"width": 8})
    trials = [
        TrialSpec(
            number=number,
            seed=number,
            params={},
            task=Component("classification"),
            model=part,
            optimizer=Component("adam", {"lr": 0.1}),
            schedule=Component("constant"),
            training=Component("recipe"),
            transforms=(),
        )
        for number in numbers
    ]
    assert [len(each) for each in _in_jobs(40, slots, trials)] == expected
    assert len(_in_jobs(None, 2, trials)) == 1, "without a number of trials no batch is the last"
