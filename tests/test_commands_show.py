"""`nnsearch show`: a study's trials best first, or one trial in full."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from finished import NUM_TRIALS, copied, finished

from nnsearch.commands.show import as_document, as_text, show, show_trial
from nnsearch.errors import UsageError
from nnsearch.study.folder import Home
from nnsearch.study.spec import Objective


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


def test_trials_come_best_first_and_failed_ones_last_with_their_error(whole: Path) -> None:
    shown = show("flowers", whole / "mlruns")
    values = [row.value for row in shown.trials[:-1]]
    assert len(shown.trials) == NUM_TRIALS
    assert values == sorted(values, key=lambda each: -(each or 0))
    assert None not in values
    failed = shown.trials[-1]
    assert (failed.state, failed.value, failed.params) == ("failed", None, {"model.width": 8})
    text = as_text(shown)
    assert f"trial {failed.trial} failed: ValueError: a width of eight" in text
    assert f"best trial   {shown.trials[0].trial}: valid/accuracy" in text
    assert "95 % interval, 30 rows" in text
    lines = text.splitlines()
    order = [
        int(line.split()[0]) for line in lines if line.split()[1:2] in (["complete"], ["failed"])
    ]
    assert order == [row.trial for row in shown.trials]


def test_what_is_to_be_said_of_the_intervals_is_said(whole: Path, own_folder: Path) -> None:
    home = copied(whole, own_folder)
    result = Home(home).study("flowers").result
    fields = json.loads(result.read_text())
    assert "no interval of" not in as_text(show("flowers", home))
    fields["conclusion"]["tested"]["notes"] = ["no interval of mcc: every draw gives the same"]
    result.write_text(json.dumps(fields))
    lines = as_text(show("flowers", home)).splitlines()
    place = next(at for at, line in enumerate(lines) if "looked at" in line)
    assert lines[place + 1] == " " * 13 + "no interval of mcc: every draw gives the same"


def test_for_a_loss_the_lowest_is_first(
    whole: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copied(whole, own_folder)
    spec = Home(home).study("flowers").spec
    spec.write_text(spec.read_text().replace('"maximize"', '"minimize"'))
    values = [row.value for row in show("flowers", home).trials[:-1]]
    assert show("flowers", home).objective == Objective("accuracy", "minimize")
    assert values == sorted(values, key=lambda each: each or 0)


def test_one_trial_has_its_config_metrics_history_and_files(whole: Path) -> None:
    best = show("flowers", whole / "mlruns").trials[0]
    shown = show_trial("flowers", best.trial, whole / "mlruns")
    assert shown.row == best
    assert shown.config["model.width"] == best.params["model.width"]
    assert shown.metrics["valid/accuracy"] == best.value
    assert [each["epoch"] for each in shown.history] == [1, 2]
    assert {Path(each).name for each in shown.files} == {"weights.pt", "predictions.npz"}
    assert all(Path(each).stat().st_size == size for each, size in shown.files.items())
    text = as_text(shown)
    assert "* model.width = " in text
    assert "  optimizer.lr = 0.05" in text
    assert "valid/roc_auc = " in text
    assert as_document(shown)["seed"] == shown.seed


def test_a_searched_option_of_a_branch_is_marked(whole: Path) -> None:
    shown = show_trial("flowers", 0, whole / "mlruns")
    branch = replace(shown.row, params={"model.name": "mlp", "model.mlp.width": 4})
    text = as_text(replace(shown, row=branch))
    assert "* model.name = " in text
    assert "* model.width = " in text
    assert "  optimizer.lr = " in text


def test_a_failed_trial_shows_its_traceback(whole: Path) -> None:
    failed = show("flowers", whole / "mlruns").trials[-1]
    text = as_text(show_trial("flowers", failed.trial, whole / "mlruns"))
    assert "error: ValueError: a width of eight" in text
    assert "Traceback" in text
    assert "parts.py" in text


def test_what_there_is_not_is_said_with_what_there_is(whole: Path) -> None:
    with pytest.raises(UsageError, match=r"no trial 99.*0 to 3"):
        show_trial("flowers", 99, whole / "mlruns")
    with pytest.raises(UsageError, match="Did you mean 'flowers'"):
        show("flower", whole / "mlruns")


def test_a_study_that_was_killed_before_it_began_has_not_run(own_folder: Path) -> None:
    (own_folder / "mlruns/studies/flowers").mkdir(parents=True)
    with pytest.raises(UsageError, match="`nnsearch list` shows"):
        show("flowers", own_folder / "mlruns")


def test_a_study_without_a_result_says_how_to_go_on(whole: Path, own_folder: Path) -> None:
    home = copied(whole, own_folder)
    Home(home).study("flowers").result.unlink()
    assert "nnsearch run flowers goes on" in as_text(show("flowers", home))
