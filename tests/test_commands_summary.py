"""The text at the end of a run: the answer, how it was found, what to type next."""

import json
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from nnsearch import events
from nnsearch.commands.result import Conclusion, RunResult
from nnsearch.commands.summary import as_document, as_text
from nnsearch.study.spec import Objective


def exported(folder: Path, sample: str) -> str:
    """An export's folder, as far as the summary reads it."""
    folder.mkdir(parents=True)
    described = {"size": 1}
    manifest = {"files": {"model.onnx": described, "predict.py": described, sample: described}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return str(folder)


@pytest.fixture
def digits(own_folder: Path) -> RunResult:
    """A classification of images, in the default folder."""
    folder = own_folder / "mlruns" / "studies" / "digits"
    return RunResult(
        study="digits",
        folder=str(folder),
        objective=Objective("accuracy", "maximize"),
        reason="all 40 trials are done",
        counts={"complete": 25, "pruned": 15, "failed": 0},
        conclusion=Conclusion(
            best=events.Finished(31, 100.0, 0.98958, 12, 3.5, {"valid/accuracy": 0.98958}),
            tested=events.Tested(
                31,
                200.0,
                {"log_loss": 0.02862, "accuracy": 0.98886},
                {"accuracy": (0.97172, 0.99696)},
                359,
            ),
            num_looks=1,
            baseline=0.96528,
            export=exported(folder / "exports" / "trial-00031", "sample.npy"),
            export_problem="",
        ),
        params={"model.name": "cnn", "model.cnn.channels": 13, "optimizer.lr": 0.01580164},
        labels=("0", "1"),
        seconds=81.2,
        tracking_uri=f"sqlite:///{own_folder}/mlruns/mlflow.db",
        has_trained=True,
    )


@pytest.fixture
def diabetes(own_folder: Path) -> RunResult:
    """A regression of a table, in a folder of its own."""
    folder = own_folder / "my runs" / "studies" / "diabetes"
    return RunResult(
        study="diabetes",
        folder=str(folder),
        objective=Objective("rmse", "minimize"),
        reason="all 4 trials are done",
        counts={"complete": 3, "pruned": 0, "failed": 1},
        conclusion=Conclusion(
            best=events.Finished(1, 100.0, 51.0812, 40, 1.5, {"valid/rmse": 51.0812}),
            tested=events.Tested(
                1,
                200.0,
                {"rmse": 58.2513, "mae": 46.2},
                {"rmse": (50.3801, 66.2555), "mae": (40.0, 51.0)},
                88,
            ),
            num_looks=2,
            baseline=52.4292,
            export=exported(folder / "exports" / "trial-00001", "sample.csv"),
            export_problem="",
        ),
        params={"task.loss": "huber"},
        labels=(),
        seconds=9.87,
        tracking_uri=f"sqlite:///{own_folder}/my runs/mlflow.db",
        has_trained=False,
    )


def test_a_classification(digits: RunResult) -> None:
    assert as_text(digits) == dedent("""\
        digits: all 40 trials are done

        test split     accuracy 0.989 [0.972, 0.997]  (95 % interval)
                       359 rows, looked at once, after the best trial was chosen
        best trial     31: valid/accuracy 0.990, the linear baseline 0.965
                       model.name         = cnn
                       model.cnn.channels = 13
                       optimizer.lr       = 0.0158
        trials         25 complete, 15 pruned; this run took 1 min 21 s
        exported       mlruns/studies/digits/exports/trial-00031
        records        mlruns/studies/digits

        Next
          browse       nnsearch ui
                       every trial in MLflow, the best first: curves, pictures, files
          list         nnsearch show digits
          predict      nnsearch predict digits NEW-ROWS.npy
                       NEW-ROWS.npy is written like sample.npy, beside the exported model""")


def test_a_regression_that_went_on_in_a_folder_of_its_own(diabetes: RunResult) -> None:
    assert as_text(diabetes) == dedent("""\
        diabetes: finished before; nothing was trained

        test split     rmse 58.25 [50.38, 66.26]  (95 % interval)
                       88 rows, looked at 2 times, for going on found another best trial;
                       if a look made you go on, trust new data more than this value
        best trial     1: valid/rmse 51.08, the linear baseline 52.43
                       task.loss = huber
        trials         3 complete, 1 failed
        exported       my runs/studies/diabetes/exports/trial-00001
        records        my runs/studies/diabetes

        Next
          browse       nnsearch ui --mlruns 'my runs'
                       every trial in MLflow, the best first: curves, pictures, files
          list         nnsearch show diabetes --mlruns 'my runs'
          predict      nnsearch predict diabetes NEW-ROWS.csv --mlruns 'my runs'
                       NEW-ROWS.csv is written like sample.csv, beside the exported model""")


def test_an_interval_is_claimed_only_for_a_metric_that_has_one(digits: RunResult) -> None:
    notes = ("no interval of mcc, log_loss: it is the same each time", "log_loss_2 is odd")
    conclusion = replace(digits.conclusion, tested=replace(digits.conclusion.tested, notes=notes))
    other = replace(digits, objective=Objective("log_loss", "minimize"), conclusion=conclusion)
    _, _, *rest = as_text(other).splitlines()
    assert rest[0] == "test split     log_loss 0.0286"
    assert rest[1] == "               accuracy 0.989 [0.972, 0.997]  (95 % interval)"
    assert rest[2] == "               no interval of mcc, log_loss: it is the same each time"
    assert rest[3].lstrip().startswith("359 rows")
    assert "no interval" not in as_text(replace(digits, conclusion=conclusion))


@pytest.mark.parametrize(
    ("baseline", "told"),
    [
        (50.0, "valid/rmse 51.08, the linear baseline 50.00\n"),
        (51.0799, "valid/rmse 51.08, the linear baseline 51.08\n"),
        (None, "valid/rmse 51.08\n"),
    ],
)
def test_the_best_trial_is_held_against_the_baseline(
    diabetes: RunResult, baseline: float | None, told: str
) -> None:
    conclusion = replace(diabetes.conclusion, baseline=baseline)
    assert told in as_text(replace(diabetes, conclusion=conclusion))


def test_without_an_export_it_says_why_and_offers_no_predictions(digits: RunResult) -> None:
    conclusion = replace(digits.conclusion, export="", export_problem="onnx is not installed.")
    text = as_text(replace(digits, conclusion=conclusion))
    assert "not exported   onnx is not installed." in text
    assert "nnsearch predict" not in text
    assert "nnsearch show digits" in text


def test_a_tracking_server_is_where_to_browse_and_its_password_is_not_told(
    digits: RunResult,
) -> None:
    result = replace(digits, tracking_uri="https://me:secret@tracking.example/mlflow")
    text, document = as_text(result), as_document(result)
    assert "browse       https://me:***@tracking.example/mlflow" in text
    assert "nnsearch ui" not in text
    assert "secret" not in text + json.dumps(document)


def test_what_fresh_seeds_say_stands_below_the_best_trial(digits: RunResult) -> None:
    first = events.Retrained(
        31, 0.98958, (0.97, 0.98, 0.985), 0.97833, 0.97951, 0.96, 1.0, chance=0.7
    )
    second = replace(first, trial=8, searched=0.989, estimate=0.978, chance=0.2)
    lucky = replace(first, trial=25, searched=0.99653, estimate=0.96181, chance=0.1)
    confirmed = events.Confirmed(31, 150.0, (first, second, lucky), 25)
    told = as_text(replace(digits, conclusion=replace(digits.conclusion, confirmed=confirmed)))
    assert (
        "expected       0.980 [0.960, 1.000] of it on new rows, by 3 fresh seeds\n"
        "               the best of 3 trained again, with probability 70%\n"
        "               trial 25 had 0.997 in the search; 0.962 is expected of it\n"
    ) in told
    alone = replace(confirmed, candidates=(first,))
    told = as_text(replace(digits, conclusion=replace(digits.conclusion, confirmed=alone)))
    assert "expected       0.980 [0.960, 1.000] of it on new rows, by 3 fresh seeds\ntrials" in told


def test_a_mean_over_divisions_is_called_one(digits: RunResult) -> None:
    metrics = {"valid/accuracy": 0.98, "folds/1": 0.98, "folds/2": 0.96, "folds/deviation": 0.014}
    best = replace(digits.conclusion.best, value=0.97, metrics=metrics)
    told = as_text(replace(digits, conclusion=replace(digits.conclusion, best=best)))
    assert "31: valid/accuracy 0.970 (mean of 2 divisions), the linear" in told
