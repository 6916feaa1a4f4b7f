"""The best trials are trained again on fresh seeds, and the winner is chosen by what they give."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from finished import call, copied

from nnsearch.commands.chosen import chosen_of, confirmed_of
from nnsearch.commands.show import show
from nnsearch.events import Confirmed, Finished, from_line, to_line
from nnsearch.search.ledger import read_ledger
from nnsearch.study.folder import Home, StudyFolder, read_json, write_json
from nnsearch.study.spec import Objective

pytestmark = pytest.mark.timeout(200)
ACCURACY = Objective("accuracy", "maximize")
NUM_TRIALS, NUM_CANDIDATES = 16, 4
STUDY = """
name = "again"
[data]
source = "iris"
[task]
name = "classification"
[model]
name = "mlp"
width = { choice = [4, 8, 16, 32] }
[optimizer]
name = "adam"
lr = { float = [1e-3, 1e-1], log = true }
[training]
epochs = 6
[search]
sampler = "random"
objective = "log_loss"
trials = 16
[confirmation]
seeds = 4
"""


def run(place: Path, *arguments: str, code: int = 0, environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nnsearch", "run", "again.toml", *arguments],
        cwd=place,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def folder_in(place: Path) -> StudyFolder:
    return Home(place / "mlruns").study("again")


def confirmed_in(place: Path) -> Confirmed:
    found = confirmed_of(folder_in(place))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the study ran in to its end, and what it printed."""
    place = tmp_path_factory.mktemp("again")
    (place / "again.toml").write_text(STUDY)
    return place, run(place)


@pytest.fixture
def copy(whole: tuple[Path, str], own_folder: Path) -> Path:
    """The same, to do with as a test likes."""
    copied(whole[0], own_folder)
    shutil.copy(whole[0] / "again.toml", own_folder)
    return own_folder


def test_the_best_are_trained_again_and_the_winner_has_the_best_estimate(
    whole: tuple[Path, str],
) -> None:
    place, told = whole
    folder, found = folder_in(place), confirmed_in(place)
    ledger, again = read_ledger(folder), read_ledger(folder.confirmation)
    objective = Objective("log_loss", "minimize")
    best = [each.trial for each in ledger.ranking(objective)[:NUM_CANDIDATES]]
    assert sorted(each.trial for each in found.candidates) == sorted(best)
    assert found.trial == min(found.candidates, key=lambda each: each.estimate).trial
    assert found.num_searched == NUM_TRIALS
    assert sum(each.chance for each in found.candidates) == pytest.approx(1)
    seeds = {spec.seed for spec in again.specs.values()} | {s.seed for s in ledger.specs.values()}
    assert len(seeds) == len(again.specs) + NUM_TRIALS, "every training has a seed of its own"
    for spec in again.specs.values():
        assert spec.replicate_of is not None
        assert spec.params == ledger.specs[spec.replicate_of].params
    assert all(isinstance(each, Finished) for each in again.endings.values())
    assert len(ledger.endings) == NUM_TRIALS, "the search's own trials are as many as before"
    result = read_json(folder.result)["conclusion"]
    assert result["best"]["trial"] == result["tested"]["trial"] == found.trial
    assert f"trial-{found.trial:05d}" in result["export"]
    first = found.candidates[0]
    assert f"by {len(first.values)} fresh seeds" in told
    assert "choosing the winner:" in told


def test_those_without_a_chance_are_let_go_after_two_seeds(whole: tuple[Path, str]) -> None:
    found = confirmed_in(whole[0])
    counts = {each.trial: len(each.values) for each in found.candidates}
    assert set(counts.values()) <= {2, 4}
    for each in found.candidates:
        assert each.chance < 0.2 or counts[each.trial] == 4 or set(counts.values()) == {2}


def test_trials_of_one_shape_are_trained_together(whole: tuple[Path, str]) -> None:
    folder = folder_in(whole[0]).confirmation
    again = read_ledger(folder)
    assert len(set(again.jobs.values())) < len(again.specs)


def test_mlflow_has_the_choice_on_the_study_s_run(whole: tuple[Path, str]) -> None:
    found = confirmed_in(whole[0])
    client = mlflow.MlflowClient(Home(whole[0] / "mlruns").mlflow_uri)
    experiment = client.get_experiment_by_name("again")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.nnsearch.confirmed_at LIKE '%'")
    (parent,) = runs
    first = found.candidates[0]
    assert parent.data.tags["nnsearch.best_trial"] == str(found.trial)
    told = {key: parent.data.metrics[f"confirmed/log_loss{key}"] for key in ("", "/low", "/high")}
    assert told == {"": first.estimate, "/low": first.low, "/high": first.high}
    trials = client.search_runs([experiment.experiment_id], "tags.nnsearch.trial LIKE '%'")
    assert len(trials) == NUM_TRIALS


def test_the_report_and_the_list_of_trials_say_how_it_was_chosen(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = confirmed_in(copy)
    page = folder_in(copy).report.read_text()
    assert "How the winner was chosen" in page
    assert f"trial {found.candidates[-1].trial} expected" in page
    assert call(["show", "again"], monkeypatch) == 0
    told = capsys.readouterr().out
    assert "expected     " in told
    assert show("again", copy / "mlruns").result is not None


@pytest.mark.parametrize("kill_after", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_while_choosing_chooses_the_same(
    whole: tuple[Path, str], copy: Path, kill_after: int
) -> None:
    folder = folder_in(copy)
    shutil.rmtree(folder.confirmation.root)
    for path in (folder.confirmed, folder.result, folder.looks, folder.test_reads):
        path.unlink()
    running = subprocess.Popen(
        [sys.executable, "-m", "nnsearch", "run", "again.toml", "--set", "training.device=cpu"],
        cwd=copy,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while len(read_ledger(folder.confirmation).endings) < kill_after:
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.005)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    before = read_ledger(folder.confirmation).endings
    run(copy)
    after = read_ledger(folder.confirmation)
    assert all(after.endings[number] == each for number, each in before.items()), "kept as it was"
    assert values_of(confirmed_in(copy)) == values_of(confirmed_in(whole[0]))


def values_of(found: Confirmed) -> list[dict[str, Any]]:
    return [asdict(each) for each in found.candidates]


def test_the_same_choice_again_keeps_its_time(copy: Path) -> None:
    before = confirmed_in(copy)
    folder_in(copy).result.unlink()
    run(copy)
    assert confirmed_in(copy) == before


def test_gc_frees_the_weights_of_the_trainings_and_the_choice_stays(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before = folder_in(copy).confirmation, confirmed_in(copy)
    assert list(folder.jobs.rglob("weights.pt"))
    assert call(["gc", "again", "--apply"], monkeypatch) == 0
    assert not list(folder.jobs.rglob("weights.pt"))
    assert call(["doctor", "--strict"], monkeypatch) == 0
    folder_in(copy).result.unlink()
    run(copy)
    assert confirmed_in(copy) == before


def test_a_study_that_wants_none_any_more_forgets_the_choice(copy: Path) -> None:
    folder = folder_in(copy)
    run(copy, "--set", "confirmation.trials=0", "--reopen-test")
    assert confirmed_of(folder) is None
    best = read_ledger(folder).best(Objective("log_loss", "minimize"))
    assert best is not None
    assert read_json(folder.result)["conclusion"]["best"]["trial"] == best.trial


def test_a_study_that_wants_none_takes_the_best_of_the_search(own_folder: Path) -> None:
    Path("again.toml").write_text(STUDY)
    run(own_folder, "--set", "confirmation.trials=0", "--trials", "4")
    folder = folder_in(own_folder)
    assert confirmed_of(folder) is None
    assert not folder.confirmation.root.exists()
    best = read_ledger(folder).best(Objective("log_loss", "minimize"))
    assert best is not None
    assert read_json(folder.result)["conclusion"]["best"]["trial"] == best.trial


def test_resamples_judge_by_other_rows(own_folder: Path) -> None:
    Path("again.toml").write_text(STUDY)
    run(own_folder, "--set", "confirmation.resample=true", "--trials", "8")
    folder = folder_in(own_folder)
    again = read_ledger(folder.confirmation)
    data = {
        json.loads(folder.confirmation.job(name).spec.read_text())["data"]
        for name in again.jobs.values()
    }
    assert len(data) >= 2
    assert all(Path(each).name.split("-", 1)[1].endswith("of-4") for each in data)
    narrow, wide = (each.candidates[0] for each in (confirmed_in(own_folder),) * 2)
    assert narrow.low < narrow.estimate < wide.high


PARTS = """
from torch import nn

def fragile(inputs, outputs, *, width: int = 4):
    import torch
    if FAILS and torch.initial_seed() % 2 == 0:
        raise ValueError("an even seed")
    return nn.Sequential(nn.Linear(inputs[0], width), nn.ReLU(), nn.Linear(width, outputs))
"""


def test_trainings_that_fail_are_counted(own_folder: Path) -> None:
    text = STUDY.replace('name = "mlp"', 'name = "parts.py:fragile"')
    Path("again.toml").write_text(text)
    Path("parts.py").write_text(PARTS.replace("FAILS", "False"))
    off = ["--set", "confirmation.trials=0"]
    run(own_folder, "--allow-code", *off)
    folder = folder_in(own_folder)
    folder.result.unlink()
    for path in (folder.looks, folder.test_reads):
        path.unlink()
    Path("parts.py").write_text(PARTS.replace("FAILS", "True"))
    run(own_folder, "--allow-code", "--reopen-test")
    found = confirmed_in(own_folder)
    again = read_ledger(folder.confirmation)
    failed = sum(not isinstance(each, Finished) for each in again.endings.values())
    assert failed
    assert sum(each.num_failed for each in found.candidates) <= failed
    assert all(len(each.values) >= 2 for each in found.candidates)


def test_the_chosen_one_is_the_winner_everywhere(copy: Path) -> None:
    folder, found = folder_in(copy), confirmed_in(copy)
    ledger = read_ledger(folder)
    other = next(each for each in found.candidates if each.trial != found.trial)
    write_json(folder.confirmed, asdict(replace(found, trial=other.trial)))
    chosen = chosen_of(folder, ledger, ACCURACY)
    assert chosen is not None
    assert chosen.trial == other.trial
    folder.confirmed.unlink()
    assert chosen_of(folder, ledger, ACCURACY) == ledger.best(ACCURACY)


def test_the_event_survives_its_line(whole: tuple[Path, str]) -> None:
    found = confirmed_in(whole[0])
    assert from_line(to_line(found)) == found
